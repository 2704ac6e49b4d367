// Holds back what is written to stderr, by this process and by programs it starts, for as long as
// it lives: libfuse and fusermount3 have no other way to say why a mount failed. Not for longer
// than one call: other threads' messages are held back as well.
#pragma once

#include <string>

namespace spillway::kernel {

class StderrCapture {
 public:
  StderrCapture();
  // Passes on what nobody took.
  ~StderrCapture();
  StderrCapture(const StderrCapture&) = delete;
  StderrCapture& operator=(const StderrCapture&) = delete;

  // All that was written, without the last newline; stderr is itself again.
  [[nodiscard]] std::string take();

 private:
  std::string restore();

  int held_ = -1;      // a file in memory
  int original_ = -1;  // -1: nothing is held back, any more or at all
};

}  // namespace spillway::kernel
