#include "s3/classify.h"

#include <gtest/gtest.h>

#include "tests/unit/s3/support.h"

namespace spillway::s3 {
namespace {

using testing::answer;
using testing::example_time;
using testing::refusal;
using namespace std::chrono_literals;

Error classified(const HttpResponse& response, Operation operation = Operation::put_object) {
  return classify_answer(operation, response, example_time());
}

struct Row {
  int status;
  const char* code;
  const char* message;
  ErrorCode expected;
  Cause cause = Cause::none;
};

void PrintTo(const Row& row, std::ostream* out) {
  *out << row.status << ' ' << row.code;
}

class ErrorTable : public ::testing::TestWithParam<Row> {};

TEST_P(ErrorTable, GivesTheUsersWord) {
  const Row& row = GetParam();
  const Error error = classified(refusal(row.status, row.code, row.message));
  EXPECT_EQ(error.code, row.expected) << to_string(error.code);
  EXPECT_EQ(error.cause, row.cause);
  EXPECT_EQ(error.request_id, "id-1");
  EXPECT_TRUE(error.detail.starts_with(std::to_string(row.status) + ' ' + row.code));
  EXPECT_TRUE(error.detail.contains("PutObject"));
}

INSTANTIATE_TEST_SUITE_P(
    B2, ErrorTable,
    ::testing::Values(
        Row{403, "AccessDenied", "Cannot upload files, storage cap exceeded.",
            ErrorCode::cap_exceeded},
        Row{403, "AccessDenied", "Transaction (Class B) Cap Exceeded", ErrorCode::cap_exceeded},
        Row{403, "AccessDenied", "not entitled, cap exceeded", ErrorCode::cap_exceeded},
        Row{403, "AccessDenied", "not entitled", ErrorCode::auth_error, Cause::not_entitled},
        Row{403, "AccessDenied", "", ErrorCode::auth_error},
        Row{403, "InvalidAccessKeyId", "Malformed Access Key Id", ErrorCode::auth_error},
        Row{403, "SignatureDoesNotMatch", "Signature validation failed", ErrorCode::auth_error},
        Row{400, "AuthorizationHeaderMalformed", "", ErrorCode::auth_error},
        Row{401, "Whatever", "", ErrorCode::auth_error},
        Row{403, "RequestTimeTooSkewed", "", ErrorCode::clock_skew},
        Row{404, "NoSuchBucket", "", ErrorCode::bucket_not_found},
        Row{404, "NoSuchKey", "", ErrorCode::not_found},
        Row{404, "NoSuchUpload", "", ErrorCode::not_found, Cause::upload_gone},
        Row{404, "NoSuchWebsite", "", ErrorCode::invalid_request},
        Row{412, "PreconditionFailed", "", ErrorCode::stale, Cause::version_changed},
        Row{400, "BadDigest", "", ErrorCode::checksum_mismatch},
        Row{400, "XAmzContentSHA256Mismatch", "", ErrorCode::checksum_mismatch},
        Row{400, "IncompleteBody", "", ErrorCode::network_error},
        Row{400, "RequestTimeout", "", ErrorCode::timeout},
        Row{408, "Whatever", "", ErrorCode::timeout},
        Row{400, "EntityTooLarge", "", ErrorCode::too_large},
        Row{400, "InvalidArgument", "Unsupported header", ErrorCode::invalid_request},
        Row{416, "InvalidRange", "", ErrorCode::invalid_request},
        Row{501, "NotImplemented", "", ErrorCode::invalid_request},
        Row{409, "Whatever", "", ErrorCode::invalid_request},
        Row{503, "SlowDown", "", ErrorCode::rate_limited},
        Row{429, "Whatever", "", ErrorCode::rate_limited},
        Row{503, "ServiceUnavailable", "no tomes available", ErrorCode::server_error, Cause::busy},
        Row{503, "ServiceUnavailable", "The server is too busy", ErrorCode::server_error,
            Cause::busy},
        Row{500, "InternalError", "", ErrorCode::server_error},
        Row{200, "InternalError", "", ErrorCode::server_error},
        Row{200, "Whatever", "", ErrorCode::server_error},
        Row{200, "SlowDown", "", ErrorCode::rate_limited},
        Row{502, "Whatever", "", ErrorCode::server_error, Cause::ambiguous}));

TEST(Classify, HeadHasOnlyItsStatus) {
  EXPECT_EQ(classified(answer(403), Operation::head_object).code, ErrorCode::auth_error);
  EXPECT_EQ(classified(answer(404), Operation::head_object).code, ErrorCode::not_found);
  EXPECT_EQ(classified(answer(404), Operation::head_bucket).code, ErrorCode::bucket_not_found);
  EXPECT_EQ(classified(answer(412), Operation::head_object).cause, Cause::version_changed);
  EXPECT_EQ(classified(answer(503), Operation::head_object).code, ErrorCode::server_error);
  const auto marker = answer(405, "", {{"x-amz-delete-marker", "true"}});
  EXPECT_EQ(classified(marker, Operation::head_object).code, ErrorCode::not_found);
}

TEST(Classify, AProxysPageNeverMakesAFileVanish) {
  const std::string page = "<!doctype html><html><body>404 NoSuchKey</body></html>";
  for (const Operation operation : {Operation::get_object, Operation::list_objects,
                                    Operation::upload_part, Operation::delete_object}) {
    EXPECT_EQ(classified(answer(404, page), operation).code, ErrorCode::server_error);
    EXPECT_EQ(classified(answer(404), operation).code, ErrorCode::server_error);
  }
  EXPECT_EQ(classified(answer(503, page)).code, ErrorCode::server_error);
  EXPECT_EQ(classified(answer(403, page)).code, ErrorCode::auth_error);
}

TEST(Classify, NamesTheMissingCapability) {
  const auto error =
      classified(refusal(403, "AccessDenied", "not entitled"), Operation::list_objects);
  EXPECT_EQ(error.detail,
            "403 AccessDenied: not entitled (ListObjectsV2 needs the capability listFiles)");
}

TEST(Classify, RedirectsAreRefused) {
  const auto error = classified(answer(307, "", {{"Location", "https://evil.example/x"}}));
  EXPECT_EQ(error.code, ErrorCode::invalid_request);
  EXPECT_EQ(error.detail, "307 redirects to https://evil.example/x (PutObject)");
}

TEST(Classify, OnlyWhatMayHaveBeenDoneIsAmbiguous) {
  EXPECT_EQ(classified(answer(504), Operation::copy_object).cause, Cause::ambiguous);
  EXPECT_EQ(classified(answer(504), Operation::get_object).cause, Cause::none);
  EXPECT_EQ(classified(answer(500), Operation::put_object).cause, Cause::none);
  EXPECT_EQ(classified(answer(500), Operation::complete_upload).cause, Cause::ambiguous);
  EXPECT_EQ(classified(refusal(200, "InternalError"), Operation::complete_upload).cause,
            Cause::ambiguous);
  EXPECT_EQ(classified(answer(503), Operation::complete_upload).cause, Cause::none);
}

std::optional<Duration> retry_after(const char* value, const char* date = "") {
  Headers headers{{"Retry-After", value}};
  if (*date != '\0') headers.add("Date", date);
  return classified(refusal(503, "SlowDown", "", headers)).retry_after;
}

TEST(Classify, HonoursRetryAfterUpToACap) {
  EXPECT_EQ(retry_after("3"), Duration(3s));
  EXPECT_EQ(retry_after("0"), Duration(0s));
  EXPECT_EQ(retry_after("86400"), kLongestRetryAfter);
  EXPECT_EQ(retry_after("99999999999999999999"), kLongestRetryAfter);
  EXPECT_EQ(retry_after("-3"), std::nullopt);
  EXPECT_EQ(retry_after("soon"), std::nullopt);
  EXPECT_EQ(retry_after("Fri, 24 May 2013 00:00:07 GMT"), Duration(7s));
  EXPECT_EQ(retry_after("Fri, 24 May 2013 00:00:07 GMT", "Fri, 24 May 2013 00:00:05 GMT"),
            Duration(2s));
  EXPECT_EQ(retry_after("Thu, 23 May 2013 00:00:00 GMT"), Duration(0s));
  EXPECT_EQ(retry_after("Sat, 25 May 2013 00:00:00 GMT"), kLongestRetryAfter);
  EXPECT_EQ(classified(answer(503)).retry_after, std::nullopt);
}

TEST(Classify, MessagesCantForgeALineOrGrowWithoutEnd) {
  const auto error = classified(
      refusal(403, "A&#10;B", "x&#27;[2J\xC2\x9B \xE2\x82\xAC" + std::string(5'000, 'y')));
  EXPECT_TRUE(
      error.detail.starts_with("403 A?B: x?[2J? \xE2\x82\xAC"
                               "yyy"))
      << error.detail;
  EXPECT_LT(error.detail.size(), 500U);
  EXPECT_EQ(printable("a\xff\xfe"
                      "b\x7f"),
            "a??b?");
}

TEST(Classify, TheRequestIdMayBeInTheBody) {
  HttpResponse response{
      500, {}, "<Error><Code>InternalError</Code><RequestId>r</RequestId></Error>"};
  EXPECT_EQ(classified(response).request_id, "r");
}

struct Failure {
  FailureKind kind;
  ErrorCode expected;
};

TEST(Classify, FailuresOfTheTransport) {
  for (const Failure& row : {Failure{FailureKind::resolve, ErrorCode::network_error},
                             Failure{FailureKind::connect, ErrorCode::network_error},
                             Failure{FailureKind::certificate, ErrorCode::network_error},
                             Failure{FailureKind::tls, ErrorCode::network_error},
                             Failure{FailureKind::broken, ErrorCode::network_error},
                             Failure{FailureKind::connect_timeout, ErrorCode::timeout},
                             Failure{FailureKind::stall_timeout, ErrorCode::timeout},
                             Failure{FailureKind::total_timeout, ErrorCode::timeout},
                             Failure{FailureKind::malformed, ErrorCode::server_error},
                             Failure{FailureKind::too_long, ErrorCode::server_error},
                             Failure{FailureKind::invalid_request, ErrorCode::invalid_request},
                             Failure{FailureKind::cancelled, ErrorCode::interrupted}}) {
    const Error unsent = classify_failure(Operation::put_object, {row.kind, "why", false});
    EXPECT_EQ(unsent.code, row.expected);
    EXPECT_EQ(unsent.detail, "why (PutObject)");
    const bool is_certificate = row.kind == FailureKind::certificate;
    EXPECT_EQ(unsent.cause, is_certificate ? Cause::certificate : Cause::none);
    const Error sent = classify_failure(Operation::put_object, {row.kind, "why", true});
    EXPECT_EQ(sent.cause, is_certificate ? Cause::certificate : Cause::ambiguous);
  }
}

TEST(Classify, AnAnswerThatBreaksItsPromiseIsAmbiguousOnlyForChanges) {
  EXPECT_EQ(invalid_answer(Operation::put_object, answer(200), "no ETag").cause, Cause::ambiguous);
  const Error error = invalid_answer(Operation::list_objects, answer(200), "nonsense");
  EXPECT_EQ(error.cause, Cause::none);
  EXPECT_EQ(error.code, ErrorCode::server_error);
  EXPECT_EQ(error.detail, "200 nonsense (ListObjectsV2)");
  EXPECT_EQ(error.request_id, "id-1");
}

}  // namespace
}  // namespace spillway::s3
