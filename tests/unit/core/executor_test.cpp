#include "src/executor.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <set>
#include <thread>
#include <vector>

#include "src/guarded.h"

namespace spillway {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(ThreadExecutor, RunsWhatWasSubmittedBeforeItGoes) {
  std::atomic<int> done = 0;
  {
    const auto executor = make_thread_executor(3);
    for (int i = 0; i < 500; ++i) executor->submit([&] { ++done; });
  }
  EXPECT_EQ(done, 500);
}

TEST(ThreadExecutor, RunsJobsThatJobsSubmitWhileItGoes) {
  std::atomic<int> done = 0;
  {
    const auto executor = make_thread_executor(2);
    executor->submit([&, &owner = *executor] {
      std::this_thread::sleep_for(milliseconds(20));
      for (int i = 0; i < 10; ++i) owner.submit([&] { ++done; });
      ++done;
    });
  }
  EXPECT_EQ(done, 11);
}

// Each job waits until all are running: passes only where none delays another.
TEST(ThreadExecutor, BlockedJobsDoNotDelayEachOtherUpToTheLimit) {
  constexpr int kJobs = 4;
  const auto executor = make_thread_executor(kJobs);
  for (int round = 0; round < 50; ++round) {
    Guarded<int> running(*executor, 0);
    Guarded<int> left(*executor, kJobs);
    for (int i = 0; i < kJobs; ++i) {
      executor->submit([&] {
        {
          auto count = running.lock();
          ++*count;
          count.notify_all();
          EXPECT_TRUE(count.wait_until(executor->clock().now() + seconds(20),
                                       [&] { return *count == kJobs; }));
        }
        auto rest = left.lock();
        --*rest;
        rest.notify_all();
      });
    }
    auto rest = left.lock();
    rest.wait([&] { return *rest == 0; });
  }
}

TEST(ThreadExecutor, NeverStartsMoreThreadsThanItMay) {
  auto executor = make_thread_executor(3);
  Guarded<std::set<std::thread::id>> threads(*executor);
  for (int i = 0; i < 200; ++i) {
    executor->submit([&] { threads.lock()->insert(std::this_thread::get_id()); });
  }
  executor.reset();
  EXPECT_LE(threads.lock()->size(), 3U);
}

TEST(ThreadExecutor, TakesZeroWorkersForOne) {
  std::atomic<bool> ran = false;
  { make_thread_executor(0)->submit([&] { ran = true; }); }
  EXPECT_TRUE(ran);
}

TEST(ThreadExecutorTimers, FireInTheOrderOfTheirTimesAndNotEarly) {
  const auto executor = make_thread_executor(1);
  Guarded<std::vector<int>> order(*executor);
  const Instant start = executor->clock().now();
  for (const int i : {3, 1, 2}) {
    const Instant when = start + milliseconds(20 * i);
    executor->submit_at(when, [&, i, when] {
      EXPECT_GE(executor->clock().now(), when);
      auto list = order.lock();
      list->push_back(i);
      list.notify_all();
    });
  }
  auto list = order.lock();
  list.wait([&] { return list->size() == 3; });
  EXPECT_EQ(*list, (std::vector{1, 2, 3}));
}

TEST(ThreadExecutorTimers, OnesThatAreDueRunAndLaterOnesAreDropped) {
  std::atomic<int> due = 0;
  std::atomic<bool> later = false;
  const auto held = std::make_shared<int>(0);
  {
    const auto executor = make_thread_executor(1);
    const Instant now = executor->clock().now();
    executor->submit_at(now - seconds(1), [&] { ++due; });
    executor->submit_at(now + milliseconds(1), [&] { ++due; });
    executor->submit_at(now + hours(1), [&, held] { later = true; });
    std::this_thread::sleep_for(milliseconds(2));
  }
  EXPECT_EQ(due, 2);
  EXPECT_FALSE(later);
  EXPECT_EQ(held.use_count(), 1);
}

TEST(ThreadExecutorTimers, TheEndOfTimeIsNoOverflow) {
  const auto executor = make_thread_executor(1);
  executor->submit_at(Instant::max(), [] { FAIL(); });
  std::this_thread::sleep_for(milliseconds(20));
}

TEST(ThreadExecutorTimers, CapturesOfDroppedOnesMaySubmit) {
  std::atomic<bool> ran = false;
  {
    const auto executor = make_thread_executor(1);
    const std::shared_ptr<int> farewell(new int(0), [&, &owner = *executor](int* number) {
      delete number;
      owner.submit([&] { ran = true; });
    });
    executor->submit_at(Instant::max(), [farewell] {});
  }
  EXPECT_TRUE(ran);
}

TEST(Monitor, WaitUntilComesBackAtItsDeadline) {
  const auto executor = make_thread_executor(1);
  const auto monitor = executor->make_monitor();
  const Instant deadline = executor->clock().now() + milliseconds(20);
  monitor->lock();
  while (monitor->wait_until(deadline)) {
  }
  monitor->unlock();
  EXPECT_GE(executor->clock().now(), deadline);
}

}  // namespace
}  // namespace spillway
