// Child processes of tests: started with their output captured, never left behind.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/temp_directory.h"

namespace spillway {

struct Command {
  std::vector<std::string> arguments;              // the program first; found by PATH
  std::map<std::string, std::string> environment;  // added to that of the test
  std::vector<std::string> without;                // variables that the child must not see
  std::filesystem::path directory;                 // to work in; empty: that of the test
  std::filesystem::path input;                     // what stdin reads; empty: /dev/null
};

// Of a process that ended: its exit code, or 128 + the signal that killed it.
using ExitCode = int;

// Runs in a process group of its own, which is killed with this object; if the test itself dies,
// the child is killed by the kernel. (That happens when the *thread* that started it ends: start
// children from the test's main thread.)
class Process {
 public:
  using Milliseconds = std::chrono::milliseconds;

  // Throws std::system_error when there is no such program.
  explicit Process(const Command& command);
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  Process(Process&&) = delete;
  Process& operator=(Process&&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] bool running();
  void send_signal(int signal) const;  // to the process alone

  // nullopt: it still runs after `limit`.
  std::optional<ExitCode> wait(Milliseconds limit = std::chrono::minutes(1));
  // SIGTERM, then SIGKILL to the group if it has not ended within `grace`.
  ExitCode stop(Milliseconds grace = std::chrono::seconds(10));
  // SIGKILL to the group, and waits for the end.
  void kill();

  // What it has written so far.
  [[nodiscard]] std::string output() const;
  [[nodiscard]] std::string errors() const;
  // Waits until stdout or stderr holds `text`. False: it ended, or `limit` passed, without it.
  bool wait_for_text(std::string_view text, Milliseconds limit = std::chrono::seconds(30));

 private:
  bool reap(bool block);

  TempDirectory files_;
  pid_t pid_ = -1;
  std::optional<ExitCode> exit_code_;
};

struct Finished {
  ExitCode exit_code = 0;  // 124: it was killed when `limit` had passed
  std::string output;
  std::string errors;
};

[[nodiscard]] Finished run(const Command& command,
                           Process::Milliseconds limit = std::chrono::minutes(2));

// Whether somebody accepts connections at 127.0.0.1:port within `limit`.
[[nodiscard]] bool wait_for_port(int port, Process::Milliseconds limit = std::chrono::seconds(30));

[[nodiscard]] std::string read_file(const std::filesystem::path& path);
void write_file(const std::filesystem::path& path, std::string_view content);

}  // namespace spillway
