// The body of a request on its way out: several stretches of memory, read as one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace spillway::s3 {

class BodySource {
 public:
  // The pieces stay valid and unchanged as long as the source lives.
  explicit BodySource(std::span<const std::span<const std::byte>> pieces) : pieces_(pieces) {}

  [[nodiscard]] std::uint64_t size() const;

  // Fills the buffer as far as the body reaches; 0 only at its end.
  std::size_t read(std::span<std::byte> buffer);

 private:
  std::span<const std::span<const std::byte>> pieces_;
  std::size_t piece_ = 0;
  std::size_t offset_ = 0;  // in pieces_[piece_]
};

}  // namespace spillway::s3
