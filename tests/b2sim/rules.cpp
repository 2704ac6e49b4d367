#include "tests/b2sim/rules.h"

#include <algorithm>
#include <array>

#include "tests/b2sim/refusal.h"

namespace b2sim {

namespace {

constexpr std::string_view kMetadataPrefix = "x-amz-meta-";
constexpr std::size_t kLongestKey = 1'024;
constexpr std::size_t kLongestSegment = 250;
constexpr std::size_t kLongestMetadataName = 50;

// Length of the UTF-8 sequence that `text` starts with; 0 if it starts with none.
std::size_t sequence_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0U) != 0x80) return 0;
  }
  const unsigned char second = byte(1);
  const bool overlong = (lead == 0xE0 && second < 0xA0) || (lead == 0xF0 && second < 0x90);
  const bool surrogate = lead == 0xED && second > 0x9F;
  const bool too_high = lead == 0xF4 && second > 0x8F;
  return overlong || surrogate || too_high ? 0 : length;
}

bool valid_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = sequence_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

bool control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte < 0x20 || byte == 0x7f;
}

bool printable_ascii(const std::string& text) {
  return std::ranges::all_of(text, [](char c) { return c >= 0x20 && c < 0x7f; });
}

void check_segments(const std::string& key) {
  std::size_t start = 0;
  while (start <= key.size()) {
    const std::size_t end = std::min(key.find('/', start), key.size());
    if (end - start > kLongestSegment) {
      throw invalid_argument("File name segments must be at most 250 bytes");
    }
    start = end + 1;
  }
}

bool unsupported(std::string_view name) {
  constexpr std::array<std::string_view, 5> kPrefixes = {
      "x-amz-checksum-", "x-amz-sdk-checksum", "x-amz-tagging", "x-amz-grant-", "x-amz-trailer"};
  return name == "x-amz-website-redirect-location" || name == "x-amz-decoded-content-length" ||
         std::ranges::any_of(kPrefixes, [&](auto prefix) { return name.starts_with(prefix); });
}

Refusal unsupported_header(const std::string& name, int status, const char* code) {
  return {status, code, "Unsupported header '" + name + "' received for this API call."};
}

}  // namespace

void check_key(const std::string& key, const Limits& limits) {
  if (key.empty()) throw invalid_argument("File names must contain at least one character");
  if (key.size() > kLongestKey) {
    throw Refusal(400, "KeyTooLongError", "Your key is too long.");
  }
  if (!valid_utf8(key)) throw invalid_argument("File names must be valid UTF-8");
  if (std::ranges::any_of(key, control)) {
    throw invalid_argument("File names must not contain characters below 0x20 or DEL");
  }
  if (key.starts_with('/')) throw invalid_argument("File names must not start with '/'");
  if (key.find("//") != std::string::npos) {
    throw invalid_argument("File names must not contain '//'");
  }
  if (!limits.directory_markers && key.ends_with('/')) {
    throw invalid_argument("File names must not end with '/'");
  }
  check_segments(key);
}

void check_headers(const Request& request) {
  for (const auto& [name, value] : request.headers) {
    if (unsupported(name)) throw unsupported_header(name, 400, "InvalidArgument");
    if (name == "content-encoding" && value.find("aws-chunked") != std::string::npos) {
      throw unsupported_header(name, 400, "InvalidArgument");
    }
    if (name == "x-amz-acl" && value != "private") {
      throw invalid_argument("Unsupported value for canned acl '" + value + "'");
    }
  }
  if (request.method != "PUT" && request.method != "POST") return;
  for (const char* name : {"if-match", "if-none-match"}) {
    if (request.header(name) != nullptr) throw unsupported_header(name, 501, "NotImplemented");
  }
}

void check_metadata(const std::string& key, const Metadata& metadata, const Limits& limits) {
  std::size_t total = key.size();
  for (const auto& [name, value] : metadata) {
    total += name.size() + value.size();
    if (name.empty() || name.size() > kLongestMetadataName) {
      throw invalid_argument("File info names must be 1 to 50 bytes long");
    }
    if (!printable_ascii(value)) {
      throw invalid_argument("Metadata must be printable ASCII: '" + name + "'");
    }
  }
  if (total > limits.metadata_bytes) {
    throw Refusal(400, "MetadataTooLarge",
                  "Your metadata headers exceed the maximum allowed metadata size.");
  }
  if (metadata.size() > limits.metadata_headers) {
    throw invalid_argument("Too many metadata headers");
  }
}

std::uint64_t page_size(const Request& request, const char* parameter, const Limits& limits) {
  const auto number = parse_number(request.parameter_or(parameter, "1000"));
  if (!number) throw invalid_argument(std::string(parameter) + " is not a number");
  return std::min(*number, limits.page);
}

void check_upload_body(const Request& request, const Limits& limits, std::uint64_t largest) {
  if (!request.content_length) {
    throw Refusal(411, "MissingContentLength", "You must provide the Content-Length HTTP header.");
  }
  if (*request.content_length > largest) throw too_large();
  if (limits.require_md5 && request.header("content-md5") == nullptr) {
    throw invalid_request("Missing required header for this request: Content-MD5");
  }
}

Metadata user_metadata(const Request& request) {
  Metadata metadata;
  for (const auto& [name, value] : request.headers) {
    if (name.starts_with(kMetadataPrefix)) {
      metadata[name.substr(kMetadataPrefix.size())] = value;
    }
  }
  return metadata;
}

Metadata stored_headers(const Request& request) {
  Metadata headers;
  for (const char* name : {"content-type", "cache-control", "content-disposition",
                           "content-encoding", "content-language", "expires"}) {
    const std::string* value = request.header(name);
    if (value == nullptr) continue;
    if (!printable_ascii(*value))
      throw invalid_argument("Malformed header '" + std::string(name) + "'");
    headers[name] = *value;
  }
  headers.try_emplace("content-type", "application/octet-stream");
  return headers;
}

}  // namespace b2sim
