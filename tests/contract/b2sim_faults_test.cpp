// The client of s3/ against b2sim's faults: every way in which B2 and the network fail becomes the
// code that users are promised.
#include <csignal>

#include "tests/contract/contract.h"

namespace spillway {

namespace {

class B2SimFaults : public testing::Test {
 protected:
  [[nodiscard]] ObjectStore& store() { return client_.store(); }
  Result<StoredObject> put(const Key& key = "key", std::string_view text = "content") {
    return put_text(store(), key, text);
  }
  [[nodiscard]] bool there(const Key& key = "key") { return store().head_object(key, "", {}).ok(); }
  [[nodiscard]] int requests(const std::string& kind) { return server_.requests()[kind]; }

  B2Sim server_;
  ClientStore client_{server_.environment()};
};

ClientStore client_with(const B2Sim& server, const std::string& variable,
                        const std::string& value) {
  auto environment = server.environment();
  environment[variable] = value;
  return ClientStore(environment);
}

}  // namespace

TEST_F(B2SimFaults, AWrongSecretIsAnAuthError) {
  ClientStore client = client_with(server_, "S3_SECRET_KEY", "wrong");
  const auto result = put_text(client.store(), "key", "x");
  ASSERT_TRUE(failed_with(result, ErrorCode::auth_error));
  EXPECT_NE(result.error().detail.find("SignatureDoesNotMatch"), std::string::npos);
  EXPECT_FALSE(result.error().request_id.empty());
  EXPECT_TRUE(failed_with(client.store().verify_bucket({}), ErrorCode::auth_error));
}

TEST_F(B2SimFaults, AnotherRegionsSignatureIsAnAuthError) {
  ClientStore client = client_with(server_, "S3_REGION", "eu-central-003");
  EXPECT_TRUE(failed_with(put_text(client.store(), "key", "x"), ErrorCode::auth_error));
}

TEST_F(B2SimFaults, ARevokedKeyIsAnAuthErrorUntilItIsBack) {
  ASSERT_TRUE(succeeded(put()));
  server_.revoke_key();
  for (const auto& error :
       {put().error(), store().verify_bucket({}).error(),
        store().head_object("key", "", {}).error(), get_text(store(), "key").error()}) {
    EXPECT_EQ(error.code, ErrorCode::auth_error);
    EXPECT_NE(error.detail.find("is not valid"), std::string::npos) << error.detail;
  }
  server_.restore_key();
  EXPECT_TRUE(succeeded(put()));
}

TEST_F(B2SimFaults, AMissingBucketIsSaidToBeMissing) {
  server_.remove_bucket();
  EXPECT_TRUE(failed_with(store().verify_bucket({}), ErrorCode::bucket_not_found));
  EXPECT_TRUE(failed_with(put(), ErrorCode::bucket_not_found));
  EXPECT_TRUE(failed_with(get_text(store(), "key"), ErrorCode::bucket_not_found));
  server_.restore_bucket();
  EXPECT_TRUE(succeeded(put()));
}

TEST_F(B2SimFaults, AKeyWithoutListBucketsIsGoodEnough) {
  server_.post("keys", {{"access_key", server_.options().access_key},
                        {"secret_key", server_.options().secret_key},
                        {"capabilities", {"readFiles", "writeFiles", "listFiles", "deleteFiles"}},
                        {"bucket", server_.options().bucket}});
  EXPECT_TRUE(succeeded(store().verify_bucket({})));
  EXPECT_EQ(requests("HeadBucket"), 1);
  EXPECT_EQ(requests("ListObjectsV2"), 1);
}

TEST_F(B2SimFaults, AMissingCapabilityIsNamed) {
  server_.post("keys", {{"access_key", server_.options().access_key},
                        {"secret_key", server_.options().secret_key},
                        {"capabilities", {"readFiles", "listFiles"}}});
  const auto result = put();
  ASSERT_TRUE(failed_with(result, ErrorCode::auth_error, Cause::not_entitled));
  EXPECT_NE(result.error().detail.find("writeFiles"), std::string::npos) << result.error().detail;
}

TEST_F(B2SimFaults, NoTomesAvailableIsBusyAndNothingIsStored) {
  server_.fault("PutObject", {{"status", 503},
                              {"code", "ServiceUnavailable"},
                              {"message", "no tomes available"},
                              {"headers", {{"Retry-After", "7"}}}});
  const auto result = put();
  ASSERT_TRUE(failed_with(result, ErrorCode::server_error, Cause::busy));
  EXPECT_EQ(result.error().retry_after, std::chrono::seconds(7));
  EXPECT_FALSE(there());
  EXPECT_TRUE(succeeded(put()));
}

TEST_F(B2SimFaults, SlowDownIsRateLimited) {
  server_.fault("PutObject", {{"status", 503}, {"code", "SlowDown"}, {"message", "slow"}});
  EXPECT_TRUE(failed_with(put(), ErrorCode::rate_limited));
  server_.fault("PutObject", {{"status", 429}, {"code", "TooManyRequests"}});
  EXPECT_TRUE(failed_with(put(), ErrorCode::rate_limited));
}

TEST_F(B2SimFaults, AGatewaysHtmlIsAServerError) {
  server_.fault("*", {{"status", 502}, {"body", "<html><h1>Bad Gateway</h1></html>"}});
  EXPECT_TRUE(failed_with(put(), ErrorCode::server_error));
  server_.fault("*", {{"status", 500}});
  EXPECT_TRUE(failed_with(get_text(store(), "key"), ErrorCode::server_error));
}

TEST_F(B2SimFaults, CapsAreToldApartFromBadKeys) {
  server_.fault("PutObject", {{"cap", "storage"}});
  EXPECT_TRUE(failed_with(put(), ErrorCode::cap_exceeded));
  ASSERT_TRUE(succeeded(put()));
  server_.fault("GetObject", {{"cap", "transaction"}});
  EXPECT_TRUE(failed_with(get_text(store(), "key"), ErrorCode::cap_exceeded));
  const int fault = server_.fault_for_ever("*", {{"cap", "transaction"}});
  EXPECT_TRUE(failed_with(store().head_object("key", "", {}), ErrorCode::cap_exceeded));
  EXPECT_TRUE(failed_with(store().verify_bucket({}), ErrorCode::cap_exceeded));
  server_.remove("faults/" + std::to_string(fault));
  EXPECT_TRUE(there());
}

TEST_F(B2SimFaults, AnErrorInsideA200IsAnError) {
  ASSERT_TRUE(succeeded(put()));
  const nlohmann::json inside = {{"error_in_200", {{"code", "InternalError"}, {"message", "no"}}}};
  server_.fault("CopyObject", inside);
  const CopyRequest copy = {"key", "", "copy", std::nullopt, ""};
  EXPECT_TRUE(failed_with(store().copy_object(copy, {}), ErrorCode::server_error));

  const auto id = store().create_upload("up", "", {}, {});
  ASSERT_TRUE(succeeded(id));
  server_.fault("UploadPartCopy", inside);
  EXPECT_TRUE(failed_with(store().upload_part_copy("up", *id, 1, "key", "", {0, 3}, {}),
                          ErrorCode::server_error));
  const auto part = put_part(store(), "up", *id, 1, "x");
  ASSERT_TRUE(succeeded(part));
  server_.fault("CompleteMultipartUpload", inside);
  EXPECT_TRUE(failed_with(store().complete_upload("up", *id, {*part}, {}), ErrorCode::server_error,
                          Cause::ambiguous));
  EXPECT_FALSE(there("up"));
  EXPECT_TRUE(succeeded(store().complete_upload("up", *id, {*part}, {})));
}

TEST_F(B2SimFaults, ACutRequestIsANetworkErrorAndStoresNothing) {
  const std::string bytes = random_bytes(3'000'000);
  server_.fault("PutObject", {{"cut", "request"}, {"after_bytes", 1'000'000}});
  EXPECT_TRUE(failed_with(put("key", bytes), ErrorCode::network_error, Cause::ambiguous));
  EXPECT_FALSE(there());
  EXPECT_TRUE(succeeded(put("key", bytes)));
}

TEST_F(B2SimFaults, ACutResponseIsANetworkErrorAfterItsBytes) {
  const std::string bytes = random_bytes(3'000'000);
  ASSERT_TRUE(succeeded(put("key", bytes)));
  server_.fault("GetObject", {{"cut", "response"}, {"after_bytes", 1'000'000}});
  std::string got;
  GetRequest request;
  request.key = "key";
  const ByteSink sink = [&](std::span<const std::byte> piece) -> Result<> {
    got.append(reinterpret_cast<const char*>(piece.data()), piece.size());
    return {};
  };
  EXPECT_TRUE(failed_with(store().get_object(request, sink, {}), ErrorCode::network_error));
  EXPECT_LE(got.size(), 1'000'000U);
  EXPECT_TRUE(bytes.starts_with(got));
}

TEST_F(B2SimFaults, ALostAnswerIsAmbiguous) {
  server_.fault("PutObject", {{"lost_answer", true}});
  EXPECT_TRUE(failed_with(put(), ErrorCode::network_error, Cause::ambiguous));
  EXPECT_EQ(requests("PutObject"), 1);
  EXPECT_TRUE(there());
}

// curl would begin anew by itself on a kept connection that died.
TEST_F(B2SimFaults, ALostAnswerOnAKeptConnectionIsNotSentTwice) {
  ASSERT_TRUE(succeeded(put("other", "x")));
  server_.reset_requests();
  server_.fault("PutObject", {{"lost_answer", true}});
  EXPECT_TRUE(failed_with(put(), ErrorCode::network_error, Cause::ambiguous));
  EXPECT_EQ(requests("PutObject"), 1);
}

TEST_F(B2SimFaults, ALostAnswerToCompleteIsAmbiguous) {
  const auto id = store().create_upload("up", "", {}, {});
  ASSERT_TRUE(succeeded(id));
  const auto part = put_part(store(), "up", *id, 1, "x");
  ASSERT_TRUE(succeeded(part));
  server_.fault("CompleteMultipartUpload", {{"lost_answer", true}});
  EXPECT_TRUE(failed_with(store().complete_upload("up", *id, {*part}, {}), ErrorCode::network_error,
                          Cause::ambiguous));
  EXPECT_TRUE(there("up"));
  EXPECT_TRUE(failed_with(store().complete_upload("up", *id, {*part}, {}), ErrorCode::not_found,
                          Cause::upload_gone));
}

TEST_F(B2SimFaults, AStalledServerIsATimeout) {
  server_.fault("PutObject", {{"stall_ms", 20'000}, {"then", "close"}});
  EXPECT_TRUE(failed_with(put(), ErrorCode::timeout, Cause::ambiguous));
  EXPECT_TRUE(succeeded(put()));
}

TEST_F(B2SimFaults, AFrozenServerIsATimeout) {
  ASSERT_TRUE(succeeded(put()));
  server_.freeze();
  EXPECT_TRUE(failed_with(get_text(store(), "key"), ErrorCode::timeout));
  server_.thaw();
  EXPECT_TRUE(succeeded(get_text(store(), "key")));
}

TEST_F(B2SimFaults, ASlowServerIsNoError) {
  const std::string bytes = random_bytes(300'000);
  server_.fault("*", {{"slow_bytes_per_second", 1'000'000}});
  EXPECT_TRUE(succeeded(put("key", bytes)));
  server_.fault("GetObject", {{"slow_bytes_per_second", 1'000'000}});
  EXPECT_TRUE(get_text(store(), "key").value() == bytes);
}

TEST_F(B2SimFaults, ADelayOfEverythingIsFelt) {
  server_.fault_for_ever("*", {{"delay_ms", 100}});
  const auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(succeeded(put()));
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(100));
}

TEST_F(B2SimFaults, AKilledServerIsANetworkErrorUntilItIsBack) {
  ASSERT_TRUE(succeeded(put()));
  server_.kill();
  EXPECT_TRUE(failed_with(put("second"), ErrorCode::network_error));
  const auto refused = get_text(store(), "key");
  EXPECT_TRUE(failed_with(refused, ErrorCode::network_error, Cause::none));
  server_.start();
  EXPECT_EQ(get_text(store(), "key").value(), "content");
}

TEST_F(B2SimFaults, AWrongClockIsCorrectedOnce) {
  for (const int skew : {3'600, -7'200}) {
    server_.clear_faults();
    server_.reset_requests();
    server_.fault_for_ever("*", {{"clock_skew_s", skew}});
    ASSERT_TRUE(succeeded(put()));
    EXPECT_EQ(requests("PutObject"), 2);
    ASSERT_TRUE(succeeded(put()));
    EXPECT_EQ(requests("PutObject"), 3);
  }
}

TEST_F(B2SimFaults, AClockThatCannotBeCorrectedIsClockSkew) {
  server_.fault_for_ever(
      "*", {{"status", 403}, {"code", "RequestTimeTooSkewed"}, {"message", "too large"}});
  EXPECT_TRUE(failed_with(put(), ErrorCode::clock_skew));
  EXPECT_LE(requests("PutObject"), 2);
}

TEST_F(B2SimFaults, AWrongHashIsAChecksumMismatch) {
  Payload payload = payload_of("content");
  payload.sha256 = std::string(64, '0');
  EXPECT_TRUE(
      failed_with(store().put_object({"key", payload, "", {}}, {}), ErrorCode::checksum_mismatch));
  EXPECT_FALSE(there());
}

TEST_F(B2SimFaults, ACopyOverTheLimitIsTooLarge) {
  const B2Sim server({.arguments = {"--largest-copy", "10"}});
  ClientStore client(server.environment());
  ASSERT_TRUE(succeeded(put_text(client.store(), "key", "eleven bytes")));
  const CopyRequest copy = {"key", "", "copy", std::nullopt, ""};
  EXPECT_TRUE(failed_with(client.store().copy_object(copy, {}), ErrorCode::too_large));
}

TEST_F(B2SimFaults, ADemandForMd5IsMetAndRemembered) {
  const B2Sim server({.arguments = {"--require-md5"}});
  ClientStore client(server.environment());
  ASSERT_TRUE(succeeded(put_text(client.store(), "key", "x")));
  EXPECT_EQ(server.requests()["PutObject"], 2);
  ASSERT_TRUE(succeeded(put_text(client.store(), "key", "y")));
  EXPECT_EQ(server.requests()["PutObject"], 3);
  const auto id = client.store().create_upload("up", "", {}, {});
  ASSERT_TRUE(succeeded(id));
  EXPECT_TRUE(succeeded(put_part(client.store(), "up", *id, 1, "part")));
  EXPECT_EQ(server.requests()["UploadPart"], 1);
}

TEST_F(B2SimFaults, AnUploadTakenByALifecycleRuleIsGone) {
  const auto id = store().create_upload("up", "", {}, {});
  ASSERT_TRUE(succeeded(id));
  server_.abort_uploads();
  EXPECT_TRUE(
      failed_with(put_part(store(), "up", *id, 1, "x"), ErrorCode::not_found, Cause::upload_gone));
}

TEST_F(B2SimFaults, AnUnknownCertificateIsLoud) {
  const B2Sim server({.tls = B2SimTls::self_signed});
  ClientStore distrustful(server.environment());
  EXPECT_TRUE(failed_with(put_text(distrustful.store(), "key", "x"), ErrorCode::network_error,
                          Cause::certificate));
  ClientStore trusting(server.environment(), server.certificate_file());
  ASSERT_TRUE(succeeded(trusting.store().verify_bucket({})));
  const std::string bytes = random_bytes(2'000'000);
  ASSERT_TRUE(succeeded(put_text(trusting.store(), "key", bytes)));
  EXPECT_TRUE(get_text(trusting.store(), "key").value() == bytes);
}

}  // namespace spillway
