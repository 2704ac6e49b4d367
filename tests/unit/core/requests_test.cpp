#include "src/requests.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "tests/support/manual_executor.h"
#include "tests/support/refusing_store.h"

namespace spillway {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

Error error_of(ErrorCode code, Cause cause = Cause::none) {
  Error error;
  error.code = code;
  error.cause = cause;
  return error;
}

class RequestsTest : public testing::Test {
 protected:
  // One call that fails with `error` as long as there is one; the code it ended with.
  std::optional<ErrorCode> read() {
    auto result = requests_.read([&](ObjectStore&, const CallOptions& options) -> Result<int> {
      ++calls_;
      fresh_ = options.fresh_connection;
      if (failures_left_ > 0) {
        --failures_left_;
        return fail(error_);
      }
      return 42;
    });
    if (result.ok()) return std::nullopt;
    return result.error().code;
  }
  void fail_with(const Error& error, int times = 1'000'000) {
    error_ = error;
    failures_left_ = times;
  }
  Duration elapsed() const { return executor_.clock().now() - start_; }

  ManualExecutor executor_;
  RefusingStore store_;
  Requests requests_{
      store_, executor_, {.reading = {}, .naming = {.retry_for = seconds(5)}, .disabled = {}}};
  const Instant start_ = executor_.clock().now();
  Error error_;
  int failures_left_ = 0;
  int calls_ = 0;
  bool fresh_ = false;
};

TEST_F(RequestsTest, GivesTheAnswer) {
  EXPECT_EQ(read(), std::nullopt);
  EXPECT_EQ(calls_, 1);
  EXPECT_FALSE(fresh_);
}

TEST_F(RequestsTest, TriesAgainOnAFreshConnection) {
  fail_with(error_of(ErrorCode::server_error), 3);
  executor_.pass_time_during([&] { EXPECT_EQ(read(), std::nullopt); });
  EXPECT_EQ(calls_, 4);
  EXPECT_TRUE(fresh_);
  EXPECT_FALSE(requests_.outage());
}

TEST_F(RequestsTest, GivesUpWhenTheRetryTimeEndsAndThenRefusesTheOthers) {
  fail_with(error_of(ErrorCode::timeout));
  executor_.pass_time_during([&] { EXPECT_EQ(read(), ErrorCode::timeout); });
  EXPECT_EQ(elapsed(), seconds(30));
  EXPECT_GT(calls_, 3);
  ASSERT_TRUE(requests_.outage());
  EXPECT_EQ(requests_.outage()->code, ErrorCode::timeout);

  const int calls_before = calls_;
  EXPECT_EQ(read(), ErrorCode::timeout);
  EXPECT_EQ(calls_, calls_before);
}

TEST_F(RequestsTest, NameOperationsGiveUpEarlier) {
  const auto forever = [](ObjectStore&, const CallOptions&) -> Result<> {
    return fail(ErrorCode::network_error, "");
  };
  executor_.pass_time_during([&] { EXPECT_FALSE(requests_.name(forever).ok()); });
  EXPECT_EQ(elapsed(), seconds(5));
}

TEST_F(RequestsTest, TakesAnAnswerForAnAnswer) {
  for (const auto code : {ErrorCode::not_found, ErrorCode::invalid_request}) {
    fail_with(error_of(code), 1);
    EXPECT_EQ(read(), code);
    EXPECT_FALSE(requests_.outage());
  }
  EXPECT_EQ(calls_, 2);
}

TEST_F(RequestsTest, AMissingCapabilityClosesTheDoorToNobodyElse) {
  fail_with(error_of(ErrorCode::auth_error, Cause::not_entitled), 1);
  EXPECT_EQ(read(), ErrorCode::auth_error);
  EXPECT_EQ(read(), std::nullopt);
}

TEST_F(RequestsTest, AfterTheCooldownOneProbeDecidesAndIsNotRepeated) {
  fail_with(error_of(ErrorCode::auth_error));
  EXPECT_EQ(read(), ErrorCode::auth_error);
  executor_.step(seconds(15));
  fail_with(error_of(ErrorCode::server_error));
  EXPECT_EQ(read(), ErrorCode::server_error);
  EXPECT_EQ(calls_, 2);
  EXPECT_EQ(read(), ErrorCode::server_error);
  EXPECT_EQ(calls_, 2);
  executor_.step(seconds(20));
  fail_with({}, 0);
  EXPECT_EQ(read(), std::nullopt);
  EXPECT_FALSE(requests_.outage());
}

TEST_F(RequestsTest, AProbeThatFindsNothingHasFoundTheService) {
  fail_with(error_of(ErrorCode::auth_error), 1);
  EXPECT_EQ(read(), ErrorCode::auth_error);
  executor_.step(seconds(15));
  fail_with(error_of(ErrorCode::not_found), 1);
  EXPECT_EQ(read(), ErrorCode::not_found);
  EXPECT_FALSE(requests_.outage());
}

TEST_F(RequestsTest, AnotherProofOfLifeEndsTheCooldown) {
  fail_with(error_of(ErrorCode::auth_error), 1);
  EXPECT_EQ(read(), ErrorCode::auth_error);
  requests_.service_is_back();
  EXPECT_EQ(read(), std::nullopt);
}

TEST_F(RequestsTest, CancelEndsSleepersAndAllLaterCalls) {
  fail_with(error_of(ErrorCode::server_error));
  std::jthread sleeper([&] { EXPECT_EQ(read(), ErrorCode::interrupted); });
  while (!executor_.next_deadline()) std::this_thread::yield();
  requests_.cancel();
  sleeper.join();
  const int calls_before = calls_;
  EXPECT_EQ(read(), ErrorCode::interrupted);
  EXPECT_EQ(calls_, calls_before);
}

TEST_F(RequestsTest, CancelReachesTheCallUnderWay) {
  std::atomic<bool> under_way = false;
  std::jthread caller([&] {
    const auto result = requests_.read([&](ObjectStore&, const CallOptions& options) -> Result<> {
      under_way = true;
      while (!options.cancel.stop_requested()) std::this_thread::yield();
      return fail(ErrorCode::interrupted, "stopped");
    });
    EXPECT_EQ(result.error().code, ErrorCode::interrupted);
  });
  while (!under_way) std::this_thread::yield();
  requests_.cancel();
}

TEST_F(RequestsTest, LocalOnlyAsksNothing) {
  Requests disabled(store_, executor_,
                    {.reading = {}, .naming = {}, .disabled = error_of(ErrorCode::auth_error)});
  const auto result = disabled.read([&](ObjectStore&, const CallOptions&) -> Result<> {
    ADD_FAILURE();
    return {};
  });
  EXPECT_EQ(result.error().code, ErrorCode::auth_error);
  EXPECT_EQ(disabled.outage()->code, ErrorCode::auth_error);
}

}  // namespace
}  // namespace spillway
