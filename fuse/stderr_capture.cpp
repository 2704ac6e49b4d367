#include "fuse/stderr_capture.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cstdio>

namespace spillway::kernel {

StderrCapture::StderrCapture() : held_(::memfd_create("stderr", MFD_CLOEXEC)) {
  if (held_ < 0) return;
  original_ = ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  if (original_ >= 0) ::dup2(held_, STDERR_FILENO);
}

StderrCapture::~StderrCapture() {
  const auto left = restore();
  std::fputs(left.c_str(), stderr);
  if (held_ >= 0) ::close(held_);
}

std::string StderrCapture::take() {
  auto text = restore();
  while (text.ends_with('\n')) text.pop_back();
  return text;
}

std::string StderrCapture::restore() {
  if (original_ < 0) return {};
  std::fflush(stderr);
  ::dup2(original_, STDERR_FILENO);
  ::close(original_);
  original_ = -1;
  std::string text;
  std::array<char, 512> piece{};
  for (off_t at = 0;;) {
    const ssize_t got = ::pread(held_, piece.data(), piece.size(), at);
    if (got <= 0) return text;
    text.append(piece.data(), static_cast<std::size_t>(got));
    at += got;
  }
}

}  // namespace spillway::kernel
