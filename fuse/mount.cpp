#include "fuse/mount.h"

#include <algorithm>
#include <fstream>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include "fuse/loop.h"
#include "fuse/mount_table.h"
#include "fuse/operations.h"
#include "fuse/preflight.h"
#include "fuse/session.h"
#include "fuse/stderr_capture.h"

namespace spillway::kernel {
namespace {

std::unexpected<Error> refusal(int system_errno, std::string text) {
  Error error;
  error.code = ErrorCode::local_error;
  error.system_errno = system_errno;
  error.detail = std::move(text);
  return fail(std::move(error));
}

class SessionMount final : public Mount {
 public:
  SessionMount(MountSettings settings, FileSystem& file_system, Executor& executor)
      : settings_(std::move(settings)),
        operations_(file_system, executor, settings_),
        loop_(executor) {}
  ~SessionMount() override { finish(); }
  SessionMount(const SessionMount&) = delete;
  SessionMount& operator=(const SessionMount&) = delete;

  Result<> mount();
  Result<> run(std::function<void()> on_ready) override;
  void stop() override;
  [[nodiscard]] KernelCache& cache() { return operations_.invalidation(); }

 private:
  void raise_read_ahead() const;
  void finish();

  const MountSettings settings_;
  Operations operations_;
  std::string device_;  // which mount is ours
  Session session_;
  Loop loop_;  // last: its jobs use the others
};

// libfuse's and fusermount3's own words, each of them a line.
std::string one_line(std::string text) {
  std::ranges::replace(text, '\n', ' ');
  if (text.empty()) text = "no reason was given";
  if (text.find("not permitted") != std::string::npos) {
    text += " (a container needs --device /dev/fuse --cap-add SYS_ADMIN)";
  }
  return text;
}

Result<> SessionMount::mount() {
  StderrCapture words;
  session_ = make_session(settings_, operations_);
  if (!session_) return refusal(EINVAL, "mount options: " + one_line(words.take()));
  if (fuse_session_mount(session_.get(), settings_.mountpoint.c_str()) != 0) {
    return refusal(EIO, settings_.mountpoint + ": " + one_line(words.take()));
  }
  if (const auto mounted = mounted_at(settings_.mountpoint)) device_ = mounted->device;
  if (!route_through_operations(session_.get())) {
    return refusal(ENOMEM, "libfuse: " + one_line(words.take()));
  }
  return {};
}

Result<> SessionMount::run(std::function<void()> on_ready) {
  operations_.parallel_dirops().on_ready([this, ready = std::move(on_ready)] {
    operations_.invalidation().open(session_.get());
    raise_read_ahead();
    if (ready) ready();
  });
  const int outcome = loop_.run(session_.get(), settings_.threads);
  finish();
  if (outcome >= 0) return {};
  return refusal(-outcome, std::string("the kernel's connection broke: ") +
                               std::strerror(-outcome));
}

// The kernel waits for answers of ours while it holds locks that notifications wait for: these end
// while requests are still served.
void SessionMount::stop() {
  loop_.stop([this] { operations_.invalidation().close(); });
}

// Best effort: needs root, and the kernel has a default.
void SessionMount::raise_read_ahead() const {
  const auto path = "/sys/class/bdi/" + device_ + "/read_ahead_kb";
  std::ofstream(path) << settings_.read_ahead / 1024 << '\n';
}

// Somebody may have taken the mount away already, and mounted something else in its place, which
// must stay.
void SessionMount::finish() {
  loop_.wait_for_stop();
  operations_.invalidation().close();
  if (!session_) return;
  const auto mounted = mounted_at(settings_.mountpoint);
  const bool is_ours = mounted && mounted->device == device_;
  if (is_ours || disconnect(session_.get())) fuse_session_unmount(session_.get());
  session_.reset();
  operations_.kernel_has_left();
}

}  // namespace

Result<std::unique_ptr<Mount>> make_mount(const MountSettings& settings, FileSystem& file_system,
                                          Executor& executor) {
  TRY(check_machine(settings));
  TRY(check_options(settings.options));
  auto resolved = settings;
  resolved.mountpoint = TRY(check_mountpoint(settings.mountpoint));
  auto mount = std::make_unique<SessionMount>(std::move(resolved), file_system, executor);
  TRY(mount->mount());
  file_system.set_kernel_cache(&mount->cache());
  return mount;
}

}  // namespace spillway::kernel
