#include "tests/support/seeded_executor.h"

#include <gtest/gtest.h>

#include "src/guarded.h"

namespace spillway::testing {
namespace {

using std::chrono::seconds;

TEST(SeededExecutor, SameSeedGivesSameOrder) {
  const auto order_of = [](std::uint64_t seed) {
    std::string order;
    SeededExecutor executor(seed);
    executor.run([&] {
      for (char c = 'a'; c < 'k'; ++c) executor.submit([&order, c] { order.push_back(c); });
    });
    return order;
  };
  EXPECT_EQ(order_of(7), order_of(7));
  EXPECT_NE(order_of(7), order_of(8));
}

TEST(SeededExecutor, TimeJumpsToTheNextTimer) {
  SeededExecutor executor(1);
  std::vector<int> seen;
  executor.run([&] {
    executor.submit_at(executor.clock().now() + seconds(20), [&] { seen.push_back(20); });
    executor.sleep(seconds(10));
    seen.push_back(10);
  });
  EXPECT_EQ(seen, (std::vector<int>{10, 20}));
  EXPECT_EQ(executor.clock().now().time_since_epoch(), seconds(20));
}

TEST(SeededExecutor, WaitEndsByNotifyOrByDeadline) {
  SeededExecutor executor(3);
  executor.run([&] {
    Guarded<int> value(executor, 0);
    executor.submit([&] {
      executor.sleep(seconds(1));
      auto locked = value.lock();
      *locked = 1;
      locked.notify_all();
    });
    auto locked = value.lock();
    EXPECT_TRUE(locked.wait_until(executor.clock().now() + seconds(5), [&] { return *locked == 1; }));
    EXPECT_FALSE(
        locked.wait_until(executor.clock().now() + seconds(5), [&] { return *locked == 2; }));
    EXPECT_EQ(executor.clock().now().time_since_epoch(), seconds(6));
  });
}

TEST(SeededExecutor, ReportsADeadlock) {
  SeededExecutor executor(4);
  Guarded<int> value(executor, 0);
  EXPECT_THROW(executor.run([&] {
    auto locked = value.lock();
    locked.wait([&] { return *locked == 1; });
  }),
               Deadlock);
}

TEST(SeededExecutor, CrashEndsEveryFiberWhereItWaits) {
  SeededExecutor executor(5);
  Guarded<int> value(executor, 0);
  bool went_on = false;
  executor.run([&] {
    executor.submit([&] {
      auto locked = value.lock();
      locked.wait([&] { return *locked == 1; });
      went_on = true;
    });
    executor.sleep(seconds(1));
    executor.crash();
    went_on = true;
  });
  EXPECT_FALSE(went_on);
  EXPECT_TRUE(executor.has_crashed());
}

}  // namespace
}  // namespace spillway::testing
