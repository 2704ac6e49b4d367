#include "src/error.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <string>
#include <vector>

namespace spillway {
namespace {

Error error_of(ErrorCode code, Cause cause = Cause::none, std::string detail = "") {
  Error error;
  error.code = code;
  error.cause = cause;
  error.detail = std::move(detail);
  return error;
}

struct Row {
  ErrorCode code;
  std::string_view word;
  bool outage;
};

const std::vector<Row> kTable{
    {ErrorCode::auth_error, "auth_error", true},
    {ErrorCode::bucket_not_found, "bucket_not_found", true},
    {ErrorCode::timeout, "timeout", true},
    {ErrorCode::network_error, "network_error", true},
    {ErrorCode::rate_limited, "rate_limited", true},
    {ErrorCode::server_error, "server_error", true},
    {ErrorCode::cap_exceeded, "cap_exceeded", true},
    {ErrorCode::clock_skew, "clock_skew", false},
    {ErrorCode::checksum_mismatch, "checksum_mismatch", false},
    {ErrorCode::not_found, "not_found", false},
    {ErrorCode::too_large, "too_large", false},
    {ErrorCode::invalid_request, "invalid_request", false},
    {ErrorCode::local_error, "local_error", false},
};

TEST(ErrorTable, EveryRowOfTheContractHolds) {
  ASSERT_EQ(kTable.size(), static_cast<std::size_t>(ErrorCode::local_error) + 1);
  for (const auto& row : kTable) {
    EXPECT_EQ(to_string(row.code), row.word);
    EXPECT_EQ(error_code_from(row.word), row.code);
    EXPECT_EQ(means_outage(row.code), row.outage) << row.word;
    EXPECT_FALSE(hint_for(error_of(row.code)).empty()) << row.word;
  }
}

TEST(ErrorTable, RefusalsHaveDistinctWordsAndAreNoOutage) {
  for (auto i = static_cast<int>(ErrorCode::exists); i <= static_cast<int>(ErrorCode::interrupted);
       ++i) {
    const auto code = static_cast<ErrorCode>(i);
    EXPECT_EQ(error_code_from(to_string(code)), code);
    EXPECT_FALSE(means_outage(code));
  }
}

TEST(ErrorTable, UnknownWordsAreNone) {
  EXPECT_EQ(error_code_from(""), std::nullopt);
  EXPECT_EQ(error_code_from("Auth_Error"), std::nullopt);
  EXPECT_EQ(error_code_from("auth_error "), std::nullopt);
}

TEST(Hint, BucketNotFoundIsTheContractsSentence) {
  EXPECT_EQ(hint_for(error_of(ErrorCode::bucket_not_found)),
            "Create bucket manually in B2 console");
}

TEST(Hint, CertificateIsToldApartFromOtherNetworkErrors) {
  const Error certificate = error_of(ErrorCode::network_error, Cause::certificate);
  EXPECT_TRUE(hint_for(certificate).contains("certificate"));
  EXPECT_TRUE(hint_for(certificate).contains("--ca-file"));
  EXPECT_FALSE(hint_for(error_of(ErrorCode::network_error)).contains("certificate"));
}

TEST(Hint, NotEntitledNamesTheCapability) {
  const Error list = error_of(ErrorCode::auth_error, Cause::not_entitled,
                              "list_objects: not entitled (needs listFiles)");
  EXPECT_TRUE(hint_for(list).contains("listFiles capability"));
  const Error any = error_of(ErrorCode::auth_error, Cause::not_entitled);
  EXPECT_TRUE(hint_for(any).contains("writeFiles"));
  EXPECT_TRUE(hint_for(any).contains("deleteFiles"));
}

TEST(Hint, LocalErrorsSpeakOfWhatTheSystemSaid) {
  EXPECT_TRUE(hint_for(fail_errno(ENOSPC, "write").error()).contains("Free space"));
  EXPECT_TRUE(hint_for(fail_errno(EROFS, "open").error()).contains("writable"));
  EXPECT_FALSE(hint_for(fail_errno(EIO, "fsync").error()).empty());
}

TEST(FailErrno, KeepsTheErrnoAndSaysWhatFailed) {
  const Result<> result = fail_errno(ENOSPC, "write /shadow/a");
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, ErrorCode::local_error);
  EXPECT_EQ(result.error().system_errno, ENOSPC);
  EXPECT_EQ(result.error().detail, "write /shadow/a: No space left on device");
}

Result<int> twice(Result<int> input) { return 2 * TRY(std::move(input)); }

TEST(ResultType, TryGivesTheValueOrReturnsTheError) {
  EXPECT_EQ(twice(21).value(), 42);
  const auto failed = twice(fail(ErrorCode::timeout, "no answer"));
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().code, ErrorCode::timeout);
  EXPECT_EQ(failed.error().detail, "no answer");
}

}  // namespace
}  // namespace spillway
