#include "src/directory_sync.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "tests/support/memory_disk.h"

namespace spillway {
namespace {

class DirectorySyncTest : public ::testing::Test {
 protected:
  [[nodiscard]] std::uint64_t syncs() const { return disk_.calls(DiskCall::sync_directory); }

  MemoryDisk disk_;
  std::unique_ptr<Executor> executor_ = make_thread_executor(1);
  DirectorySync directory_{disk_, *executor_, ""};
};

TEST_F(DirectorySyncTest, OneSyncServesAllChangesBeforeIt) {
  const auto first = directory_.changed();
  const auto second = directory_.changed();
  EXPECT_TRUE(directory_.make_durable(first).ok());
  EXPECT_TRUE(directory_.make_durable(second).ok());
  EXPECT_TRUE(directory_.make_durable(first).ok());
  EXPECT_EQ(syncs(), 1U);
}

TEST_F(DirectorySyncTest, AChangeDuringASyncNeedsTheNextOne) {
  DirectorySync::Ticket during = 0;
  disk_.on_sync_directory([&] {
    if (during == 0) during = directory_.changed();
  });
  ASSERT_TRUE(directory_.make_durable(directory_.changed()).ok());
  ASSERT_TRUE(directory_.make_durable(during).ok());
  EXPECT_EQ(syncs(), 2U);
}

TEST_F(DirectorySyncTest, AFailedSyncFailsForEveryChangeItCoveredAndForNoOther) {
  const auto durable = directory_.changed();
  ASSERT_TRUE(directory_.make_durable(durable).ok());
  const auto first = directory_.changed();
  const auto second = directory_.changed();
  disk_.fail({.call = DiskCall::sync_directory, .nth = 1, .system_errno = EIO,
              .lasts = DiskFault::Lasts::once});
  EXPECT_EQ(directory_.make_durable(first).error().system_errno, EIO);
  const auto later = directory_.changed();
  EXPECT_TRUE(directory_.make_durable(later).ok());
  EXPECT_FALSE(directory_.make_durable(first).ok());
  EXPECT_FALSE(directory_.make_durable(second).ok());
  EXPECT_TRUE(directory_.make_durable(durable).ok());
}

TEST_F(DirectorySyncTest, ManyThreadsShareSyncs) {
  constexpr int kThreads = 8;
  constexpr int kRounds = 200;
  disk_.on_sync_directory([] { std::this_thread::yield(); });
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([this] {
      for (int i = 0; i < kRounds; ++i) {
        EXPECT_TRUE(directory_.make_durable(directory_.changed()).ok());
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_LE(syncs(), std::uint64_t{kThreads} * kRounds);
}

}  // namespace
}  // namespace spillway
