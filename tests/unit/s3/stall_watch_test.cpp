#include "s3/stall_watch.h"

#include <gtest/gtest.h>

namespace spillway::s3 {
namespace {

using namespace std::chrono_literals;

constexpr Instant kStart{};

TEST(StallWatch, OnlyAStandingCountIsAStall) {
  StallWatch watch(10s, kStart);
  EXPECT_FALSE(watch.is_stalled(kStart + 9s, 1));
  EXPECT_FALSE(watch.is_stalled(kStart + 18s, 2));
  EXPECT_FALSE(watch.is_stalled(kStart + 28s, 2));
  EXPECT_TRUE(watch.is_stalled(kStart + 29s, 2));
}

TEST(StallWatch, TimeDoesNotRunBeforeAnythingWasSent) {
  StallWatch watch(10s, kStart);
  EXPECT_FALSE(watch.is_stalled(kStart + 1000s, std::nullopt));
  EXPECT_FALSE(watch.is_stalled(kStart + 1001s, 0));
  EXPECT_TRUE(watch.is_stalled(kStart + 1012s, 0));
}

TEST(StallWatch, LooksOftenEnough) {
  EXPECT_EQ(StallWatch(30s, kStart).interval(), Duration(1s));
  EXPECT_EQ(StallWatch(200ms, kStart).interval(), Duration(50ms));
  EXPECT_EQ(StallWatch(1ms, kStart).interval(), Duration(10ms));
  StallWatch watch(200ms, kStart);
  EXPECT_FALSE(watch.is_due(kStart + 49ms));
  EXPECT_TRUE(watch.is_due(kStart + 50ms));
  EXPECT_FALSE(watch.is_stalled(kStart + 50ms, 1));
  EXPECT_FALSE(watch.is_due(kStart + 99ms));
}

}  // namespace
}  // namespace spillway::s3
