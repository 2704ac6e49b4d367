#include "s3/classify.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>

#include "s3/dates.h"
#include "s3/xml.h"
#include "src/utf8.h"

namespace spillway::s3 {
namespace {

constexpr std::size_t kLongestText = 300;

struct OperationFacts {
  std::string_view name;
  std::string_view capability;
};

OperationFacts facts_of(Operation operation) {
  switch (operation) {
    case Operation::head_bucket:
      return {"HeadBucket", "listBuckets"};
    case Operation::get_bucket_lifecycle:
      return {"GetBucketLifecycleConfiguration", "listBuckets"};
    case Operation::list_objects:
      return {"ListObjectsV2", "listFiles"};
    case Operation::head_object:
      return {"HeadObject", "readFiles"};
    case Operation::get_object:
      return {"GetObject", "readFiles"};
    case Operation::put_object:
      return {"PutObject", "writeFiles"};
    case Operation::copy_object:
      return {"CopyObject", "readFiles and writeFiles"};
    case Operation::delete_object:
      return {"DeleteObject", "deleteFiles"};
    case Operation::create_upload:
      return {"CreateMultipartUpload", "writeFiles"};
    case Operation::upload_part:
      return {"UploadPart", "writeFiles"};
    case Operation::upload_part_copy:
      return {"UploadPartCopy", "readFiles and writeFiles"};
    case Operation::complete_upload:
      return {"CompleteMultipartUpload", "writeFiles"};
    case Operation::abort_upload:
      return {"AbortMultipartUpload", "writeFiles"};
    case Operation::list_parts:
      return {"ListParts", "writeFiles"};
    case Operation::list_uploads:
      return {"ListMultipartUploads", "listFiles"};
    case Operation::list_versions:
      return {"ListObjectVersions", "listFiles"};
  }
  return {};
}

struct Meaning {
  ErrorCode code = ErrorCode::server_error;
  Cause cause = Cause::none;
};

struct KnownCode {
  std::string_view name;
  Meaning meaning;
};

constexpr KnownCode kKnownCodes[] = {
    {"AccessDenied", {ErrorCode::auth_error}},
    {"AllAccessDisabled", {ErrorCode::auth_error}},
    {"AccountProblem", {ErrorCode::auth_error}},
    {"AuthorizationHeaderMalformed", {ErrorCode::auth_error}},
    {"ExpiredToken", {ErrorCode::auth_error}},
    {"InvalidAccessKeyId", {ErrorCode::auth_error}},
    {"InvalidSecurity", {ErrorCode::auth_error}},
    {"InvalidToken", {ErrorCode::auth_error}},
    {"NotSignedUp", {ErrorCode::auth_error}},
    {"SignatureDoesNotMatch", {ErrorCode::auth_error}},
    {"Unauthorized", {ErrorCode::auth_error}},
    {"RequestTimeTooSkewed", {ErrorCode::clock_skew}},
    {"NoSuchBucket", {ErrorCode::bucket_not_found}},
    {"NoSuchKey", {ErrorCode::not_found}},
    {"NoSuchLifecycleConfiguration", {ErrorCode::not_found}},
    {"NoSuchVersion", {ErrorCode::not_found}},
    {"NoSuchUpload", {ErrorCode::not_found, Cause::upload_gone}},
    {"PreconditionFailed", {ErrorCode::stale, Cause::version_changed}},
    {"BadDigest", {ErrorCode::checksum_mismatch}},
    {"XAmzContentSHA256Mismatch", {ErrorCode::checksum_mismatch}},
    {"IncompleteBody", {ErrorCode::network_error}},
    {"RequestTimeout", {ErrorCode::timeout}},
    {"EntityTooLarge", {ErrorCode::too_large}},
    {"SlowDown", {ErrorCode::rate_limited}},
    {"Throttling", {ErrorCode::rate_limited}},
    {"TooManyRequests", {ErrorCode::rate_limited}},
    {"RequestLimitExceeded", {ErrorCode::rate_limited}},
    {"BandwidthLimitExceeded", {ErrorCode::rate_limited}},
    {"InternalError", {ErrorCode::server_error}},
    {"ServiceUnavailable", {ErrorCode::server_error}},
    {"OperationAborted", {ErrorCode::server_error}},
    {"InvalidArgument", {ErrorCode::invalid_request}},
    {"InvalidRequest", {ErrorCode::invalid_request}},
    {"InvalidPart", {ErrorCode::invalid_request}},
    {"InvalidPartOrder", {ErrorCode::invalid_request}},
    {"InvalidRange", {ErrorCode::invalid_request}},
    {"MalformedXML", {ErrorCode::invalid_request}},
    {"EntityTooSmall", {ErrorCode::invalid_request}},
    {"NotImplemented", {ErrorCode::invalid_request}},
};

bool contains_ignoring_case(std::string_view text, std::string_view lower_case_part) {
  const auto same = [](char left, char right) {
    return (left >= 'A' && left <= 'Z' ? static_cast<char>(left - 'A' + 'a') : left) == right;
  };
  return std::ranges::search(text, lower_case_part, same).begin() != text.end();
}

// Of a 404 that S3 did not explain. Only a HEAD may say "not there" without a word: whatever else
// answers so is a proxy or another server, and a file must never vanish because of one.
Meaning meaning_of_bare_404(Operation operation) {
  if (operation == Operation::head_bucket) return {ErrorCode::bucket_not_found};
  if (operation == Operation::head_object) return {ErrorCode::not_found};
  return {ErrorCode::server_error};
}

Meaning meaning_of_status(Operation operation, int status, bool is_explained) {
  switch (status) {
    case 401:
    case 403:
      return {ErrorCode::auth_error};
    case 404:
      if (!is_explained) return meaning_of_bare_404(operation);
      return {ErrorCode::invalid_request};
    case 408:
      return {ErrorCode::timeout};
    case 412:
      return {ErrorCode::stale, Cause::version_changed};
    case 413:
      return {ErrorCode::too_large};
    case 429:
      return {ErrorCode::rate_limited};
    case 501:
      return {ErrorCode::invalid_request};
    default:
      break;
  }
  return {status >= 300 && status < 500 ? ErrorCode::invalid_request : ErrorCode::server_error};
}

Meaning meaning_of(Operation operation, const HttpResponse& response,
                   const std::optional<ErrorBody>& body) {
  const std::string_view message = body ? std::string_view(body->message) : std::string_view();
  if (contains_ignoring_case(message, "cap exceeded")) return {ErrorCode::cap_exceeded};
  if (response.status == 405 && response.headers.get("x-amz-delete-marker") == "true") {
    return {ErrorCode::not_found};  // the version asked for is a hide marker
  }
  Meaning meaning = meaning_of_status(operation, response.status, body.has_value());
  if (body) {
    const auto* const known = std::ranges::find(kKnownCodes, body->code, &KnownCode::name);
    if (known != std::end(kKnownCodes)) meaning = known->meaning;
  }
  if (meaning.code == ErrorCode::auth_error && contains_ignoring_case(message, "not entitled")) {
    meaning.cause = Cause::not_entitled;
  }
  if (meaning.code == ErrorCode::server_error &&
      (contains_ignoring_case(message, "no tomes available") ||
       contains_ignoring_case(message, "too busy"))) {
    meaning.cause = Cause::busy;
  }
  return meaning;
}

// A gateway that gave up does not know what the server behind it did. A Complete that failed inside
// the server may have made the object; everything else is repeated without harm.
bool is_ambiguous(Operation operation, int status, const Meaning& meaning) {
  if (meaning.code != ErrorCode::server_error || meaning.cause != Cause::none) return false;
  if (status == 502 || status == 504) return changes_something(operation);
  return operation == Operation::complete_upload && (status == 500 || status < 300);
}

std::string detail_of(Operation operation, const HttpResponse& response,
                      const std::optional<ErrorBody>& body, Cause cause) {
  std::string text = std::to_string(response.status);
  if (body) {
    text += fmt::format(" {}: {}", printable(body->code), printable(body->message));
  } else if (const auto location = response.headers.get("location"); !location.empty()) {
    text += " redirects to " + printable(location);
  } else if (!response.body.empty()) {
    text += " with a body that is not S3's";
  }
  text += fmt::format(" ({}", to_string(operation));
  if (cause == Cause::not_entitled) {
    text += fmt::format(" needs the capability {}", capability_of(operation));
  }
  return text + ')';
}

std::optional<Duration> retry_after_of(const Headers& headers, WallTime now) {
  const auto text = headers.get("retry-after");
  if (text.empty()) return std::nullopt;
  std::uint32_t seconds = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, problem] = std::from_chars(text.data(), end, seconds);
  if (stop == end && problem == std::errc::result_out_of_range) return kLongestRetryAfter;
  if (stop == end && problem == std::errc{}) {
    return std::min<Duration>(std::chrono::seconds(seconds), kLongestRetryAfter);
  }
  const auto date = parse_http_date(text);
  if (!date) return std::nullopt;
  const WallTime from = parse_http_date(headers.get("date")).value_or(now);
  return std::clamp<Duration>(*date - from, Duration::zero(), kLongestRetryAfter);
}

std::string request_id_of(const HttpResponse& response, const std::optional<ErrorBody>& body) {
  const auto header = response.headers.get("x-amz-request-id");
  if (!header.empty() || !body) return printable(header);
  return printable(body->request_id);
}

ErrorCode code_of(FailureKind kind) {
  switch (kind) {
    case FailureKind::invalid_request:
      return ErrorCode::invalid_request;
    case FailureKind::connect_timeout:
    case FailureKind::stall_timeout:
    case FailureKind::total_timeout:
      return ErrorCode::timeout;
    case FailureKind::malformed:
    case FailureKind::too_long:
      return ErrorCode::server_error;
    case FailureKind::cancelled:
      return ErrorCode::interrupted;
    case FailureKind::resolve:
    case FailureKind::connect:
    case FailureKind::certificate:
    case FailureKind::tls:
    case FailureKind::broken:
    case FailureKind::refused:
      return ErrorCode::network_error;
  }
  return ErrorCode::network_error;
}

}  // namespace

std::string_view to_string(Operation operation) {
  return facts_of(operation).name;
}

std::string_view capability_of(Operation operation) {
  return facts_of(operation).capability;
}

bool changes_something(Operation operation) {
  switch (operation) {
    case Operation::head_bucket:
    case Operation::get_bucket_lifecycle:
    case Operation::list_objects:
    case Operation::head_object:
    case Operation::get_object:
    case Operation::list_parts:
    case Operation::list_uploads:
    case Operation::list_versions:
      return false;
    case Operation::put_object:
    case Operation::copy_object:
    case Operation::delete_object:
    case Operation::create_upload:
    case Operation::upload_part:
    case Operation::upload_part_copy:
    case Operation::complete_upload:
    case Operation::abort_upload:
      return true;
  }
  return true;
}

Error classify_answer(Operation operation, const HttpResponse& response, WallTime now) {
  const auto body = parse_error(response.body);
  const Meaning meaning = meaning_of(operation, response, body);
  Error error;
  error.code = meaning.code;
  error.cause =
      is_ambiguous(operation, response.status, meaning) ? Cause::ambiguous : meaning.cause;
  error.detail = detail_of(operation, response, body, meaning.cause);
  error.request_id = request_id_of(response, body);
  error.retry_after = retry_after_of(response.headers, now);
  return error;
}

Error classify_failure(Operation operation, const HttpFailure& failure) {
  Error error;
  error.code = code_of(failure.kind);
  error.detail = fmt::format("{} ({})", printable(failure.detail), to_string(operation));
  if (failure.kind == FailureKind::certificate) {
    error.cause = Cause::certificate;
  } else if (failure.sent) {
    error.cause = Cause::ambiguous;
  }
  return error;
}

Error invalid_answer(Operation operation, const HttpResponse& response, std::string_view what) {
  Error error;
  error.code = ErrorCode::server_error;
  error.detail = fmt::format("{} {} ({})", response.status, printable(what), to_string(operation));
  error.request_id = request_id_of(response, std::nullopt);
  if (changes_something(operation)) error.cause = Cause::ambiguous;
  return error;
}

std::string printable(std::string_view text) {
  std::string result;
  while (!text.empty() && result.size() < kLongestText) {
    const Utf8Character character = first_character(text);
    const bool is_fit = character.size > 0 && character.code >= 0x20 &&
                        !(character.code >= 0x7f && character.code < 0xa0);
    if (is_fit) {
      result += text.substr(0, character.size);
    } else {
      result += '?';
    }
    text.remove_prefix(std::max<std::size_t>(character.size, 1));
  }
  return result;
}

}  // namespace spillway::s3
