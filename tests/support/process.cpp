#include "tests/support/process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <system_error>
#include <thread>

extern char** environ;

namespace spillway {

namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kPoll = std::chrono::milliseconds(2);

// Everything the child needs between fork and exec, where nothing may allocate.
struct Launch {
  std::vector<std::string> arguments;
  std::vector<std::string> variables;
  std::vector<char*> argv;
  std::vector<char*> envp;
  int input = -1;
  int output = -1;
  int errors = -1;
  int report = -1;  // written to when exec fails, closed when it succeeds
  std::string directory;
  pid_t parent = 0;
};

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

std::vector<std::string> variables_for(const Command& command) {
  std::vector<std::string> variables;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string variable = *entry;
    const std::string name = variable.substr(0, variable.find('='));
    if (command.environment.contains(name)) continue;
    if (std::ranges::find(command.without, name) != command.without.end()) continue;
    variables.push_back(variable);
  }
  for (const auto& [name, value] : command.environment) variables.push_back(name + "=" + value);
  return variables;
}

int open_or_throw(const std::filesystem::path& path, int flags) {
  const int descriptor = ::open(path.c_str(), flags | O_CLOEXEC, 0600);
  if (descriptor < 0) throw std::system_error(errno, std::generic_category(), path);
  return descriptor;
}

[[noreturn]] void give_up(int report) {
  const int error = errno;
  const ssize_t ignored = ::write(report, &error, sizeof error);
  static_cast<void>(ignored);
  ::_exit(127);
}

// In the child.
[[noreturn]] void become(const Launch& launch) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != launch.parent) ::_exit(127);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::dup2(launch.input, STDIN_FILENO);
  ::dup2(launch.output, STDOUT_FILENO);
  ::dup2(launch.errors, STDERR_FILENO);
  if (!launch.directory.empty() && ::chdir(launch.directory.c_str()) != 0) give_up(launch.report);
  environ = const_cast<char**>(launch.envp.data());
  ::execvp(launch.argv.front(), launch.argv.data());
  give_up(launch.report);
}

// The errno of a failed exec, or 0.
int exec_error(int descriptor) {
  int error = 0;
  while (::read(descriptor, &error, sizeof error) < 0 && errno == EINTR) {
  }
  return error;
}

ExitCode exit_code_of(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

bool accepts(int port) {
  const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool connected =
      ::connect(descriptor, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  ::close(descriptor);
  return connected;
}

// Polls `condition` until it holds or `limit` has passed.
template <class Condition>
bool holds_within(Process::Milliseconds limit, Condition condition) {
  const auto deadline = Clock::now() + limit;
  while (!condition()) {
    if (Clock::now() >= deadline) return false;
    std::this_thread::sleep_for(kPoll);
  }
  return true;
}

}  // namespace

Process::Process(const Command& command) {
  Launch launch;
  launch.arguments = command.arguments;
  launch.variables = variables_for(command);
  launch.argv = pointers_to(launch.arguments);
  launch.envp = pointers_to(launch.variables);
  launch.directory = command.directory;
  launch.parent = ::getpid();
  launch.input = open_or_throw(command.input.empty() ? "/dev/null" : command.input, O_RDONLY);
  launch.output = open_or_throw(files_ / "output", O_WRONLY | O_CREAT | O_APPEND);
  launch.errors = open_or_throw(files_ / "errors", O_WRONLY | O_CREAT | O_APPEND);
  std::array<int, 2> report{};
  if (::pipe2(report.data(), O_CLOEXEC) != 0) {
    throw std::system_error(errno, std::generic_category(), "pipe");
  }
  launch.report = report[1];
  pid_ = ::fork();
  if (pid_ == 0) become(launch);
  for (const int descriptor : {launch.input, launch.output, launch.errors, launch.report}) {
    ::close(descriptor);
  }
  const int error = pid_ < 0 ? errno : exec_error(report[0]);
  ::close(report[0]);
  if (error == 0) return;
  if (pid_ > 0) reap(true);
  throw std::system_error(error, std::generic_category(), command.arguments.at(0));
}

Process::~Process() {
  kill();
}

bool Process::reap(bool block) {
  if (exit_code_) return true;
  int status = 0;
  pid_t ended = 0;
  do {
    ended = ::waitpid(pid_, &status, block ? 0 : WNOHANG);
  } while (ended < 0 && errno == EINTR);
  if (ended == pid_) exit_code_ = exit_code_of(status);
  return exit_code_.has_value();
}

bool Process::running() {
  return !reap(false);
}

void Process::send_signal(int signal) const {
  if (!exit_code_) ::kill(pid_, signal);
}

std::optional<ExitCode> Process::wait(Milliseconds limit) {
  holds_within(limit, [this] { return reap(false); });
  return exit_code_;
}

ExitCode Process::stop(Milliseconds grace) {
  send_signal(SIGTERM);
  if (!wait(grace)) kill();
  return *exit_code_;
}

// The group is killed even when its leader has ended: what a shell left in the background goes too.
void Process::kill() {
  ::kill(-pid_, SIGKILL);
  reap(true);
}

std::string Process::output() const {
  return read_file(files_ / "output");
}

std::string Process::errors() const {
  return read_file(files_ / "errors");
}

bool Process::wait_for_text(std::string_view text, Milliseconds limit) {
  const auto seen = [&] {
    return output().find(text) != std::string::npos || errors().find(text) != std::string::npos;
  };
  holds_within(limit, [&] { return seen() || !running(); });
  return seen();
}

Finished run(const Command& command, Process::Milliseconds limit) {
  Process process(command);
  const auto exit_code = process.wait(limit);
  if (!exit_code) process.kill();
  return {exit_code.value_or(124), process.output(), process.errors()};
}

bool wait_for_port(int port, Process::Milliseconds limit) {
  return holds_within(limit, [port] { return accepts(port); });
}

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void write_file(const std::filesystem::path& path, std::string_view content) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(content.data(), static_cast<std::streamsize>(content.size()));
  file.close();
  if (!file) throw std::runtime_error("can't write " + path.string());
}

}  // namespace spillway
