#include "tests/support/child.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <exception>
#include <system_error>

namespace spillway {
namespace {

[[noreturn]] void fail_call(const char* call) {
  throw std::system_error(errno, std::generic_category(), call);
}

// In the copy, which must not run anything that the test has put up for its own end.
[[noreturn]] void live(const std::function<void()>& work, int report, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  std::signal(SIGSEGV, SIG_DFL);  // a sanitizer would turn it into an exit
  if (::getppid() != parent) ::_exit(127);
  try {
    work();
    write_all(report, "x");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "the child: %s\n", error.what());
    ::_exit(1);
  }
  for (;;) ::pause();
}

}  // namespace

Child::Child(const std::function<void()>& work) {
  std::array<int, 2> report{};
  if (::pipe2(report.data(), O_CLOEXEC) != 0) fail_call("pipe2");
  const pid_t parent = ::getpid();
  std::fflush(nullptr);
  pid_ = ::fork();
  if (pid_ < 0) fail_call("fork");
  if (pid_ == 0) {
    ::close(report[0]);
    live(work, report[1], parent);
  }
  ::close(report[1]);
  char byte = 0;
  stands_still_ = ::read(report[0], &byte, 1) == 1;
  ::close(report[0]);
}

Child::~Child() {
  kill(SIGKILL);
}

ExitCode Child::kill(int signal) {
  if (!exit_code_) ::kill(pid_, signal);
  return wait();
}

ExitCode Child::wait() {
  if (exit_code_) return *exit_code_;
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return *exit_code_;
}

int open_file(const std::filesystem::path& file, int flags) {
  const int descriptor = ::open(file.c_str(), flags | O_CLOEXEC, 0644);
  if (descriptor < 0) fail_call(file.c_str());
  return descriptor;
}

void write_all(int descriptor, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t size = ::write(descriptor, bytes.data(), bytes.size());
    if (size < 0) fail_call("write");
    bytes.remove_prefix(static_cast<std::size_t>(size));
  }
}

void write_all_at(int descriptor, std::string_view bytes, off_t offset) {
  while (!bytes.empty()) {
    const ssize_t size = ::pwrite(descriptor, bytes.data(), bytes.size(), offset);
    if (size < 0) fail_call("pwrite");
    bytes.remove_prefix(static_cast<std::size_t>(size));
    offset += size;
  }
}

}  // namespace spillway
