#include "s3/object_headers.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <charconv>

#include "s3/dates.h"
#include "s3/xml.h"

namespace spillway::s3 {
namespace {

constexpr std::string_view kMetadataPrefix = "x-amz-meta-";

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& character : result) {
    if (character >= 'A' && character <= 'Z') character = static_cast<char>(character - 'A' + 'a');
  }
  return result;
}

bool is_lower_hex_or_digit(char character) {
  return (character >= '0' && character <= '9') || (character >= 'a' && character <= 'f');
}

bool is_metadata_name(std::string_view name) {
  return !name.empty() && std::ranges::all_of(name, [](char character) {
    return (character >= 'a' && character <= 'z') || (character >= '0' && character <= '9') ||
           character == '.' || character == '_' || character == '-';
  });
}

bool is_printable_ascii(std::string_view text) {
  return std::ranges::all_of(text,
                             [](char character) { return character >= 0x20 && character < 0x7f; });
}

// The number at the start of `text`, which is taken off.
std::optional<std::uint64_t> take_number(std::string_view& text) {
  std::uint64_t number = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (problem != std::errc{}) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return number;
}

bool take_text(std::string_view& text, std::string_view expected) {
  if (!text.starts_with(expected)) return false;
  text.remove_prefix(expected.size());
  return true;
}

// Servers whose versions are switched off say "null". To remove that version is to remove whatever
// is there now, so it must not pass for the id of one.
VersionId version_of(const Headers& headers) {
  const auto version = headers.get("x-amz-version-id");
  return version == "null" ? VersionId() : VersionId(version);
}

}  // namespace

Result<> add_object_headers(Headers& headers, const std::string& content_type,
                            const MetadataMap& metadata) {
  if (!is_printable_ascii(content_type)) {
    return fail(ErrorCode::invalid_request, "the content type is not printable ASCII");
  }
  if (!content_type.empty()) headers.add("content-type", content_type);
  for (const auto& [name, value] : metadata) {
    if (!is_metadata_name(name)) {
      return fail(ErrorCode::invalid_request, "a name of metadata has forbidden characters");
    }
    if (!is_printable_ascii(value)) {
      return fail(ErrorCode::invalid_request, "the metadata " + name + " is not printable ASCII");
    }
    headers.add(std::string(kMetadataPrefix) + name, value);
  }
  return {};
}

ObjectInfo object_from(const Key& key, const Headers& headers) {
  ObjectInfo object;
  object.key = key;
  object.size = content_length(headers).value_or(0);
  object.etag = unquoted(headers.get("etag"));
  object.version_id = version_of(headers);
  object.last_modified = parse_http_date(headers.get("last-modified")).value_or(WallTime{});
  object.content_type = headers.get("content-type");
  for (const auto& [name, value] : headers) {
    const std::string lower_name = lower(name);
    if (!lower_name.starts_with(kMetadataPrefix)) continue;
    object.metadata.try_emplace(lower_name.substr(kMetadataPrefix.size()), value);
  }
  return object;
}

StoredObject stored_from(const Key& key, const Headers& headers, WallTime now) {
  StoredObject stored;
  stored.key = key;
  stored.etag = unquoted(headers.get("etag"));
  stored.version_id = version_of(headers);
  stored.request_id = headers.get("x-amz-request-id");
  stored.date = parse_http_date(headers.get("date")).value_or(now);
  return stored;
}

std::optional<std::uint64_t> content_length(const Headers& headers) {
  auto text = headers.get("content-length");
  const auto number = take_number(text);
  return text.empty() ? number : std::nullopt;
}

std::optional<ContentRange> content_range(const Headers& headers) {
  auto text = headers.get("content-range");
  if (!take_text(text, "bytes ")) return std::nullopt;
  const auto first = take_number(text);
  if (!first || !take_text(text, "-")) return std::nullopt;
  const auto last = take_number(text);
  if (!last || !take_text(text, "/")) return std::nullopt;
  const auto total = take_number(text);
  if (!total || !text.empty() || *last < *first || *last >= *total) return std::nullopt;
  return ContentRange{{*first, *last - *first + 1}, *total};
}

std::string range_text(ByteRange range) {
  return fmt::format("bytes={}-{}", range.offset, range.end() - 1);
}

bool looks_like_md5(std::string_view etag) {
  return etag.size() == 32 && std::ranges::all_of(etag, is_lower_hex_or_digit);
}

}  // namespace spillway::s3
