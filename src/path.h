// A place in the mounted tree: segments joined by '/', no slash at either end; the root is empty.
// A Path is made only by Path::parse() or Path::child(), so one that exists can be walked safely:
// no empty segment, no "." or "..", no NUL, no segment over NAME_MAX.
#pragma once

#include <compare>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "src/error.h"

namespace spillway {

// The longest segment that can be created: B2 refuses longer ones.
inline constexpr std::size_t kLongestName = 250;
// The longest segment that is shown: what the kernel takes.
inline constexpr std::size_t kLongestShownName = 255;

class Path {
 public:
  Path() = default;  // the root

  // nullopt where `text` can't be a path. A trailing slash is not accepted.
  [[nodiscard]] static std::optional<Path> parse(std::string_view text);

  // nullopt where `name` can't be a segment.
  [[nodiscard]] std::optional<Path> child(std::string_view name) const;

  [[nodiscard]] bool is_root() const { return text_.empty(); }
  [[nodiscard]] const std::string& text() const { return text_; }  // also the object's key
  [[nodiscard]] std::string_view name() const;                     // last segment; "" for the root
  [[nodiscard]] Path parent() const;                               // the root's parent is the root
  // Whether this path is `ancestor` or lies below it.
  [[nodiscard]] bool is_within(const Path& ancestor) const;
  // This path with the leading `from` replaced by `to`. Precondition: is_within(from).
  [[nodiscard]] Path rebased(const Path& from, const Path& to) const;
  // The key of the directory's marker object, and the prefix of what it holds: "name/"; "" for
  // the root.
  [[nodiscard]] std::string prefix() const { return text_.empty() ? "" : text_ + "/"; }

  friend auto operator<=>(const Path&, const Path&) = default;
  friend bool operator==(const Path&, const Path&) = default;

 private:
  explicit Path(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

// Whether a file may be created under this path: name_too_long for a segment over kLongestName or
// a key over B2's limit, invalid_argument for bytes below 0x20, 0x7f or text that is not UTF-8.
[[nodiscard]] Result<> check_creatable(const Path& path);

}  // namespace spillway

template <>
struct std::hash<spillway::Path> {
  std::size_t operator()(const spillway::Path& path) const noexcept {
    return std::hash<std::string>{}(path.text());
  }
};
