#include "fuse/mount_table.h"

#include <charconv>
#include <fstream>
#include <iterator>
#include <ranges>

namespace spillway::kernel {
namespace {

// Blanks, tabs, newlines and backslashes are written as \ooo.
std::string unescaped(std::string_view text) {
  constexpr std::size_t kDigits = 3;
  std::string out;
  while (!text.empty()) {
    unsigned value = 0;
    const bool escape = text.front() == '\\' && text.size() > kDigits &&
                        std::from_chars(&text[1], &text[1] + kDigits, value, 8).ec == std::errc();
    out += escape ? static_cast<char>(value) : text.front();
    text.remove_prefix(escape ? kDigits + 1 : 1);
  }
  return out;
}

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  for (const auto word : std::views::split(line, ' ')) words.emplace_back(word.begin(), word.end());
  return words;
}

// "36 35 98:0 /root /mount/point options optional… - type source superoptions"
std::optional<MountedHere> entry_of(std::string_view line) {
  constexpr std::size_t kDevice = 2;
  constexpr std::size_t kMountpoint = 4;
  const auto separator = line.find(" - ");
  if (separator == std::string_view::npos) return std::nullopt;
  const auto before = words_of(line.substr(0, separator));
  const auto after = words_of(line.substr(separator + 3));
  if (before.size() <= kMountpoint || after.size() < 2) return std::nullopt;
  return MountedHere{.device = std::string(before[kDevice]),
                     .mountpoint = unescaped(before[kMountpoint]),
                     .type = unescaped(after[0]),
                     .source = unescaped(after[1])};
}

}  // namespace

std::vector<MountedHere> parse_mountinfo(std::string_view text) {
  std::vector<MountedHere> entries;
  for (const auto line : std::views::split(text, '\n')) {
    if (auto entry = entry_of({line.begin(), line.end()})) entries.push_back(*std::move(entry));
  }
  return entries;
}

std::optional<MountedHere> mounted_at(const std::string& mountpoint) {
  std::ifstream file("/proc/self/mountinfo");
  const std::string text(std::istreambuf_iterator<char>(file), {});
  const auto entries = parse_mountinfo(text);
  for (const auto& entry : std::views::reverse(entries)) {
    if (entry.mountpoint == mountpoint) return entry;
  }
  return std::nullopt;
}

}  // namespace spillway::kernel
