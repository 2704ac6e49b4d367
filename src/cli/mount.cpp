// spillway mount: composes everything and serves the kernel, in the background unless told
// otherwise, until it is unmounted or asked to end.
#include <spdlog/fmt/fmt.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <filesystem>
#include <optional>
#include <ranges>
#include <stop_token>
#include <string>
#include <vector>

#include "fuse/mount.h"
#include "src/cli/command.h"
#include "src/cli/composition.h"
#include "src/cli/lifecycle_rule.h"
#include "src/cli/mounted.h"
#include "src/cli/output.h"
#include "src/cli/process.h"
#include "src/cli/signals.h"
#include "src/cli/unmount.h"
#include "src/guarded.h"

namespace spillway::cli {
namespace {

struct Request {
  GivenOptions options;
  std::string mountpoint;
  std::vector<std::string> pairs;  // of -o, comma-separated
  bool foreground = false;
  // Taken out of `pairs`:
  bool read_only = false;
  std::vector<std::string> kernel_options;
};

// What mount(8) and fstab pass along and what is no business of a file system.
bool is_for_the_mount_program(std::string_view pair) {
  constexpr std::array<std::string_view, 16> kIgnored{
      "rw",    "defaults", "auto",   "noauto", "user",  "users", "nouser", "owner",
      "group", "_netdev",  "nofail", "nosuid", "nodev", "async", "exec",   ""};
  return std::ranges::find(kIgnored, pair) != kIgnored.end() || pair.starts_with("x-") ||
         pair.starts_with("comment=");
}

bool is_for_the_kernel(std::string_view pair) {
  constexpr std::array<std::string_view, 9> kPassed{
      "noatime", "relatime", "nodiratime", "noexec", "sync", "dirsync", "suid", "dev", "atime"};
  return std::ranges::find(kPassed, pair) != kPassed.end();
}

Result<> take_pair(Request& request, std::string_view pair) {
  if (is_for_the_mount_program(pair)) return {};
  if (pair == "ro") {
    request.read_only = true;
    return {};
  }
  if (is_for_the_kernel(pair)) {
    request.kernel_options.emplace_back(pair);
    return {};
  }
  return request.options.add_pair(pair);
}

Result<> take_pairs(Request& request) {
  for (const auto& list : request.pairs) {
    for (const auto part : std::views::split(list, ',')) {
      TRY(take_pair(request, std::string_view(part.begin(), part.end())));
    }
  }
  return {};
}

// A mount whose daemon died answers ENOTCONN until it is unmounted.
std::optional<ExitCode> check_mountpoint(const std::string& mountpoint) {
  if (!mount_at(mountpoint)) return std::nullopt;
  struct stat status {};
  const bool dead = stat(mountpoint.c_str(), &status) != 0 && errno == ENOTCONN;
  print_error(printable(mountpoint) +
              (dead ? " is a mount whose daemon has died; end it first: spillway umount " +
                          printable(mountpoint)
                    : " is mounted already"));
  return ExitCode::mount_failed;
}

class Mounting {
 public:
  Mounting(Composition& parts, const Request& request, std::unique_ptr<Daemon> daemon)
      : parts_(parts),
        request_(request),
        daemon_(std::move(daemon)),
        mount_(std::make_shared<Guarded<Running>>(parts.executor())) {}

  ExitCode run() {
    const auto signals = watch_signals(
        {.terminate = [this] { terminate(); }, .reload = [this] { parts_.log().reopen(); }},
        parts_.executor());
    if (const auto code = parts_.open_shadow()) return *code;
    if (const auto code = parts_.ask_bucket(starting_.get_token())) return *code;
    std::optional<LifecycleRuleWarning> warning;
    if (parts_.at_start().state == ServiceState::ok) {
      warning.emplace(parts_.store(), parts_.log(), parts_.executor());
    }
    const auto file_system = parts_.make_file_system();
    return serve(*file_system);
  }

 private:
  // What signals act on.
  struct Running {
    kernel::Mount* mount = nullptr;
    int requests_to_end = 0;
  };

  ExitCode serve(FileSystem& file_system) {
    auto made = kernel::make_mount(mount_settings(), file_system, parts_.executor());
    if (!made.ok()) {
      print_error(made.error().detail);
      file_system.shut_down(Duration::zero());
      parts_.close_shadow();
      return ExitCode::mount_failed;
    }
    mount_->lock()->mount = made->get();
    if (starting_.stop_requested()) (*made)->stop();
    const auto served = (*made)->run([this] { tell_ready(); });
    mount_->lock()->mount = nullptr;
    file_system.shut_down(parts_.options().shutdown_timeout);
    parts_.close_shadow();
    Fields fields{{"mountpoint", request_.mountpoint}};
    if (!served.ok()) fields["detail"] = served.error().detail;
    parts_.log().event(served.ok() ? Level::info : Level::error, "unmount", fields);
    if (!served.ok())
      print_error("the kernel's connection broke: " + printable(served.error().detail));
    if (!ready_) return ExitCode::mount_failed;
    return served.ok() ? ExitCode::done : ExitCode::failed;
  }

  [[nodiscard]] kernel::MountSettings mount_settings() const {
    const SpillwayOptions& options = parts_.options();
    kernel::MountSettings settings;
    settings.mountpoint = request_.mountpoint;
    settings.source = "spillway:" + (parts_.bucket().empty() ? "local-only" : parts_.bucket());
    using Settings = kernel::MountSettings;
    if (request_.read_only) settings.access = Settings::Access::read_only;
    if (options.allow_other) settings.visibility = Settings::Visibility::everybody;
    settings.presentation = {options.uid, options.gid, options.umask, options.attr_ttl};
    settings.options = request_.kernel_options;
    return settings;
  }

  void tell_ready() {
    ready_ = true;
    parts_.log().event(Level::info, "mount",
                       {{"mountpoint", request_.mountpoint},
                        {"bucket", parts_.bucket()},
                        {"endpoint", parts_.endpoint()},
                        {"state", to_string(parts_.at_start().state)},
                        {"shadow", parts_.options().shadow},
                        {"version", SPILLWAY_VERSION},
                        {"pid", getpid()}});
    if (daemon_) daemon_->ready();
  }

  // The tree goes at once; files that are open are served until they are closed, but no longer than
  // --shutdown-timeout. A second request ends that, too.
  void terminate() {
    starting_.request_stop();
    auto running = mount_->lock();
    if (running->mount == nullptr) return;
    const bool again = ++running->requests_to_end > 1;
    if (again) return running->mount->stop();
    const auto detached =
        running.unlocked([this] { return unmount(request_.mountpoint, Unmounting::detach); });
    if (running->mount != nullptr && !detached.ok()) return running->mount->stop();
    const Executor& executor = parts_.executor();
    parts_.executor().submit_at(executor.clock().now() + parts_.options().shutdown_timeout,
                                [mount = mount_] {
                                  auto late = mount->lock();
                                  if (late->mount != nullptr) late->mount->stop();
                                });
  }

  Composition& parts_;
  const Request& request_;
  std::unique_ptr<Daemon> daemon_;
  std::stop_source starting_;
  std::atomic<bool> ready_ = false;
  std::shared_ptr<Guarded<Running>> mount_;
};

Result<Settings> settings_of(Request& request) {
  TRY(take_pairs(request));
  request.mountpoint = std::filesystem::absolute(request.mountpoint).lexically_normal();
  if (request.mountpoint.size() > 1 && request.mountpoint.ends_with('/')) {
    request.mountpoint.pop_back();
  }
  return request.options.resolve();
}

ExitCode run(Request& request) {
  close_to_onlookers();
  auto settings = settings_of(request);
  if (!settings.ok()) {
    print_error(settings.error().detail);
    return ExitCode::usage;
  }
  if (const auto code = check_mountpoint(request.mountpoint)) return *code;
  auto parts = Composition::create(std::move(*settings),
                                   request.foreground ? LogUse::foreground : LogUse::daemon);
  if (!parts.ok()) {
    print_error("log: " + printable(parts.error().detail));
    return ExitCode::usage;
  }
  if (const auto code = (*parts)->configure()) return *code;
  std::unique_ptr<Daemon> daemon;
  if (!request.foreground) {
    auto split = become_daemon();
    if (!split.ok()) {
      print_error(split.error().detail);
      return ExitCode::mount_failed;
    }
    daemon = std::move(*split);
  }
  hold_signals();
  (*parts)->start();
  const ExitCode code = Mounting(**parts, request, std::move(daemon)).run();
  parts->reset();
  open_to_leak_checkers();
  return code;
}

}  // namespace

void add_mount(CLI::App& program, Action& chosen) {
  auto request = std::make_shared<Request>();
  auto* command = program.add_subcommand("mount", "Mount the bucket at a directory");
  command->add_option("MOUNTPOINT", request->mountpoint, "An existing directory")->required();
  command->add_flag("-f,--foreground", request->foreground, "stay in the foreground");
  command
      ->add_option("-o", request->pairs,
                   "as in fstab: long options as name=value, and ro, noatime and the like")
      ->type_name("OPT[=VALUE],...")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  request->options.add_to(*command);
  command->callback([request, &chosen] { chosen = [request] { return run(*request); }; });
}

}  // namespace spillway::cli
