// spillway umount: unmounts, and returns only when the daemon behind the mount has ended: then
// everything that was written through it is where its attributes said.
#include <poll.h>
#include <spdlog/fmt/fmt.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "src/cli/command.h"
#include "src/cli/mounted.h"
#include "src/cli/output.h"
#include "src/cli/unmount.h"

namespace spillway::cli {
namespace {

// A process of which we hear when it ends, even if its number is given to another one.
class Process {
 public:
  explicit Process(pid_t pid)
      : descriptor_(pid > 0 ? static_cast<int>(syscall(SYS_pidfd_open, pid, 0)) : -1) {}
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  [[nodiscard]] bool has_ended_within(int milliseconds) const {
    if (descriptor_ < 0) return true;
    pollfd wanted{.fd = descriptor_, .events = POLLIN, .revents = 0};
    return poll(&wanted, 1, milliseconds) > 0;
  }

 private:
  int descriptor_;
};

pid_t daemon_of(const MountPoint& mount) {
  const auto state = read_mount_state(mount);
  if (!state.ok() || !state->status.is_object()) return 0;
  return state->status.value("pid", 0);
}

ExitCode report(const MountPoint& mount, const Error& error) {
  if (error.system_errno == EBUSY) {
    print_error(
        fmt::format("{} is busy: a process has a file open or its working directory in it.\n"
                    "  Find it with: fuser -vm '{}'\n  Close it, then run this again.",
                    printable(mount.path), printable(mount.path)));
  } else {
    print_error("unmounting failed: " + printable(error.detail));
  }
  return ExitCode::failed;
}

ExitCode run(const std::string& mountpoint) {
  const auto mount = choose_mount(mountpoint);
  if (!mount.ok()) {
    print_error(mount.error().detail);
    return ExitCode::usage;
  }
  const Process daemon(daemon_of(*mount));
  if (const auto unmounted = unmount(mount->path, Unmounting::plain); !unmounted.ok()) {
    return report(*mount, unmounted.error());
  }
  ProgressLine progress;
  while (!daemon.has_ended_within(1000)) progress.show("waiting for what is in flight …");
  return ExitCode::done;
}

}  // namespace

void add_umount(CLI::App& program, Action& chosen) {
  auto mountpoint = std::make_shared<std::string>();
  auto* command =
      program.add_subcommand("umount", "Unmount, and wait until everything in flight is stored");
  command->add_option("MOUNTPOINT", *mountpoint, "The mount to end")->required();
  command->callback([mountpoint, &chosen] { chosen = [mountpoint] { return run(*mountpoint); }; });
}

}  // namespace spillway::cli
