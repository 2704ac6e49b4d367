#include "src/clock.h"

#include <gtest/gtest.h>

namespace spillway {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

TEST(Rfc3339, IsUtcWithMilliseconds) {
  EXPECT_EQ(to_rfc3339(WallTime{}), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(to_rfc3339(WallTime(seconds(1'795'357'499) + milliseconds(123))),
            "2026-11-22T14:24:59.123Z");
}

TEST(Rfc3339, RoundsDownAlsoBefore1970) {
  EXPECT_EQ(to_rfc3339(WallTime(nanoseconds(999'999'999))), "1970-01-01T00:00:00.999Z");
  EXPECT_EQ(to_rfc3339(WallTime(nanoseconds(-1))), "1969-12-31T23:59:59.999Z");
}

TEST(SystemClock, MonotonicTimeNeverGoesBack) {
  const Clock& clock = system_clock();
  Instant last = clock.now();
  for (int i = 0; i < 1'000; ++i) {
    const Instant now = clock.now();
    EXPECT_GE(now, last);
    last = now;
  }
}

TEST(SystemClock, WallTimeIsThatOfTheSystem) {
  const auto apart = system_clock().wall() - WallTime(std::chrono::system_clock::now());
  EXPECT_LT(std::chrono::abs(apart), seconds(5));
}

TEST(ToMilliseconds, CutsTheRest) {
  EXPECT_EQ(to_milliseconds(nanoseconds(1'999'999)), 1);
  EXPECT_EQ(to_milliseconds(seconds(2)), 2'000);
}

}  // namespace
}  // namespace spillway
