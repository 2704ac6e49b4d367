// Where a large file is cut into parts. Pure arithmetic: the bounds of part n follow from n and the
// size of part 1 alone, so that they can be known before the file's size is.
//
// Parts 1 to 1,000 have the first size, then each further 1,000 twice the size of the ones before,
// up to `largest` (a share of the memory budget: a part is held whole until B2 has acknowledged it).
#pragma once

#include <algorithm>
#include <cstdint>

#include "src/object_store.h"

namespace spillway {

class PartGrid {
 public:
  // B2 refuses parts below kSmallestPart: src/options.cpp sees to it that `first_size` is above.
  PartGrid(std::uint64_t first_size, std::uint64_t largest)
      : first_(first_size), largest_(std::max(largest, first_size)) {}

  [[nodiscard]] std::uint64_t first_size() const { return first_; }
  [[nodiscard]] std::uint64_t largest_size() const { return largest_; }

  [[nodiscard]] std::uint64_t size_of(PartNumber number) const {
    const auto doublings = static_cast<unsigned>((number - 1) / kStep);
    const std::uint64_t size = doublings >= 32 ? largest_ : first_ << doublings;
    return std::min(size, largest_);
  }
  [[nodiscard]] std::uint64_t offset_of(PartNumber number) const {
    std::uint64_t offset = 0;
    PartNumber at = 1;
    for (; at + kStep <= number; at += kStep) offset += size_of(at) * kStep;
    return offset + size_of(at) * static_cast<std::uint64_t>(number - at);
  }
  // The part that holds this byte. May be above kMostParts: the file is too large for the grid.
  [[nodiscard]] PartNumber part_at(std::uint64_t offset) const {
    PartNumber at = 1;
    std::uint64_t start = 0;
    while (at + kStep <= kMostParts + 1 && offset >= start + size_of(at) * kStep) {
      start += size_of(at) * kStep;
      at += kStep;
    }
    return at + static_cast<PartNumber>((offset - start) / size_of(at));
  }
  // Parts of a file of `size` bytes; 1 for an empty one.
  [[nodiscard]] PartNumber parts_of(std::uint64_t size) const {
    return size == 0 ? 1 : part_at(size - 1);
  }
  // The bytes of part `number` in a file of `size` bytes.
  [[nodiscard]] ByteRange range_of(PartNumber number, std::uint64_t size) const {
    const std::uint64_t start = std::min(offset_of(number), size);
    return {start, std::min(size_of(number), size - start)};
  }
  [[nodiscard]] std::uint64_t largest_file() const { return offset_of(kMostParts + 1); }

 private:
  static constexpr PartNumber kStep = 1'000;
  std::uint64_t first_;
  std::uint64_t largest_;
};

}  // namespace spillway
