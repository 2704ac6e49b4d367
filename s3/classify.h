// What an answer, or the lack of one, means: the one place where HTTP statuses, S3's codes and
// transport failures become the Error that users see. Pure.
//
// The detail of an Error is "<status> <code>: <message> (<operation>)", printable, at most a few
// hundred bytes; it repeats what the server said, never what we sent.
#pragma once

#include <cstdint>
#include <string_view>

#include "s3/http.h"
#include "src/clock.h"
#include "src/error.h"

namespace spillway::s3 {

enum class Operation : std::uint8_t {
  head_bucket,
  get_bucket_lifecycle,
  list_objects,
  head_object,
  get_object,
  put_object,
  copy_object,
  delete_object,
  create_upload,
  upload_part,
  upload_part_copy,
  complete_upload,
  abort_upload,
  list_parts,
  list_uploads,
  list_versions,
};

// S3's name of the operation: "PutObject".
[[nodiscard]] std::string_view to_string(Operation operation);
// The capability B2 asks of the key for it: "writeFiles".
[[nodiscard]] std::string_view capability_of(Operation operation);

// Whether an error may leave something behind, so that its outcome has to be looked up.
[[nodiscard]] bool changes_something(Operation operation);

// The longest wait that a server's Retry-After can impose.
inline constexpr Duration kLongestRetryAfter = std::chrono::seconds(64);

// For every answer that is not a success: any status but 2xx, and a 2xx with an `<Error>` in its
// body, or with nothing that can be understood in it. `now` dates a Retry-After that is a date and
// has no Date beside it.
[[nodiscard]] Error classify_answer(Operation operation, const HttpResponse& response,
                                    WallTime now);

// For an exchange that ended without an answer.
[[nodiscard]] Error classify_failure(Operation operation, const HttpFailure& failure);

// A 2xx that broke its promise: no ETag, a body that makes no sense. The request may well have been
// carried out.
[[nodiscard]] Error invalid_answer(Operation operation, const HttpResponse& response,
                                   std::string_view what);

// A text of the server's, fit for logs and attributes: control bytes and bytes that are not UTF-8
// become '?', the length is capped.
[[nodiscard]] std::string printable(std::string_view text);

}  // namespace spillway::s3
