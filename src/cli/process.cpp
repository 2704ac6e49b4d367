#include "src/cli/process.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <string>

#include "src/cli/output.h"

namespace spillway::cli {
namespace {

class Child final : public Daemon {
 public:
  explicit Child(int to_parent) : to_parent_(to_parent) {}
  ~Child() override { close(to_parent_); }

  void ready() override {
    setsid();
    [[maybe_unused]] const int moved = chdir("/");
    const int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) dup2(nothing, stream);
    close(nothing);
    const char token = 'r';
    [[maybe_unused]] const ssize_t told = write(to_parent_, &token, 1);
  }

 private:
  int to_parent_;
};

int exit_code_of(pid_t child) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status)) return WEXITSTATUS(status);
  print_error("the daemon was ended by signal " + std::to_string(WTERMSIG(status)));
  return static_cast<int>(ExitCode::mount_failed);
}

[[noreturn]] void wait_for(pid_t child, int from_child) {
  char token = 0;
  ssize_t size = 0;
  while ((size = read(from_child, &token, 1)) < 0 && errno == EINTR) {
  }
  _exit(size == 1 ? static_cast<int>(ExitCode::done) : exit_code_of(child));
}

}  // namespace

void close_to_onlookers() {
  prctl(PR_SET_DUMPABLE, 0);
  const rlimit none{.rlim_cur = 0, .rlim_max = 0};
  setrlimit(RLIMIT_CORE, &none);
}

void open_to_leak_checkers() {
#ifdef __SANITIZE_ADDRESS__
  prctl(PR_SET_DUMPABLE, 1);
#endif
}

Result<std::unique_ptr<Daemon>> become_daemon() {
  std::array<int, 2> pipe_ends{};
  if (pipe2(pipe_ends.data(), O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
  const pid_t child = fork();
  if (child < 0) return fail_errno(errno, "fork");
  if (child > 0) {
    close(pipe_ends[1]);
    wait_for(child, pipe_ends[0]);
  }
  close(pipe_ends[0]);
  return std::make_unique<Child>(pipe_ends[1]);
}

}  // namespace spillway::cli
