#include "s3/checks.h"

#include <spdlog/fmt/fmt.h>

#include <limits>

namespace spillway::s3 {

Result<> check_key(const Key& key) {
  if (key.empty()) return fail(ErrorCode::invalid_argument, "the key is empty");
  if (key.contains('\0')) return fail(ErrorCode::invalid_argument, "the key has a NUL");
  if (key.size() > kLongestKey) {
    return fail(ErrorCode::name_too_long,
                fmt::format("the key has {} bytes, more than {}", key.size(), kLongestKey));
  }
  return {};
}

Result<> check_size(std::uint64_t size, std::uint64_t limit) {
  if (size <= limit) return {};
  return fail(ErrorCode::too_large, fmt::format("{} bytes are more than {}", size, limit));
}

Result<> check_range(ByteRange range) {
  if (range.size == 0) return fail(ErrorCode::invalid_argument, "the range is empty");
  if (range.size > std::numeric_limits<std::uint64_t>::max() - range.offset) {
    return fail(ErrorCode::invalid_argument, "the range ends past 2^64");
  }
  return {};
}

Result<> check_upload_id(const UploadId& id) {
  if (id.empty()) return fail(ErrorCode::invalid_argument, "the upload id is empty");
  return {};
}

Result<> check_part(const Key& key, const UploadId& id, PartNumber number) {
  TRY(check_key(key));
  TRY(check_upload_id(id));
  if (number >= 1 && number <= kMostParts) return {};
  return fail(ErrorCode::invalid_request, fmt::format("{} is no part number", number));
}

Result<> check_part_size(std::uint64_t size) {
  if (size == 0) return fail(ErrorCode::invalid_request, "a part must not be empty");
  return check_size(size, kLargestPart);
}

Result<> check_parts(const UploadId& id, const std::vector<UploadedPart>& parts) {
  TRY(check_upload_id(id));
  if (parts.empty()) return fail(ErrorCode::invalid_request, "an upload without parts");
  PartNumber expected = 0;
  for (const UploadedPart& part : parts) {
    if (part.number != ++expected || expected > kMostParts) {
      return fail(ErrorCode::invalid_request, fmt::format("part {} is missing", expected));
    }
    if (part.etag.empty()) {
      return fail(ErrorCode::invalid_request, fmt::format("part {} has no ETag", expected));
    }
  }
  return {};
}

}  // namespace spillway::s3
