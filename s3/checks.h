// What can be refused without asking the server. Pure.
//
// An empty key or upload id must never get as far as a request: without it the same request means
// something else ("DELETE /bucket/" deletes the bucket, a part without an upload is an object).
#pragma once

#include <cstdint>
#include <vector>

#include "src/error.h"
#include "src/object_store.h"

namespace spillway::s3 {

// invalid_argument: empty, or with a NUL; name_too_long: over kLongestKey.
[[nodiscard]] Result<> check_key(const Key& key);

// too_large over `limit`.
[[nodiscard]] Result<> check_size(std::uint64_t size, std::uint64_t limit);

// invalid_argument: empty, or past 2^64.
[[nodiscard]] Result<> check_range(ByteRange range);

// invalid_argument: empty.
[[nodiscard]] Result<> check_upload_id(const UploadId& id);

// The key, the upload and a number from 1 to kMostParts (invalid_request).
[[nodiscard]] Result<> check_part(const Key& key, const UploadId& id, PartNumber number);

// invalid_request: empty; too_large: over kLargestPart.
[[nodiscard]] Result<> check_part_size(std::uint64_t size);

// invalid_request unless the numbers are 1, 2, 3 … and each part has its ETag.
[[nodiscard]] Result<> check_parts(const UploadId& id, const std::vector<UploadedPart>& parts);

}  // namespace spillway::s3
