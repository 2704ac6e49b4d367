#include "s3/signer.h"

#include <gtest/gtest.h>

#include "tests/unit/s3/support.h"

namespace spillway::s3 {
namespace {

using testing::example_time;

constexpr std::string_view kEmpty =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

// The examples of "Authenticating Requests: Using the Authorization Header" in AWS's documentation
// of S3.
class SignerTest : public ::testing::Test {
 protected:
  std::string signature(std::string_view method, const Target& target, std::string_view payload,
                        Headers headers) {
    headers.add("Host", "examplebucket.s3.amazonaws.com");
    signer_.sign(method, target, payload, example_time(), headers);
    const auto authorization = headers.get("authorization");
    return std::string(authorization.substr(authorization.rfind('=') + 1));
  }

  testing::LocksOnly executor_;
  Signer signer_{
      {"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}, "us-east-1", executor_};
};

TEST_F(SignerTest, SignsAwsGetOfARange) {
  Headers headers{{"Range", "bytes=0-9"}, {"Host", "examplebucket.s3.amazonaws.com"}};
  signer_.sign("GET", {"/test.txt", {}}, kEmpty, example_time(), headers);
  EXPECT_EQ(headers.get("x-amz-date"), "20130524T000000Z");
  EXPECT_EQ(headers.get("x-amz-content-sha256"), kEmpty);
  EXPECT_EQ(headers.get("Authorization"),
            "AWS4-HMAC-SHA256 "
            "Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
            "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,"
            "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

TEST_F(SignerTest, SignsAwsPut) {
  EXPECT_EQ(signature("PUT", {"/test$file.text", {}}, to_hex(sha256("Welcome to Amazon S3.")),
                      {{"Date", "Fri, 24 May 2013 00:00:00 GMT"},
                       {"x-amz-storage-class", "REDUCED_REDUNDANCY"}}),
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

TEST_F(SignerTest, SignsAwsValuelessQuery) {
  EXPECT_EQ(signature("GET", {"/", {{"lifecycle", std::nullopt}}}, kEmpty, {}),
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
}

TEST_F(SignerTest, SignsAwsListWhateverTheOrderOfItsQuery) {
  const std::string expected = "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7";
  EXPECT_EQ(signature("GET", {"/", {{"max-keys", "2"}, {"prefix", "J"}}}, kEmpty, {}), expected);
  EXPECT_EQ(signature("GET", {"/", {{"prefix", "J"}, {"max-keys", "2"}}}, kEmpty, {}), expected);
}

TEST_F(SignerTest, SigningAgainReplacesTheOldSignature) {
  Headers headers{{"host", "h"}};
  signer_.sign("GET", {}, kEmpty, example_time(), headers);
  const Headers once = headers;
  signer_.sign("GET", {}, kEmpty, example_time(), headers);
  EXPECT_TRUE(std::ranges::equal(once, headers));
}

TEST_F(SignerTest, TheKeyChangesWithTheDay) {
  Headers today{{"host", "h"}};
  Headers tomorrow = today;
  Headers today_again = today;
  signer_.sign("GET", {}, kEmpty, example_time(), today);
  signer_.sign("GET", {}, kEmpty, example_time() + std::chrono::hours(24), tomorrow);
  signer_.sign("GET", {}, kEmpty, example_time(), today_again);
  EXPECT_TRUE(tomorrow.get("authorization").contains("/20130525/us-east-1/"));
  EXPECT_EQ(today.get("authorization"), today_again.get("authorization"));
}

TEST(CanonicalRequest, EncodesEachSegmentOnce) {
  const Target target{"/b/a b+&%#?'\"\xF0\x9F\x98\x80()=~*!/$,;:@[]{}", {}};
  const std::string text = canonical_request("PUT", target, {{"host", "h"}}, "P");
  EXPECT_EQ(text,
            "PUT\n/b/a%20b%2B%26%25%23%3F%27%22%F0%9F%98%80%28%29%3D~%2A%21/"
            "%24%2C%3B%3A%40%5B%5D%7B%7D\n\nhost:h\n\nhost\nP");
}

TEST(CanonicalRequest, SortsAndTrimsHeaders) {
  const Headers headers{{"X-Amz-Meta-B", "  two   spaces "},
                        {"x-amz-meta-a", ""},
                        {"x-amz-meta-ab", "1"},
                        {"Host", "h"},
                        {"x-amz-meta-a-b", "2"}};
  EXPECT_EQ(canonical_request("GET", {}, headers, "P"),
            "GET\n/\n\nhost:h\nx-amz-meta-a:\nx-amz-meta-a-b:2\nx-amz-meta-ab:1\n"
            "x-amz-meta-b:two spaces\n\n"
            "host;x-amz-meta-a;x-amz-meta-a-b;x-amz-meta-ab;x-amz-meta-b\nP");
}

}  // namespace
}  // namespace spillway::s3
