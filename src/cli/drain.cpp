// spillway drain: has the mount bring everything from the shadow to B2 now, and tells how far it is
// until nothing is left, or nothing but files that can't go.
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <thread>

#include "src/cli/adopt.h"
#include "src/cli/command.h"
#include "src/cli/mounted.h"
#include "src/cli/output.h"
#include "src/clock.h"
#include "src/units.h"

namespace spillway::cli {
namespace {

using namespace std::chrono_literals;

constexpr auto kLook = 250ms;
constexpr auto kBetweenLines = 10s;  // where there is no terminal
// An outage that the drain's first request ends by itself is not worth a word.
constexpr auto kPatience = 2s;

struct Request {
  std::string mountpoint;
  std::string timeout;
  std::string adopt;
};

// What the parser gives a flag that has no value.
constexpr std::string_view kGiven = "true";

std::string amount(std::uint64_t files, std::uint64_t bytes) {
  return fmt::format("{} {}, {}", files, files == 1 ? "file" : "files", readable_size(bytes));
}

class Draining {
 public:
  Draining(const MountPoint& mount, std::optional<Instant> deadline)
      : mount_(mount), deadline_(deadline) {}

  ExitCode run() {
    auto state = read_mount_state(mount_);
    if (const auto code = look(state)) return *code;
    begin(*state);
    while (true) {
      state = read_mount_state(mount_);
      if (const auto code = look(state)) return *code;
      if (is_only_stuck(*state)) return give_up(*state, "the rest can't go to B2");
      if (deadline_ && now() >= *deadline_) return give_up(*state, "the time is up");
      tell(*state);
      std::this_thread::sleep_for(kLook);
    }
  }

 private:
  static Instant now() { return system_clock().now(); }

  // What ends the command whenever it is seen.
  std::optional<ExitCode> look(const Result<MountState>& state) {
    if (!state.ok()) {
      progress_.wipe();
      print_error(why_silent(mount_, state.error()));
      return ExitCode::failed;
    }
    if (state->shadow_files == 0) return finish();
    if (state->state == "local_only") return refuse(*state);
    return std::nullopt;
  }

  ExitCode finish() {
    progress_.wipe();
    print_line("nothing is left in the shadow");
    return ExitCode::done;
  }

  static ExitCode refuse(const MountState& state) {
    print_error(fmt::format(
        "the mount was started without B2; {} stay in its shadow.\n"
        "  Unmount it, name bucket and key (see spillway check), and mount again. Files that were\n"
        "  stored before any bucket was known are then taken over by: spillway drain --adopt",
        amount(state.shadow_files, state.shadow_bytes)));
    return ExitCode::failed;
  }

  void begin(const MountState& state) {
    drained_before_ = state.drained_files;
    print_line(fmt::format("bringing {} to B2 …", amount(state.shadow_files, state.shadow_bytes)));
    last_line_ = last_move_ = now();
    const auto asked = ask_to_drain(mount_);
    if (asked.ok()) return;
    // A read-only mount can't be told anything, and drains all the same.
    print_error("the mount takes its own time: " + printable(asked.error().detail));
  }

  static bool is_only_stuck(const MountState& state) {
    return state.stuck_files > 0 && state.stuck_files >= state.shadow_files;
  }

  void tell(const MountState& state) {
    if (state.shadow_files != files_left_ || state.shadow_bytes != bytes_left_) last_move_ = now();
    files_left_ = state.shadow_files;
    bytes_left_ = state.shadow_bytes;
    most_bytes_ = std::max(most_bytes_, bytes_left_);
    tell_outage(state);
    const std::uint64_t files_done =
        state.drained_files - std::min(state.drained_files, drained_before_);
    const std::uint64_t files = files_done + files_left_;
    const std::uint64_t bytes_done = most_bytes_ - bytes_left_;
    const std::string text = fmt::format("{} of {} files, {} of {}", files_done, files,
                                         readable_size(bytes_done), readable_size(most_bytes_));
    if (most_bytes_ > 0) {
      progress_.show(bytes_done, most_bytes_, text);
    } else {
      progress_.show(files_done, files, text);
    }
    // In a file or a pipe: a line now and then, and none that says the same once more.
    const bool is_due = now() - last_line_ >= kBetweenLines && text != last_text_;
    if (progress_.is_seen() || !is_due) return;
    print_line(text);
    last_line_ = now();
    last_text_ = text;
  }

  // Once an outage: why nothing moves.
  void tell_outage(const MountState& state) {
    if (state.state != "degraded") outage_told_ = false;
    const bool waits = state.state == "degraded" && now() - last_move_ >= kPatience;
    if (!waits || outage_told_ || !state.last_error.is_object()) return;
    progress_.wipe();
    print_error("B2 takes no files just now; waiting until it does: " +
                to_text(failure_in(state.last_error)));
    outage_told_ = true;
  }

  ExitCode give_up(const MountState& state, std::string_view why) {
    progress_.wipe();
    print_error(fmt::format("{}; {} left in the shadow", why,
                            amount(state.shadow_files, state.shadow_bytes)));
    if (state.stuck_files > 0) {
      print_error("for a reason of their own, and tried again apart:\n" +
                  list_of_stuck(mount_, state));
    }
    if (!is_only_stuck(state) && state.last_error.is_object()) {
      print_error("the last error was " + to_text(failure_in(state.last_error)));
    }
    return ExitCode::failed;
  }

  const MountPoint& mount_;
  const std::optional<Instant> deadline_;
  ProgressLine progress_;
  std::uint64_t drained_before_ = 0;
  std::uint64_t files_left_ = 0;
  std::uint64_t bytes_left_ = 0;
  std::uint64_t most_bytes_ = 0;
  Instant last_move_;
  Instant last_line_;
  std::string last_text_;
  bool outage_told_ = false;
};

ExitCode run(const Request& request) {
  const auto mount = choose_mount(request.mountpoint);
  if (!mount.ok()) {
    print_error(mount.error().detail);
    return ExitCode::usage;
  }
  if (!request.adopt.empty()) return adopt(*mount, request.adopt == kGiven ? "" : request.adopt);
  if (request.timeout.empty()) return Draining(*mount, std::nullopt).run();
  const auto limit = parse_duration(request.timeout);
  if (!limit) {
    print_error("--timeout wants a duration such as 500ms, 2s, 5m or 1h");
    return ExitCode::usage;
  }
  return Draining(*mount, system_clock().now() + *limit).run();
}

}  // namespace

void add_drain(CLI::App& program, Action& chosen) {
  auto request = std::make_shared<Request>();
  auto* command = program.add_subcommand(
      "drain", "Bring everything in the shadow to B2 now; exit code 1 when something can't go");
  command->add_option("MOUNTPOINT", request->mountpoint, "Default: the only Spillway mount");
  auto* timeout =
      command->add_option("--timeout", request->timeout, "Give up after this time [never]")
          ->type_name("TIME");
  // A flag, so that a MOUNTPOINT after it is not taken for its value.
  command
      ->add_flag("--adopt", request->adopt,
                 "Take over what a mount without a bucket kept; --adopt=DIR: from the shadow\n"
                 "DIR [local-only, below the default place of shadows]")
      ->excludes(timeout);
  command->callback([request, &chosen] { chosen = [request] { return run(*request); }; });
}

}  // namespace spillway::cli
