#include "s3/incoming.h"

#include <algorithm>

#include "s3/object_headers.h"

namespace spillway::s3 {

Result<> Incoming::accept(const HttpResponse& head) {
  object_ = object_from(request_.key, head.headers);
  if (head.status == 206 && request_.range) return accept_range(head.headers, *request_.range);
  if (head.status != 200) return fail(ErrorCode::server_error, "an unexpected status for a GET");
  const auto length = content_length(head.headers);
  // Without it a body that was cut off could not be told from a whole one.
  if (!length) return fail(ErrorCode::server_error, "an answer without Content-Length");
  if (request_.range && (request_.range->offset != 0 || *length > request_.range->size)) {
    return fail(ErrorCode::server_error, "the server ignored the range");
  }
  expected_ = *length;
  return {};
}

Result<> Incoming::accept_range(const Headers& headers, ByteRange wanted) {
  const auto sent = content_range(headers);
  if (!sent) return fail(ErrorCode::server_error, "an answer without a valid Content-Range");
  const auto reachable = std::min(wanted.size, sent->total - std::min(sent->total, wanted.offset));
  if (sent->range != ByteRange{wanted.offset, reachable}) {
    return fail(ErrorCode::server_error, "another range than was asked for");
  }
  object_.size = sent->total;
  expected_ = sent->range.size;
  return {};
}

Result<> Incoming::take(std::span<const std::byte> bytes) {
  if (bytes.size() > expected_ - taken_) {
    return fail(ErrorCode::server_error, "more bytes than announced");
  }
  taken_ += bytes.size();
  return sink_(bytes);
}

Result<> Incoming::finish() const {
  if (taken_ == expected_) return {};
  return fail(ErrorCode::network_error, "the body ended after " + std::to_string(taken_) + " of " +
                                            std::to_string(expected_) + " bytes");
}

}  // namespace spillway::s3
