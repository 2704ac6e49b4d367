#include "s3/body_source.h"

#include <algorithm>
#include <cstring>

namespace spillway::s3 {

std::uint64_t BodySource::size() const {
  std::uint64_t total = 0;
  for (const auto& piece : pieces_) total += piece.size();
  return total;
}

std::size_t BodySource::read(std::span<std::byte> buffer) {
  std::size_t filled = 0;
  while (filled < buffer.size() && piece_ < pieces_.size()) {
    const auto rest = pieces_[piece_].subspan(offset_);
    const auto count = std::min(rest.size(), buffer.size() - filled);
    if (count > 0) std::memcpy(buffer.data() + filled, rest.data(), count);
    filled += count;
    offset_ += count;
    if (count == rest.size()) {
      ++piece_;
      offset_ = 0;
    }
  }
  return filled;
}

}  // namespace spillway::s3
