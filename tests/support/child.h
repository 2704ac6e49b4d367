// A copy of the test's own process that works on files and is ended in the middle of it: what a
// program leaves behind that is killed.
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string_view>

#include "tests/support/process.h"

namespace spillway {

class Child {
 public:
  // The copy does `work`, with every descriptor the test has open, and then stands still with what
  // it opened itself. Waits until it does so, or has ended. Exit code 1: `work` threw.
  explicit Child(const std::function<void()>& work);
  ~Child();  // SIGKILL, and waits for the end
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  Child(Child&&) = delete;
  Child& operator=(Child&&) = delete;

  [[nodiscard]] bool stands_still() const { return stands_still_; }  // its work is done
  ExitCode kill(int signal);                                         // and waits for the end
  ExitCode wait();

 private:
  pid_t pid_ = -1;
  bool stands_still_ = false;
  std::optional<ExitCode> exit_code_;
};

// Throw std::system_error when the call fails.
[[nodiscard]] int open_file(const std::filesystem::path& file, int flags);
void write_all(int descriptor, std::string_view bytes);
void write_all_at(int descriptor, std::string_view bytes, off_t offset);

}  // namespace spillway
