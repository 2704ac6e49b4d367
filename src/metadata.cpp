#include "src/metadata.h"

#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <string_view>

#include "src/metadata_xattrs.h"

namespace spillway {
namespace {

using std::chrono::floor;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

constexpr std::string_view kDigits = "0123456789";
constexpr std::int64_t kNanoseconds = 1'000'000'000;
// What a WallTime holds, in whole seconds: the years 1677 to 2262.
constexpr std::int64_t kMostSeconds = std::numeric_limits<std::int64_t>::max() / kNanoseconds - 1;
// No more of other tools' metadata than B2 takes for an object.
constexpr std::size_t kMostForeign = 7'000;

template <class Number>
std::optional<Number> whole(std::string_view text) {
  Number number{};
  const auto* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || rest != end) return std::nullopt;
  return number;
}

bool is_printable(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; });
}

bool is_header_name(std::string_view name) {
  return !name.empty() && name.size() <= 50 && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  });
}

// --- mtime

std::string to_seconds(WallTime time) {
  const std::int64_t count = time.time_since_epoch().count();
  const auto size = count < 0 ? 0U - static_cast<std::uint64_t>(count)
                              : static_cast<std::uint64_t>(count);
  constexpr auto kUnit = static_cast<std::uint64_t>(kNanoseconds);
  std::string text = (count < 0 ? "-" : "") + std::to_string(size / kUnit);
  if (size % kUnit != 0) {
    const std::string fraction = std::to_string(size % kUnit);
    text += "." + std::string(9 - fraction.size(), '0') + fraction;
  }
  return text;
}

// Digits after the point: more than nine are cut off.
std::optional<std::int64_t> nanoseconds_of(std::string_view fraction) {
  if (fraction.empty() || fraction.find_first_not_of(kDigits) != std::string_view::npos) {
    return std::nullopt;
  }
  std::string nine(fraction.substr(0, 9));
  nine.resize(9, '0');
  return whole<std::int64_t>(nine);
}

std::optional<WallTime> time_from_seconds(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  if (text.starts_with('-')) return std::nullopt;
  const auto point = text.find('.');
  const auto full = whole<std::int64_t>(text.substr(0, point));
  const auto fraction = point == std::string_view::npos ? std::optional<std::int64_t>(0)
                                                        : nanoseconds_of(text.substr(point + 1));
  if (!full || !fraction || *full > kMostSeconds) return std::nullopt;
  const std::int64_t size = *full * kNanoseconds + *fraction;
  return WallTime(nanoseconds(negative ? -size : size));
}

std::optional<WallTime> time_from_milliseconds(std::string_view text) {
  const auto count = whole<std::int64_t>(text);
  if (!count || *count < 0 || *count / 1'000 > kMostSeconds) return std::nullopt;
  return WallTime(milliseconds(*count));
}

// --- mode

std::uint32_t type_bits(FileKind kind) {
  switch (kind) {
    case FileKind::regular: return S_IFREG;
    case FileKind::directory: return S_IFDIR;
    case FileKind::symlink: return S_IFLNK;
    case FileKind::fifo: return S_IFIFO;
    case FileKind::socket: return S_IFSOCK;
  }
  return S_IFREG;
}

std::uint32_t default_permissions(FileKind kind) {
  switch (kind) {
    case FileKind::directory: return 0755;
    case FileKind::symlink: return 0777;
    case FileKind::regular:
    case FileKind::fifo:
    case FileKind::socket: break;
  }
  return 0644;
}

// nullopt for devices too: none is ever made from a bucket's word.
std::optional<FileKind> kind_of(std::uint32_t mode) {
  switch (mode & S_IFMT) {
    case 0:  // written by tools that keep the permissions alone
    case S_IFREG: return FileKind::regular;
    case S_IFDIR: return FileKind::directory;
    case S_IFLNK: return FileKind::symlink;
    case S_IFIFO: return FileKind::fifo;
    case S_IFSOCK: return FileKind::socket;
    default: return std::nullopt;
  }
}

void read_mode(std::string_view text, Metadata& metadata) {
  constexpr std::uint32_t kAllBits = 0177777;
  constexpr std::uint32_t kTrustedPermissions = 01777;  // the sticky bit, but no set-id
  const auto mode = whole<std::uint32_t>(text);
  if (!mode || *mode > kAllBits) return;
  const auto kind = kind_of(*mode);
  if (!kind) return;
  metadata.kind = *kind;
  metadata.permissions = *mode & kTrustedPermissions;
}

// --- the rest

std::optional<std::uint32_t> id_from(std::string_view text) {
  const auto id = whole<std::uint32_t>(text);
  // The highest one means "no change" to the kernel.
  return id != std::numeric_limits<std::uint32_t>::max() ? id : std::nullopt;
}

bool is_correlation_id(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
  });
}

bool is_sha256(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// Reads one entry; false where the name is none of ours, or its value is to be kept as it is.
bool read_entry(const std::string& name, const std::string& value, Metadata& metadata) {
  if (name == "mtime") {
    if (const auto time = time_from_seconds(value)) metadata.mtime = time;
  } else if (name == "src_last_modified_millis") {
    if (!metadata.mtime) metadata.mtime = time_from_milliseconds(value);
  } else if (name == "mode") {
    read_mode(value, metadata);
  } else if (name == "uid") {
    metadata.uid = id_from(value);
  } else if (name == "gid") {
    metadata.gid = id_from(value);
  } else if (name == "spillway-id") {
    if (is_correlation_id(value)) metadata.correlation_id = value;
  } else if (name == "sha256") {
    if (is_sha256(value)) metadata.sha256 = value;
  } else if (name == "spillway-writer-killed") {
    metadata.writer_killed = value == "true";
  } else if (name == kXattrsName) {
    auto xattrs = xattrs_from_text(value);
    if (!xattrs) return false;
    metadata.xattrs = *std::move(xattrs);
  } else {
    return false;
  }
  return true;
}

void write_times(const Metadata& metadata, MetadataMap& map) {
  if (!metadata.mtime) return;
  map.insert_or_assign("mtime", to_seconds(*metadata.mtime));
  const auto count = floor<milliseconds>(*metadata.mtime).time_since_epoch().count();
  // B2 takes no negative number under this name.
  if (count >= 0) map.insert_or_assign("src_last_modified_millis", std::to_string(count));
}

}  // namespace

MetadataMap to_map(const Metadata& metadata) {
  MetadataMap map;
  for (const auto& [name, value] : metadata.foreign) {
    if (is_header_name(name) && is_printable(value)) map.emplace(name, value);
  }
  write_times(metadata, map);
  if (metadata.permissions || metadata.kind != FileKind::regular) {
    const auto permissions = metadata.permissions.value_or(default_permissions(metadata.kind));
    map.insert_or_assign("mode", std::to_string(type_bits(metadata.kind) | (permissions & 07777U)));
  }
  if (metadata.uid) map.insert_or_assign("uid", std::to_string(*metadata.uid));
  if (metadata.gid) map.insert_or_assign("gid", std::to_string(*metadata.gid));
  if (is_correlation_id(metadata.correlation_id)) {
    map.insert_or_assign("spillway-id", metadata.correlation_id);
  }
  if (is_sha256(metadata.sha256)) map.insert_or_assign("sha256", metadata.sha256);
  if (metadata.writer_killed) map.insert_or_assign("spillway-writer-killed", "true");
  if (!metadata.xattrs.empty()) {
    map.insert_or_assign(std::string(kXattrsName), xattrs_to_text(metadata.xattrs));
  }
  return map;
}

bool says_the_same(const Metadata& one, const Metadata& other) {
  const auto as_stored = [](Metadata metadata) {
    metadata.correlation_id.clear();
    metadata.sha256.clear();
    return metadata_from(to_map(metadata));
  };
  return as_stored(one) == as_stored(other);
}

Metadata metadata_from(const MetadataMap& map) {
  Metadata metadata;
  std::size_t foreign = 0;
  // In the order of the names: "mtime" comes before "src_last_modified_millis", which yields to it.
  for (const auto& [name, value] : map) {
    if (read_entry(name, value, metadata)) continue;
    if (!is_header_name(name) || !is_printable(value)) continue;
    foreign += name.size() + value.size();
    if (foreign <= kMostForeign) metadata.foreign.emplace(name, value);
  }
  return metadata;
}

}  // namespace spillway
