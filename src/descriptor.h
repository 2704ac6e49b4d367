// A file descriptor that is closed with its object.
#pragma once

#include <unistd.h>

#include <utility>

namespace spillway {

class Descriptor {
 public:
  explicit Descriptor(int number = -1) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  [[nodiscard]] int get() const { return number_; }
  [[nodiscard]] bool is_open() const { return number_ >= 0; }
  // It is closed by somebody else from here on.
  [[nodiscard]] int release() { return std::exchange(number_, -1); }
  // For whom the answer of close(2) matters: 0, or -1 with errno.
  [[nodiscard]] int close() { return ::close(std::exchange(number_, -1)); }

 private:
  int number_;
};

}  // namespace spillway
