// Where put takes its bytes from, and how it gives them to a mount of the same bucket that holds
// the shadow.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "src/error.h"
#include "src/path.h"

namespace spillway::cli {

class Source {
 public:
  // A file, or stdin for "-". local_error with a text for the user.
  static Result<std::unique_ptr<Source>> open(const std::string& name);
  ~Source();
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;

  // As many bytes as there are up to the size of `buffer`; 0 at the end.
  [[nodiscard]] Result<std::size_t> read(std::span<std::byte> buffer) const;
  [[nodiscard]] std::optional<std::uint64_t> size() const { return size_; }
  [[nodiscard]] bool can_rewind() const { return size_.has_value(); }
  Result<> rewind();

 private:
  explicit Source(int descriptor);
  int descriptor_;
  std::optional<std::uint64_t> size_;  // of a regular file
};

// "12.5 MiB of 40.0 MiB"
[[nodiscard]] std::string progress_text(std::uint64_t done, std::optional<std::uint64_t> of);

// The mountpoint of the mount that has this shadow, if it is there and lets us in.
[[nodiscard]] std::optional<std::string> mount_holding(const std::string& shadow);

// Copies `source` into the mount, with the directories it needs, and gives the file's
// `user.b2.result`.
[[nodiscard]] Result<std::string> hand_over(const std::string& mountpoint, const Path& path,
                                            const Source& source);

}  // namespace spillway::cli
