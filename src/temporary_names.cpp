#include "src/temporary_names.h"

#include <algorithm>

namespace spillway {
namespace {

bool is_alphanumeric(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_rsync_name(std::string_view name) {
  constexpr std::size_t kSuffix = 7;  // ".XXXXXX"
  if (name.size() < kSuffix + 2 || name.front() != '.') return false;
  const std::string_view suffix = name.substr(name.size() - kSuffix);
  return suffix.front() == '.' && std::ranges::all_of(suffix.substr(1), is_alphanumeric);
}

bool is_editor_name(std::string_view name) {
  return name == "4913" || name.ends_with('~') || name.starts_with(".goutputstream-") ||
         name.ends_with(".part") || name.ends_with(".crdownload") || name.ends_with(".tmp");
}

}  // namespace

bool is_temporary_name(std::string_view name, TempNames which) {
  if (which == TempNames::commit) return false;
  return is_rsync_name(name) || (which == TempNames::wide && is_editor_name(name));
}

}  // namespace spillway
