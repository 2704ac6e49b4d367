#include "src/policy.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <limits>
#include <vector>

namespace spillway {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr auto kMostRandom = std::numeric_limits<std::uint64_t>::max();

Error error_of(ErrorCode code, Cause cause = Cause::none) {
  Error error;
  error.code = code;
  error.cause = cause;
  return error;
}

RetryDecision decide_after(const Error& error, int failures, Duration since_first = {},
                           std::uint64_t random = 0) {
  return decide(RetryRule{}, error, {.failures = failures, .since_first = since_first}, random);
}

enum class Expected : std::uint8_t { no, once, yes };

struct Row {
  ErrorCode code;
  Expected retried;
  Cause cause = Cause::none;
};

// The column "retried" of CONTRACT section 5, row by row.
const std::vector<Row> kContract{
    {ErrorCode::auth_error, Expected::no},
    {ErrorCode::auth_error, Expected::no, Cause::not_entitled},
    {ErrorCode::bucket_not_found, Expected::no},
    {ErrorCode::timeout, Expected::yes},
    {ErrorCode::timeout, Expected::yes, Cause::ambiguous},
    {ErrorCode::network_error, Expected::yes},
    {ErrorCode::network_error, Expected::yes, Cause::ambiguous},
    {ErrorCode::network_error, Expected::no, Cause::certificate},
    {ErrorCode::rate_limited, Expected::yes},
    {ErrorCode::server_error, Expected::yes},
    {ErrorCode::server_error, Expected::yes, Cause::busy},
    {ErrorCode::cap_exceeded, Expected::no},
    {ErrorCode::clock_skew, Expected::once},
    {ErrorCode::checksum_mismatch, Expected::once},
    {ErrorCode::not_found, Expected::no},
    {ErrorCode::not_found, Expected::no, Cause::upload_gone},
    {ErrorCode::too_large, Expected::no},
    {ErrorCode::invalid_request, Expected::no},
    {ErrorCode::invalid_request, Expected::no, Cause::version_changed},
    {ErrorCode::local_error, Expected::no},
};

TEST(Decide, FollowsTheContract) {
  for (const auto& row : kContract) {
    SCOPED_TRACE(to_string(row.code));
    const Error error = error_of(row.code, row.cause);
    EXPECT_EQ(decide_after(error, 1).retry, row.retried != Expected::no);
    EXPECT_EQ(decide_after(error, 2, seconds(1)).retry, row.retried == Expected::yes);
    EXPECT_EQ(decide_after(error, 9, seconds(29)).retry, row.retried == Expected::yes);
    EXPECT_FALSE(decide_after(error, 9, seconds(30)).retry);
    EXPECT_FALSE(decide(RetryRule{.retry_for = {}}, error, {.failures = 1}, 0).retry);
  }
}

TEST(Decide, NeverRepeatsARefusal) {
  for (int code = static_cast<int>(ErrorCode::local_error);
       code <= static_cast<int>(ErrorCode::interrupted); ++code) {
    EXPECT_FALSE(decide_after(error_of(static_cast<ErrorCode>(code)), 1).retry);
  }
}

TEST(Decide, TriesABusyVaultAgainAtOnceTheFirstTimeOnly) {
  const Error busy = error_of(ErrorCode::server_error, Cause::busy);
  EXPECT_EQ(decide_after(busy, 1, {}, kMostRandom).after, Duration::zero());
  EXPECT_GT(decide_after(busy, 2, {}, 123'456'789).after, Duration::zero());
}

TEST(Decide, WaitsAsLongAsTheServerAsked) {
  Error slow_down = error_of(ErrorCode::rate_limited);
  slow_down.retry_after = seconds(7);
  EXPECT_EQ(decide_after(slow_down, 1).after, seconds(7));
  slow_down.cause = Cause::busy;
  EXPECT_EQ(decide_after(slow_down, 1).after, seconds(7));
}

TEST(Decide, WaitsNoLongerThanTheRetryTimeWhateverTheServerAsked) {
  Error slow_down = error_of(ErrorCode::rate_limited);
  slow_down.retry_after = hours(1);
  EXPECT_EQ(decide_after(slow_down, 3, seconds(20)).after, seconds(10));
}

TEST(Decide, MakesTheLastTryWhenTheTimeEnds) {
  const auto rule = RetryRule{.first_delay = seconds(8)};
  const auto last =
      decide(rule, error_of(ErrorCode::timeout), {.failures = 5, .since_first = seconds(29)},
             static_cast<std::uint64_t>(Duration(seconds(8)).count()));
  EXPECT_EQ(last.after, seconds(1));
}

TEST(Decide, SurvivesAnyNumberOfFailures) {
  const auto decision =
      decide_after(error_of(ErrorCode::timeout), std::numeric_limits<int>::max(), {}, kMostRandom);
  EXPECT_LE(decision.after, RetryRule{}.longest_delay);
}

RC_GTEST_PROP(Decide, DrawsFromTheWholeRangeAndNoFurther, ()) {
  const auto failures = *rc::gen::inRange(1, 12);
  const auto random = *rc::gen::arbitrary<std::uint64_t>();
  const RetryRule rule;
  const Duration bound =
      std::min<Duration>(rule.first_delay * (1 << (failures - 1)), rule.longest_delay);
  const auto decision = decide_after(error_of(ErrorCode::server_error), failures, {}, random);
  RC_ASSERT(decision.retry);
  RC_ASSERT(decision.after >= Duration::zero());
  RC_ASSERT(decision.after <= bound);
  const auto most = decide_after(error_of(ErrorCode::server_error), failures, {},
                                 static_cast<std::uint64_t>(bound.count()));
  RC_ASSERT(most.after == bound);
}

class BreakerTest : public testing::Test {
 protected:
  static constexpr Instant at(Duration since_start) { return Instant(hours(1)) + since_start; }
  // The cool-down that the breaker is in, given that it is open.
  Duration cooldown_from(Instant now) { return breaker_.next_probe() - now; }

  Breaker breaker_{seconds(15)};
  const Error outage_ = error_of(ErrorCode::server_error);
};

TEST_F(BreakerTest, LetsCallsPassWhileClosed) {
  EXPECT_EQ(breaker_.ask(at({})).gate, Breaker::Gate::pass);
  EXPECT_FALSE(breaker_.succeeded());
  EXPECT_FALSE(breaker_.is_open());
}

TEST_F(BreakerTest, OpensOnTheCodesThatMeanAnOutageAndOnNoOther) {
  for (int i = 0; i <= static_cast<int>(ErrorCode::interrupted); ++i) {
    const auto code = static_cast<ErrorCode>(i);
    SCOPED_TRACE(to_string(code));
    Breaker breaker(seconds(15));
    EXPECT_EQ(breaker.failed(at({}), error_of(code)), means_outage(code));
    EXPECT_EQ(breaker.is_open(), means_outage(code));
  }
}

TEST_F(BreakerTest, RefusesWithItsReasonUntilTheCooldownEnds) {
  EXPECT_TRUE(breaker_.failed(at({}), outage_));
  const auto answer = breaker_.ask(at(seconds(15) - milliseconds(1)));
  EXPECT_EQ(answer.gate, Breaker::Gate::refuse);
  ASSERT_TRUE(answer.reason);
  EXPECT_EQ(answer.reason->code, ErrorCode::server_error);
}

TEST_F(BreakerTest, SendsOneProbeAtATime) {
  breaker_.failed(at({}), outage_);
  const auto answer = breaker_.ask(at(seconds(15)));
  EXPECT_EQ(answer.gate, Breaker::Gate::probe);
  EXPECT_TRUE(answer.reason);
  EXPECT_EQ(breaker_.ask(at(seconds(16))).gate, Breaker::Gate::refuse);
  EXPECT_EQ(breaker_.ask(at(hours(1))).gate, Breaker::Gate::refuse);
}

TEST_F(BreakerTest, AnAbandonedProbeIsTheNextCallers) {
  breaker_.failed(at({}), outage_);
  EXPECT_EQ(breaker_.ask(at(seconds(15))).gate, Breaker::Gate::probe);
  breaker_.probe_abandoned();
  EXPECT_EQ(breaker_.ask(at(seconds(15))).gate, Breaker::Gate::probe);
}

TEST_F(BreakerTest, ClosesWhenTheProbeSucceeds) {
  breaker_.failed(at({}), outage_);
  ASSERT_EQ(breaker_.ask(at(seconds(15))).gate, Breaker::Gate::probe);
  EXPECT_TRUE(breaker_.succeeded());
  EXPECT_EQ(breaker_.ask(at(seconds(15))).gate, Breaker::Gate::pass);
}

TEST_F(BreakerTest, ClosesWhenTheProbeFailsByItsOwnFault) {
  breaker_.failed(at({}), outage_);
  ASSERT_EQ(breaker_.ask(at(seconds(15))).gate, Breaker::Gate::probe);
  EXPECT_FALSE(breaker_.failed(at(seconds(15)), error_of(ErrorCode::too_large)));
  EXPECT_FALSE(breaker_.is_open());
}

TEST_F(BreakerTest, AProbeThatNeverReachedB2ProvesNothing) {
  breaker_.failed(at({}), outage_);
  for (const auto code : {ErrorCode::local_error, ErrorCode::interrupted}) {
    ASSERT_EQ(breaker_.ask(at(seconds(15))).gate, Breaker::Gate::probe);
    breaker_.failed(at(seconds(15)), error_of(code));
    EXPECT_TRUE(breaker_.is_open());
  }
}

// The cool-downs after each failed probe.
std::vector<Duration> cooldowns(Breaker& breaker, const Error& error, int probes) {
  std::vector<Duration> result;
  Instant now(hours(1));
  breaker.failed(now, error);
  for (int i = 0; i < probes; ++i) {
    result.push_back(breaker.next_probe() - now);
    now = breaker.next_probe();
    EXPECT_EQ(breaker.ask(now).gate, Breaker::Gate::probe);
    EXPECT_FALSE(breaker.failed(now, error));
  }
  return result;
}

TEST_F(BreakerTest, DoublesTheCooldownUpToTwentySeconds) {
  EXPECT_EQ(cooldowns(breaker_, outage_, 4),
            (std::vector<Duration>{seconds(15), seconds(20), seconds(20), seconds(20)}));
}

TEST_F(BreakerTest, DoublesTheCooldownOfACapUpToFiveMinutes) {
  EXPECT_EQ(cooldowns(breaker_, error_of(ErrorCode::cap_exceeded), 7),
            (std::vector<Duration>{seconds(15), seconds(30), seconds(60), seconds(120),
                                   seconds(240), minutes(5), minutes(5)}));
}

TEST_F(BreakerTest, NeverShortensAConfiguredCooldown) {
  Breaker patient(minutes(1));
  EXPECT_EQ(cooldowns(patient, outage_, 3),
            (std::vector<Duration>{minutes(1), minutes(1), minutes(1)}));
}

TEST_F(BreakerTest, BeginsAnewAfterASuccess) {
  cooldowns(breaker_, error_of(ErrorCode::cap_exceeded), 5);
  breaker_.succeeded();
  EXPECT_TRUE(breaker_.failed(at(hours(2)), outage_));
  EXPECT_EQ(cooldown_from(at(hours(2))), seconds(15));
}

TEST_F(BreakerTest, TakesTheReasonOfTheLastProbe) {
  cooldowns(breaker_, error_of(ErrorCode::cap_exceeded), 5);
  const Instant now = breaker_.next_probe();
  ASSERT_EQ(breaker_.ask(now).gate, Breaker::Gate::probe);
  breaker_.failed(now, outage_);
  EXPECT_EQ(breaker_.reason()->code, ErrorCode::server_error);
  EXPECT_EQ(cooldown_from(now), seconds(20));
}

TEST_F(BreakerTest, LateFailuresOfOlderCallsDoNotProlongIt) {
  breaker_.failed(at({}), outage_);
  EXPECT_FALSE(breaker_.failed(at(seconds(10)), error_of(ErrorCode::timeout)));
  EXPECT_EQ(breaker_.next_probe(), at(seconds(15)));
  EXPECT_EQ(breaker_.reason()->code, ErrorCode::server_error);
  EXPECT_FALSE(breaker_.failed(at(seconds(10)), error_of(ErrorCode::not_found)));
  EXPECT_TRUE(breaker_.is_open());
}

TEST_F(BreakerTest, CanBeOpenedFromOutside) {
  breaker_.open(at({}), error_of(ErrorCode::auth_error));
  const auto answer = breaker_.ask(at(seconds(1)));
  EXPECT_EQ(answer.gate, Breaker::Gate::refuse);
  EXPECT_EQ(answer.reason->code, ErrorCode::auth_error);
  EXPECT_EQ(breaker_.ask(at(seconds(15))).gate, Breaker::Gate::probe);
}

}  // namespace
}  // namespace spillway
