// A PlainTree mounted through the real kernel on a directory of its own, taken away again after
// each test whatever happened in it.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <future>
#include <memory>
#include <string>
#include <thread>

#include "fuse/mount.h"
#include "src/executor.h"
#include "tests/support/plain_tree.h"

namespace spillway::test {

// Closes what it holds.
class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() { close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  operator int() const { return number_; }  // NOLINT(google-explicit-constructor)
  int close();  // what close(2) gave

 private:
  int number_;
};

class MountedTree : public testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  // Mounts and serves; returns when the mount works.
  void start();
  // Ends it from this thread, and gives what run() gave.
  Result<> stop();
  [[nodiscard]] bool is_mounted() const;

  [[nodiscard]] std::string path(const std::string& name = "") const;
  [[nodiscard]] Descriptor open(const std::string& name, int flags, unsigned mode = 0644) const;
  void write_file(const std::string& name, const std::string& bytes) const;
  [[nodiscard]] std::string read_file(const std::string& name) const;
  [[nodiscard]] struct stat stat_of(const std::string& name) const;
  // 0, or the errno of stat(2).
  [[nodiscard]] int stat_error(const std::string& name) const;
  // Fails the verb from now on.
  void fail_with(const std::string& verb, ErrorCode code);

  std::unique_ptr<Executor> executor_ = make_thread_executor(8);
  PlainTree tree_;
  kernel::MountSettings settings_;  // for start()
  std::unique_ptr<kernel::Mount> mount_;
  std::string mountpoint_;

 private:
  std::thread server_;
  std::promise<Result<>> outcome_;
};

// How long `call` takes.
template <class Call>
std::chrono::milliseconds time_of(Call call) {
  const auto begun = std::chrono::steady_clock::now();
  call();
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                               begun);
}

// The errno of a call that gave -1; 0 of one that did not.
[[nodiscard]] int error_of(long outcome);

}  // namespace spillway::test
