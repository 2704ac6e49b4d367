#include "s3/endpoint.h"

#include <gtest/gtest.h>

namespace spillway::s3 {
namespace {

Endpoint parsed(std::string_view text, PlainHttp plain = PlainHttp::loopback_only) {
  const auto endpoint = parse_endpoint(text, plain);
  EXPECT_TRUE(endpoint.ok()) << text;
  return endpoint.ok() ? *endpoint : Endpoint{};
}

TEST(Endpoint, IsHttpsUnlessItSaysOtherwise) {
  const Endpoint expected{Scheme::https, "s3.eu-central-003.backblazeb2.com", 443,
                          "eu-central-003"};
  EXPECT_EQ(parsed("s3.eu-central-003.backblazeb2.com"), expected);
  EXPECT_EQ(parsed("https://s3.eu-central-003.backblazeb2.com"), expected);
  EXPECT_EQ(parsed("HTTPS://S3.EU-Central-003.BackblazeB2.com/"), expected);
}

TEST(Endpoint, ReadsTheRegionOnlyFromB2sOwnNames) {
  EXPECT_EQ(parsed("s3.us-east-005.backblazeb2.com").region, "us-east-005");
  EXPECT_EQ(parsed("s3.a.b.backblazeb2.com").region, kDefaultRegion);
}

TEST(Endpoint, WritesThePortOnlyWhereItIsNotTheSchemesOwn) {
  EXPECT_EQ(parsed("example.com:443").authority(), "example.com");
  EXPECT_EQ(parsed("example.com:8443").url(), "https://example.com:8443");
  EXPECT_EQ(parsed("http://127.0.0.1:80").authority(), "127.0.0.1");
  EXPECT_EQ(parsed("http://[::1]:9000").url(), "http://[::1]:9000");
  EXPECT_EQ(parsed("[2001:DB8::1]").authority(), "[2001:db8::1]");
}

TEST(Endpoint, AcceptsPlainHttpOnlyForLoopbackOrWhenAllowed) {
  for (const char* const text : {"http://127.0.0.1:9000", "http://localhost", "http://127.9.9.9",
                                 "http://b2.localhost", "http://[::1]"}) {
    EXPECT_TRUE(parse_endpoint(text, PlainHttp::loopback_only).ok()) << text;
  }
  for (const char* const text :
       {"http://example.com", "http://127.0.0.1.example.com", "http://127.example.com",
        "http://localhost.example.com", "http://10.0.0.1", "http://[::2]"}) {
    EXPECT_FALSE(parse_endpoint(text, PlainHttp::loopback_only).ok()) << text;
    EXPECT_TRUE(parse_endpoint(text, PlainHttp::allowed).ok()) << text;
  }
}

TEST(Endpoint, RefusesWhatIsNoEndpoint) {
  for (const char* const text : {"",
                                 "https://",
                                 "ftp://example.com",
                                 "https://example.com/bucket",
                                 "example.com//",
                                 "example.com?x",
                                 "example.com#x",
                                 "exa mple.com",
                                 "example.com:0",
                                 "example.com:65536",
                                 "example.com:",
                                 "example.com:1x",
                                 "example.com:+1",
                                 "[::1",
                                 "[::1]x",
                                 "[1]",
                                 "a..b",
                                 ".a",
                                 "-a",
                                 "exam\nple.com",
                                 "://example.com",
                                 "\xc3\xa9.com"}) {
    const auto endpoint = parse_endpoint(text, PlainHttp::allowed);
    ASSERT_FALSE(endpoint.ok()) << text;
    EXPECT_EQ(endpoint.error().code, ErrorCode::invalid_argument);
    EXPECT_FALSE(endpoint.error().detail.empty());
  }
}

TEST(Endpoint, NeverRepeatsUserInfo) {
  const auto endpoint = parse_endpoint("https://key:hunter2@example.com", PlainHttp::allowed);
  ASSERT_FALSE(endpoint.ok());
  EXPECT_FALSE(endpoint.error().detail.contains("hunter2"));
}

}  // namespace
}  // namespace spillway::s3
