#include "src/path.h"

#include <algorithm>

#include "src/object_store.h"
#include "src/utf8.h"

namespace spillway {
namespace {

bool can_be_segment(std::string_view segment) {
  return !segment.empty() && segment != "." && segment != ".." &&
         segment.size() <= kLongestShownName && !segment.contains('/') && !segment.contains('\0');
}

// Calls `visit` with each segment until it returns false; whether it never did.
template <class Visit>
bool every_segment(std::string_view text, Visit visit) {
  while (true) {
    const auto slash = text.find('/');
    if (!visit(text.substr(0, slash))) return false;
    if (slash == std::string_view::npos) return true;
    text.remove_prefix(slash + 1);
  }
}

}  // namespace

std::optional<Path> Path::parse(std::string_view text) {
  if (text.empty()) return Path();
  if (!every_segment(text, can_be_segment)) return std::nullopt;
  return Path(std::string(text));
}

std::optional<Path> Path::child(std::string_view name) const {
  if (!can_be_segment(name)) return std::nullopt;
  return Path(prefix() + std::string(name));
}

std::string_view Path::name() const {
  const auto slash = text_.rfind('/');
  return std::string_view(text_).substr(slash == std::string::npos ? 0 : slash + 1);
}

Path Path::parent() const {
  const auto slash = text_.rfind('/');
  return slash == std::string::npos ? Path() : Path(text_.substr(0, slash));
}

bool Path::is_within(const Path& ancestor) const {
  return *this == ancestor || text_.starts_with(ancestor.prefix());
}

Path Path::rebased(const Path& from, const Path& to) const {
  if (*this == from) return to;
  return Path(to.prefix() + text_.substr(from.prefix().size()));
}

Result<> check_creatable(const Path& path) {
  const std::string& text = path.text();
  const auto is_control = [](unsigned char byte) { return byte < 0x20 || byte == 0x7f; };
  if (text.empty() || std::ranges::any_of(text, is_control) || !is_utf8(text)) {
    return fail(ErrorCode::invalid_argument,
                "B2 takes names in UTF-8 without control characters only");
  }
  const auto fits = [](std::string_view segment) { return segment.size() <= kLongestName; };
  if (text.size() > kLongestKey || !every_segment(text, fits)) {
    return fail(ErrorCode::name_too_long,
                "B2 takes names of up to 250 bytes, and up to 1,024 for the whole path");
  }
  return {};
}

}  // namespace spillway
