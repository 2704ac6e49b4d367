// Between header fields and the values of src/object_store.h. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "s3/http.h"
#include "src/object_store.h"

namespace spillway::s3 {

// Adds Content-Type (unless empty) and x-amz-meta-* fields. invalid_request where a name is not
// made of a-z 0-9 . _ -, or a value is not printable ASCII: other bytes arrive changed, or not at
// all.
[[nodiscard]] Result<> add_object_headers(Headers& headers, const std::string& content_type,
                                          const MetadataMap& metadata);

// What HEAD and GET say of an object. `size` is Content-Length, 0 when there is none.
[[nodiscard]] ObjectInfo object_from(const Key& key, const Headers& headers);

// What the headers of an answer say of the object that was stored; the ETag may be in the body
// instead. `now` stands in for a missing Date.
[[nodiscard]] StoredObject stored_from(const Key& key, const Headers& headers, WallTime now);

// Content-Length. nullopt when it is missing or not a number.
[[nodiscard]] std::optional<std::uint64_t> content_length(const Headers& headers);

struct ContentRange {
  ByteRange range;
  std::uint64_t total = 0;  // of the object
};
// "bytes 0-9/100" only.
[[nodiscard]] std::optional<ContentRange> content_range(const Headers& headers);

// "bytes=0-9". The range is not empty.
[[nodiscard]] std::string range_text(ByteRange range);

// 32 hex digits: the MD5 of what was sent, unless the object is encrypted or of several parts.
[[nodiscard]] bool looks_like_md5(std::string_view etag);

}  // namespace spillway::s3
