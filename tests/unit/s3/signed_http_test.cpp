#include "s3/signed_http.h"

#include <gtest/gtest.h>

#include "tests/unit/s3/support.h"

namespace spillway::s3 {
namespace {

using testing::answer;
using testing::CannedHttp;
using testing::example_time;
using testing::refusal;
using namespace std::chrono_literals;

const std::string kDateHeader = "Fri, 24 May 2013 01:00:00 GMT";  // an hour ahead of our clock

class SignedHttpTest : public ::testing::Test {
 protected:
  SignedHttp& http(Scheme scheme = Scheme::https, ObjectBodies bodies = ObjectBodies::are_signed) {
    http_ = std::make_unique<SignedHttp>(
        Endpoint{scheme, "s3.test", static_cast<std::uint16_t>(scheme == Scheme::https ? 443 : 80),
                 "r"},
        bodies, Credentials{"key", "secret"}, std::make_unique<CannedHttp>(record_), executor_);
    return *http_;
  }

  Call put(std::string_view body = "body") {
    Call call;
    call.operation = Operation::put_object;
    call.method = "PUT";
    call.target.path = "/b/k";
    call.payload.pieces = {bytes_of(body)};
    return call;
  }

  void expect_signed_at(std::size_t request, std::string_view amz_date) {
    ASSERT_LT(request, record_.sent.size());
    EXPECT_EQ(record_.sent[request].headers.get("x-amz-date"), amz_date);
  }

  testing::LocksOnly executor_;
  CannedHttp::Record record_;
  std::unique_ptr<SignedHttp> http_;
};

TEST_F(SignedHttpTest, SignsAndLeavesHostToTheTransport) {
  record_.answers = {answer(200)};
  ASSERT_TRUE(http().send(put(), {true, {}}).ok());
  ASSERT_EQ(record_.sent.size(), 1U);
  const auto& sent = record_.sent[0];
  EXPECT_EQ(sent.target, "/b/k");
  EXPECT_EQ(sent.body, "body");
  EXPECT_TRUE(sent.fresh_connection);
  EXPECT_EQ(sent.headers.find("host"), nullptr);
  EXPECT_EQ(sent.headers.get("x-amz-content-sha256"), to_hex(sha256("body")));
  EXPECT_TRUE(
      sent.headers.get("authorization").contains("SignedHeaders=host;x-amz-content-sha256;"));
  EXPECT_EQ(sent.headers.find("content-md5"), nullptr);
}

TEST_F(SignedHttpTest, UsesTheCallersDigest) {
  Call call = put();
  call.payload.sha256 = std::string(64, 'a');
  record_.answers = {answer(200), answer(200)};
  ASSERT_TRUE(http(Scheme::https, ObjectBodies::may_be_unsigned).send(call, {}).ok());
  EXPECT_EQ(record_.sent[0].headers.get("x-amz-content-sha256"), call.payload.sha256);
}

TEST_F(SignedHttpTest, LeavesBodiesUnsignedOnlyOverHttps) {
  record_.answers = {answer(200), answer(200), answer(200)};
  ASSERT_TRUE(http(Scheme::https, ObjectBodies::may_be_unsigned).send(put(), {}).ok());
  EXPECT_EQ(record_.sent[0].headers.get("x-amz-content-sha256"), kUnsignedPayload);
  Call complete = put();
  complete.operation = Operation::complete_upload;
  ASSERT_TRUE(http_->send(complete, {}).ok());
  EXPECT_EQ(record_.sent[1].headers.get("x-amz-content-sha256"), to_hex(sha256("body")));
  ASSERT_TRUE(http(Scheme::http, ObjectBodies::may_be_unsigned).send(put(), {}).ok());
  EXPECT_EQ(record_.sent[2].headers.get("x-amz-content-sha256"), to_hex(sha256("body")));
}

TEST_F(SignedHttpTest, CorrectsTheClockOnceAndRemembers) {
  const auto skewed = refusal(403, "RequestTimeTooSkewed", "", {{"Date", kDateHeader}});
  record_.answers = {skewed, answer(200), answer(200)};
  ASSERT_TRUE(http().send(put(), {}).ok());
  expect_signed_at(0, "20130524T000000Z");
  expect_signed_at(1, "20130524T010000Z");
  executor_.set_clock.time += 5s;
  ASSERT_TRUE(http_->send(put(), {}).ok());
  expect_signed_at(2, "20130524T010005Z");
  EXPECT_EQ(http_->now(), example_time() + 1h + 5s);
}

TEST_F(SignedHttpTest, AClockThatStaysWrongIsAnError) {
  const auto skewed = refusal(403, "RequestTimeTooSkewed", "", {{"Date", kDateHeader}});
  record_.answers = {skewed, skewed};
  const auto outcome = http().send(put(), {});
  ASSERT_FALSE(outcome.ok());
  EXPECT_EQ(outcome.error().code, ErrorCode::clock_skew);
  record_.answers = {refusal(403, "RequestTimeTooSkewed", "", {{"Date", "nonsense"}})};
  EXPECT_FALSE(http_->send(put(), {}).ok());
}

TEST_F(SignedHttpTest, ASilentRefusalFarFromOurTimeMayBeTheClock) {
  Call head;
  head.operation = Operation::head_object;
  head.method = "HEAD";
  record_.answers = {answer(403, "", {{"Date", kDateHeader}}), answer(200)};
  EXPECT_TRUE(http().send(head, {}).ok());
  expect_signed_at(1, "20130524T010000Z");
  record_.answers = {answer(403, "", {{"Date", kDateHeader}})};
  const auto outcome = http_->send(head, {});
  ASSERT_FALSE(outcome.ok());
  EXPECT_EQ(outcome.error().code, ErrorCode::auth_error);
}

TEST_F(SignedHttpTest, AddsMd5WhenTheBucketDemandsItAndRemembers) {
  record_.answers = {
      refusal(400, "InvalidRequest", "Missing required header for this request: Content-MD5"),
      answer(200), answer(200)};
  const auto outcome = http().send(put(), {});
  ASSERT_TRUE(outcome.ok());
  const Bytes body = bytes_of("body");
  EXPECT_EQ(outcome->md5, to_hex(md5(Pieces(&body, 1))));
  EXPECT_EQ(record_.sent[1].headers.get("content-md5"), to_base64(md5(Pieces(&body, 1))));
  EXPECT_TRUE(record_.sent[1].headers.get("authorization").contains("content-md5;host"));
  ASSERT_TRUE(http_->send(put(), {}).ok());
  EXPECT_NE(record_.sent[2].headers.find("content-md5"), nullptr);
}

TEST_F(SignedHttpTest, ADemandThatIsMetAndRepeatedIsAnError) {
  const auto demand = refusal(400, "InvalidRequest", "Missing required header: Content-MD5");
  record_.answers = {demand, demand};
  EXPECT_FALSE(http().send(put(), {}).ok());
}

TEST_F(SignedHttpTest, FollowsRedirectsWithinTheEndpointSignedAnew) {
  record_.answers = {answer(307, "", {{"Location", "https://S3.test/b/k%20x?y=1"}}),
                     answer(308, "", {{"Location", "/b/z"}}), answer(200)};
  ASSERT_TRUE(http().send(put(), {}).ok());
  EXPECT_EQ(record_.sent[1].target, "/b/k%20x?y=1");
  EXPECT_EQ(record_.sent[1].body, "body");
  EXPECT_EQ(record_.sent[2].target, "/b/z");
  EXPECT_NE(record_.sent[1].headers.get("authorization"),
            record_.sent[0].headers.get("authorization"));
}

TEST_F(SignedHttpTest, FollowsAtMostTwoRedirects) {
  const auto redirect = answer(307, "", {{"Location", "/b/k"}});
  record_.answers = {redirect, redirect, redirect};
  const auto outcome = http().send(put(), {});
  ASSERT_FALSE(outcome.ok());
  EXPECT_EQ(outcome.error().code, ErrorCode::invalid_request);
}

TEST_F(SignedHttpTest, NoOtherPlaceEverSeesTheSignature) {
  for (const char* const location :
       {"https://evil.test/b/k", "http://s3.test/b/k", "https://s3.test:444/b/k", "//evil.test/k",
        "https://s3.test@evil.test/b/k", "https://s3.test.evil.test/k", "ftp://s3.test/k",
        "https://s3.test", "k", "", "https://s3.test/%zz", "https://s3.test\\@evil.test/k"}) {
    record_.sent.clear();
    record_.answers = {answer(307, "", {{"Location", location}})};
    EXPECT_FALSE(http().send(put(), {}).ok()) << location;
    EXPECT_EQ(record_.sent.size(), 1U) << location;
  }
}

TEST_F(SignedHttpTest, AnErrorInsideTwoHundredIsAnError) {
  record_.answers = {refusal(200, "InternalError", "try again")};
  const auto outcome = http().send(put(), {});
  ASSERT_FALSE(outcome.ok());
  EXPECT_EQ(outcome.error().code, ErrorCode::server_error);
}

TEST_F(SignedHttpTest, PassesTheSinksOwnErrorOn) {
  Call call;
  call.operation = Operation::get_object;
  call.sink = [](std::span<const std::byte>) -> Result<> {
    return fail(ErrorCode::local_error, "no room");
  };
  record_.answers = {answer(200, "x")};
  const auto outcome = http().send(call, {});
  ASSERT_FALSE(outcome.ok());
  EXPECT_EQ(outcome.error().code, ErrorCode::local_error);
  EXPECT_EQ(outcome.error().detail, "no room");
}

TEST_F(SignedHttpTest, FailuresAreNotRepeated) {
  record_.answers = {std::unexpected(HttpFailure{FailureKind::stall_timeout, "quiet", true})};
  const auto outcome = http().send(put(), {});
  ASSERT_FALSE(outcome.ok());
  EXPECT_EQ(outcome.error().code, ErrorCode::timeout);
  EXPECT_EQ(outcome.error().cause, Cause::ambiguous);
  EXPECT_EQ(record_.sent.size(), 1U);
}

}  // namespace
}  // namespace spillway::s3
