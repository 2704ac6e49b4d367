#include "src/cli/unmount.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>

extern char** environ;  // NOLINT(readability-redundant-declaration): POSIX names no header

namespace spillway::cli {
namespace {

std::string read_all(int descriptor) {
  std::string text;
  std::array<char, 512> buffer{};
  for (ssize_t size = 0; (size = read(descriptor, buffer.data(), buffer.size())) > 0;) {
    text.append(buffer.data(), static_cast<std::size_t>(size));
  }
  while (text.ends_with('\n')) text.pop_back();
  return text;
}

// The child's stderr goes to `output`, and it does not inherit the signals we block.
pid_t spawn_fusermount(const std::string& mountpoint, Unmounting how, int output) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  const std::string flag = how == Unmounting::detach ? "-uz" : "-u";
  const std::array<const char*, 5> arguments{"fusermount3", flag.c_str(), "--", mountpoint.c_str(),
                                             nullptr};
  pid_t child = -1;
  const int failure = posix_spawnp(&child, "fusermount3", &actions, &attributes,
                                   const_cast<char* const*>(arguments.data()), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  errno = failure;
  return failure == 0 ? child : -1;
}

Result<> run_fusermount(const std::string& mountpoint, Unmounting how) {
  std::array<int, 2> pipe_ends{};
  if (pipe2(pipe_ends.data(), O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
  const pid_t child = spawn_fusermount(mountpoint, how, pipe_ends[1]);
  const int failure = errno;
  close(pipe_ends[1]);
  const std::string said = child > 0 ? read_all(pipe_ends[0]) : "";
  close(pipe_ends[0]);
  if (child < 0) return fail_errno(failure, "fusermount3 (package fuse3)");
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  Error error;
  error.code = ErrorCode::local_error;
  error.system_errno = said.contains("busy") ? EBUSY : EIO;
  error.detail = said.empty() ? "fusermount3 failed" : said;
  return fail(std::move(error));
}

}  // namespace

Result<> unmount(const std::string& mountpoint, Unmounting how) {
  if (geteuid() != 0) return run_fusermount(mountpoint, how);
  const int flags = UMOUNT_NOFOLLOW | (how == Unmounting::detach ? MNT_DETACH : 0);
  if (umount2(mountpoint.c_str(), flags) == 0) return {};
  return fail_errno(errno, mountpoint);
}

}  // namespace spillway::cli
