#include "src/guarded.h"

#include <gtest/gtest.h>

#include <string>

namespace spillway {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(Guarded, ManyThreadsCountToTheSameNumber) {
  auto executor = make_thread_executor(4);
  Guarded<int> count(*executor, 0);
  for (int i = 0; i < 2'000; ++i) executor->submit([&] { ++*count.lock(); });
  executor.reset();
  EXPECT_EQ(*count.lock(), 2'000);
}

TEST(Guarded, PassesItsArgumentsToTheValue) {
  const auto executor = make_thread_executor(1);
  Guarded<std::string> text(*executor, 3, 'x');
  EXPECT_EQ(*text.lock(), "xxx");
  EXPECT_EQ(text.lock()->size(), 3U);
}

TEST(Guarded, WaitSeesWhatAnotherThreadDid) {
  const auto executor = make_thread_executor(1);
  Guarded<bool> ready(*executor, false);
  executor->submit([&] {
    auto value = ready.lock();
    *value = true;
    value.notify_all();
  });
  auto value = ready.lock();
  value.wait([&] { return *value; });
  EXPECT_TRUE(*value);
}

TEST(Guarded, WaitUntilGivesUpAndSaysSo) {
  const auto executor = make_thread_executor(1);
  Guarded<bool> ready(*executor, false);
  auto value = ready.lock();
  EXPECT_FALSE(value.wait_until(executor->clock().now() + milliseconds(10), [&] { return *value; }));
  EXPECT_TRUE(value.wait_until(executor->clock().now(), [] { return true; }));
}

TEST(Guarded, UnlockedLetsOthersInAndTakesTheLockAgain) {
  const auto executor = make_thread_executor(1);
  Guarded<int> number(*executor, 1);
  auto value = number.lock();
  const int seen = value.unlocked([&] { return *number.lock(); });
  EXPECT_EQ(seen, 1);
  executor->submit([&] {
    auto other = number.lock();
    *other = 2;
    other.notify_all();
  });
  EXPECT_TRUE(value.wait_until(executor->clock().now() + seconds(20), [&] { return *value == 2; }));
}

TEST(Guarded, AMovedFromAccessUnlocksNothing) {
  const auto executor = make_thread_executor(1);
  Guarded<int> number(*executor, 1);
  {
    auto first = number.lock();
    const auto second = std::move(first);
  }
  EXPECT_EQ(*number.lock(), 1);
}

}  // namespace
}  // namespace spillway
