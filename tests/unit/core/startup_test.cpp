// The start-up table, row by row: what was found, in production and otherwise.
#include "src/startup.h"

#include <gtest/gtest.h>

#include <string>

namespace spillway {
namespace {

using State = ServiceAtStart::State;

constexpr std::string_view kEndpoint = "https://s3.us-west-004.backblazeb2.com";

Error error_of(ErrorCode code, Cause cause = Cause::none) {
  Error error;
  error.code = code;
  error.detail = "what B2 said";
  error.request_id = "b2-request";
  error.cause = cause;
  return error;
}

StartDecision decide(RunMode mode, const Error& error) {
  return decide_with_bucket(mode, kEndpoint, "backups", fail(error));
}

void expect_stop(const StartDecision& decision, ExitCode code, std::string_view event) {
  ASSERT_TRUE(decision.stop.has_value());
  EXPECT_EQ(*decision.stop, code);
  EXPECT_EQ(decision.event, event);
  EXPECT_EQ(decision.level, Level::error);
}

void expect_degraded(const StartDecision& decision, ErrorCode code, std::string_view event,
                     Level level = Level::warning) {
  EXPECT_FALSE(decision.stop.has_value());
  EXPECT_EQ(decision.service.state, State::degraded);
  ASSERT_TRUE(decision.service.reason.has_value());
  EXPECT_EQ(decision.service.reason->code, code);
  EXPECT_EQ(decision.event, event);
  EXPECT_EQ(decision.level, level);
}

TEST(StartUp, BucketThere) {
  for (const RunMode mode : {RunMode::production, RunMode::other}) {
    const auto decision = decide_with_bucket(mode, kEndpoint, "backups", {});
    EXPECT_FALSE(decision.stop.has_value());
    EXPECT_EQ(decision.service.state, State::ok);
    EXPECT_FALSE(decision.service.reason.has_value());
    EXPECT_EQ(decision.event, "s3_bucket_verified");
    EXPECT_EQ(decision.level, Level::info);
    EXPECT_EQ(decision.fields.value("bucket", ""), "backups");
    EXPECT_EQ(decision.fields.value("endpoint", ""), kEndpoint);
  }
}

TEST(StartUp, ConfigurationMissing) {
  Error fault;
  fault.code = ErrorCode::invalid_argument;
  fault.detail = "S3_ACCESS_KEY, S3_SECRET_KEY: missing";
  const auto production = decide_without_bucket(RunMode::production, fault);
  expect_stop(production, ExitCode::usage, "b2_disabled");
  EXPECT_EQ(production.fields.value("detail", ""), fault.detail);

  const auto other = decide_without_bucket(RunMode::other, fault);
  EXPECT_FALSE(other.stop.has_value());
  EXPECT_EQ(other.service.state, State::local_only);
  EXPECT_EQ(other.event, "b2_disabled");
  EXPECT_EQ(other.level, Level::warning);
  ASSERT_TRUE(other.service.reason.has_value());
  EXPECT_NE(other.service.reason->detail.find("S3_SECRET_KEY"), std::string::npos);
}

TEST(StartUp, BucketMissing) {
  const Error error = error_of(ErrorCode::bucket_not_found);
  const auto production = decide(RunMode::production, error);
  expect_stop(production, ExitCode::refused, "s3_bucket_not_found");
  EXPECT_EQ(production.fields.value("hint", ""), "Create bucket manually in B2 console");
  const auto other = decide(RunMode::other, error);
  expect_degraded(other, ErrorCode::bucket_not_found, "s3_bucket_not_found");
  EXPECT_EQ(other.fields.value("hint", ""), "Create bucket manually in B2 console");
}

TEST(StartUp, RefusalsStopProductionOnly) {
  for (const ErrorCode code : {ErrorCode::auth_error, ErrorCode::clock_skew,
                               ErrorCode::invalid_request, ErrorCode::not_found}) {
    const auto production = decide(RunMode::production, error_of(code));
    expect_stop(production, ExitCode::refused, "b2_refused");
    EXPECT_EQ(production.fields.value("error_code", ""), to_string(code));
    EXPECT_EQ(production.fields.value("detail", ""), "what B2 said");
    EXPECT_EQ(production.fields.value("request_id", ""), "b2-request");
    expect_degraded(decide(RunMode::other, error_of(code)), code, "b2_degraded");
  }
}

TEST(StartUp, CertificateIsLoud) {
  const Error error = error_of(ErrorCode::network_error, Cause::certificate);
  const auto production = decide(RunMode::production, error);
  expect_stop(production, ExitCode::refused, "b2_refused");
  EXPECT_NE(production.fields.value("hint", "").find("certificate"), std::string::npos);
  const auto other = decide(RunMode::other, error);
  expect_degraded(other, ErrorCode::network_error, "b2_degraded", Level::error);
  EXPECT_NE(other.fields.value("hint", "").find("certificate"), std::string::npos);
}

TEST(StartUp, WhatPassesByItselfNeverStops) {
  for (const ErrorCode code :
       {ErrorCode::timeout, ErrorCode::network_error, ErrorCode::rate_limited,
        ErrorCode::server_error, ErrorCode::cap_exceeded}) {
    for (const RunMode mode : {RunMode::production, RunMode::other}) {
      expect_degraded(decide(mode, error_of(code)), code, "b2_degraded");
    }
  }
}

}  // namespace
}  // namespace spillway
