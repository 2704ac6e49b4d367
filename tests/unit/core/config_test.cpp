#include "src/config.h"

#include <gtest/gtest.h>

namespace spillway {
namespace {

Environment complete() {
  return {{"S3_ENDPOINT", "https://s3.eu-central-003.backblazeb2.com"},
          {"S3_ACCESS_KEY", "003abc"},
          {"S3_SECRET_KEY", "K003+secret/x"},
          {"S3_BUCKET", "my-bucket"}};
}

Environment with(const std::string& name, const std::string& value) {
  auto environment = complete();
  environment.insert_or_assign(name, value);
  return environment;
}

std::string problem_of(const Environment& environment) {
  const auto settings = s3_settings_from(environment);
  if (settings.ok()) return "";
  EXPECT_EQ(settings.error().code, ErrorCode::invalid_argument);
  return settings.error().detail;
}

TEST(S3SettingsFrom, TakesWhatTheEnvironmentSays) {
  const auto settings = s3_settings_from(complete()).value();
  EXPECT_EQ(settings.endpoint, "https://s3.eu-central-003.backblazeb2.com");
  EXPECT_EQ(settings.access_key, "003abc");
  EXPECT_EQ(settings.secret_key, "K003+secret/x");
  EXPECT_EQ(settings.bucket, "my-bucket");
  EXPECT_EQ(settings.region, "eu-central-003");
  EXPECT_EQ(s3_settings_from(with("S3_REGION", "us-east-1")).value().region, "us-east-1");
}

TEST(S3SettingsFrom, NamesEveryMissingVariableInOneMessage) {
  EXPECT_EQ(problem_of({}), "missing: S3_ENDPOINT, S3_ACCESS_KEY, S3_SECRET_KEY, S3_BUCKET");
  EXPECT_EQ(problem_of(with("S3_SECRET_KEY", "")), "missing: S3_SECRET_KEY");
}

TEST(S3SettingsFrom, NamesMissingAndMalformedTogetherAndNoValue) {
  auto environment = with("S3_SECRET_KEY", "hunter2\n");
  environment.erase("S3_ENDPOINT");
  environment["S3_BUCKET"] = "a/b";
  const auto problem = problem_of(environment);
  EXPECT_TRUE(problem.starts_with("missing: S3_ENDPOINT; malformed: S3_SECRET_KEY")) << problem;
  EXPECT_TRUE(problem.contains("S3_BUCKET (must be"));
  EXPECT_FALSE(problem.contains("hunter2"));
  EXPECT_FALSE(problem.contains("a/b"));
}

TEST(S3SettingsFrom, RefusesWhatCouldForgeAHeaderOrAPath) {
  for (const auto* key : {"a b", "a\rb", "a\tb", "a\x7f", "a\xc3\xbc"}) {
    EXPECT_FALSE(problem_of(with("S3_ACCESS_KEY", key)).empty());
    EXPECT_FALSE(problem_of(with("S3_ENDPOINT", key)).empty());
  }
  for (const auto* bucket : {"ab", "...", "../x", "-abc", "a_b", "a b c", "ümlaut"}) {
    EXPECT_FALSE(problem_of(with("S3_BUCKET", bucket)).empty()) << bucket;
  }
  EXPECT_FALSE(problem_of(with("S3_BUCKET", std::string(64, 'x'))).empty());
  EXPECT_FALSE(problem_of(with("S3_REGION", "eu/west")).empty());
  for (const auto& bucket : {std::string("abc"), std::string("A.b-9"), std::string(63, 'x')}) {
    EXPECT_EQ(problem_of(with("S3_BUCKET", bucket)), "");
  }
}

TEST(RegionOf, IsReadFromAB2Host) {
  EXPECT_EQ(region_of("https://s3.us-west-001.backblazeb2.com"), "us-west-001");
  EXPECT_EQ(region_of("s3.US-East-005.backblazeb2.com:443/"), "us-east-005");
  EXPECT_EQ(region_of("http://127.0.0.1:9000"), "us-west-004");
  EXPECT_EQ(region_of("https://s3.backblazeb2.com"), "us-west-004");
  EXPECT_EQ(region_of("https://s3..backblazeb2.com"), "us-west-004");
  EXPECT_EQ(region_of("https://s3.a.b.backblazeb2.com"), "us-west-004");
  EXPECT_EQ(region_of("s3.us-west-001.backblazeb2.com.evil.example"), "us-west-004");
  EXPECT_EQ(region_of(""), "us-west-004");
}

TEST(RunModeOf, OnlyTheExactWordIsProduction) {
  EXPECT_EQ(run_mode_of({{"ENV", "production"}}), RunMode::production);
  EXPECT_EQ(run_mode_of({{"ENV", "Production"}}), RunMode::other);
  EXPECT_EQ(run_mode_of({{"ENV", "development"}}), RunMode::other);
  EXPECT_EQ(run_mode_of({}), RunMode::other);
}

TEST(BucketIdentity, IsTheSameHoweverTheEndpointIsWritten) {
  const std::string expected = "s3.us-west-004.backblazeb2.com/Photos";
  for (const auto* endpoint : {"s3.us-west-004.backblazeb2.com", "S3.us-west-004.Backblazeb2.com/",
                               "https://s3.us-west-004.backblazeb2.com",
                               "http://s3.us-west-004.backblazeb2.com//"}) {
    EXPECT_EQ(bucket_identity(endpoint, "Photos"), expected);
  }
  EXPECT_EQ(bucket_identity("http://[::1]:9000/", "b"), "[::1]:9000/b");
  EXPECT_EQ(bucket_identity("", "b"), "local-only");
  EXPECT_EQ(bucket_identity("host", ""), "local-only");
}

std::string fake_hash(std::string_view text) {
  EXPECT_EQ(text, "host/bucket");
  return "0123456789abcdef";
}

std::string shadow(const Environment& environment, unsigned uid, std::string_view bucket) {
  return default_shadow_directory(environment, uid, "https://host/", bucket, fake_hash).value();
}

TEST(DefaultShadowDirectory, IsNamedAfterTheBucket) {
  const Environment environment{{"XDG_STATE_HOME", "/state"}, {"HOME", "/home/u"}};
  EXPECT_EQ(shadow(environment, 1'000, "bucket"), "/state/spillway/bucket-01234567");
  EXPECT_EQ(shadow(environment, 1'000, ""), "/state/spillway/local-only");
  EXPECT_EQ(shadow(environment, 0, "bucket"), "/var/lib/spillway/bucket-01234567");
}

TEST(DefaultShadowDirectory, FallsBackToTheHomeDirectory) {
  EXPECT_EQ(shadow({{"HOME", "/home/u"}}, 1, "bucket"),
            "/home/u/.local/state/spillway/bucket-01234567");
  EXPECT_EQ(shadow({{"HOME", "/home/u"}, {"XDG_STATE_HOME", "state"}}, 1, ""),
            "/home/u/.local/state/spillway/local-only");
  const auto nowhere = default_shadow_directory({}, 1, "host", "bucket", fake_hash);
  ASSERT_FALSE(nowhere.ok());
  EXPECT_TRUE(nowhere.error().detail.contains("--shadow"));
}

}  // namespace
}  // namespace spillway
