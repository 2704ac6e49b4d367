// Where each part of a file that is open for writing has its newest bytes. Pure bookkeeping: part n
// is PartGrid's part n, whole parts only, so that a file of any size costs a few bytes a part.
#pragma once

#include <cstdint>
#include <vector>

#include "src/part_grid.h"

namespace spillway {

class Extents {
 public:
  enum class Source : std::uint8_t {
    base,      // unchanged since the version that was opened
    ram,       // in a buffer
    uploaded,  // only in B2's unfinished upload: can't be read back
    shadow,    // in the shadow's draft
  };

  // All of the file is its base; 0 bytes for a new one.
  Extents(const PartGrid& grid, std::uint64_t base_size) : grid_(grid), size_(base_size) {
    sources_.assign(count_for(base_size), Source::base);
  }

  [[nodiscard]] const PartGrid& grid() const { return grid_; }
  [[nodiscard]] std::uint64_t size() const { return size_; }
  // Parts that hold bytes: 0 for an empty file.
  [[nodiscard]] PartNumber parts() const { return static_cast<PartNumber>(sources_.size()); }
  [[nodiscard]] ByteRange range_of(PartNumber number) const {
    return grid_.range_of(number, size_);
  }
  // Parts past the end count as `ram`: nothing of them has to be fetched.
  [[nodiscard]] Source source_of(PartNumber number) const {
    return number > parts() ? Source::ram : sources_[index(number)];
  }
  void set_source(PartNumber number, Source source) { sources_[index(number)] = source; }

  // The parts that come in with a growing file have `source`; those past a shrinking file's end are
  // gone, also when it grows again.
  void resize(std::uint64_t size, Source source) {
    size_ = size;
    sources_.resize(count_for(size), source);
  }

  [[nodiscard]] bool has(Source source) const {
    for (const Source each : sources_) {
      if (each == source) return true;
    }
    return false;
  }

 private:
  [[nodiscard]] std::size_t count_for(std::uint64_t size) const {
    return size == 0 ? 0 : static_cast<std::size_t>(grid_.parts_of(size));
  }
  static std::size_t index(PartNumber number) { return static_cast<std::size_t>(number - 1); }

  PartGrid grid_;
  std::uint64_t size_;
  std::vector<Source> sources_;
};

}  // namespace spillway
