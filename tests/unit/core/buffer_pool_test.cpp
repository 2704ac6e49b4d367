#include "src/buffer_pool.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <thread>
#include <vector>

namespace spillway {
namespace {

constexpr std::size_t kKiB = 1ULL << 10U;
constexpr std::size_t kMiB = 1ULL << 20U;

void fill(Buffer& buffer, std::size_t size, int value) {
  buffer.resize_uninitialized(size);
  std::ranges::fill(buffer.bytes(), static_cast<std::byte>(value));
}

bool holds(const Buffer& buffer, int value) {
  return std::ranges::all_of(buffer.bytes(),
                             [&](std::byte byte) { return byte == static_cast<std::byte>(value); });
}

class BufferPoolTest : public testing::Test {
 protected:
  // A caller of take() or grow() has come to wait.
  void await_waiting(std::uint64_t callers) {
    while (pool_.usage().waiting != callers) std::this_thread::yield();
  }

  std::unique_ptr<Executor> executor_ = make_thread_executor(8);
  BufferPool pool_{*executor_, 32 * kMiB};
};

TEST_F(BufferPoolTest, CountsWhatIsInUse) {
  {
    const Buffer one = pool_.take(3 * kMiB);
    const Buffer two = pool_.take(100);
    EXPECT_TRUE(one);
    EXPECT_EQ(one.size(), 0U);
    EXPECT_EQ(one.capacity(), 3 * kMiB);
    EXPECT_EQ(pool_.usage().in_use, 3 * kMiB + 100);
  }
  EXPECT_EQ(pool_.usage().in_use, 0U);
  EXPECT_EQ(pool_.usage().most_in_use, 3 * kMiB + 100);
  EXPECT_EQ(pool_.usage().limit, 32 * kMiB);
}

TEST_F(BufferPoolTest, MovesKeepTheMemoryAndGiveBackWhatTheyReplace) {
  Buffer one = pool_.take(2 * kMiB);
  fill(one, kMiB, 1);
  Buffer two = pool_.take(kMiB);
  two = std::move(one);
  EXPECT_FALSE(one);  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(two.size(), kMiB);
  EXPECT_TRUE(holds(two, 1));
  EXPECT_EQ(pool_.usage().in_use, 2 * kMiB);
  two = Buffer();
  EXPECT_EQ(pool_.usage().in_use, 0U);
}

TEST_F(BufferPoolTest, ResizeGivesZeros) {
  for (int round = 0; round < 2; ++round) {
    Buffer buffer = pool_.take(2 * kMiB);
    buffer.resize(2 * kMiB);
    EXPECT_TRUE(holds(buffer, 0));
    fill(buffer, 2 * kMiB, 7);
    buffer.resize(10);
    buffer.resize(kMiB);
    EXPECT_EQ(buffer.bytes()[9], std::byte{7});
    EXPECT_EQ(buffer.bytes()[10], std::byte{0});
    EXPECT_EQ(buffer.bytes()[kMiB - 1], std::byte{0});
  }
}

TEST_F(BufferPoolTest, GrowsFromNothingToAnySizeAndKeepsTheBytes) {
  Buffer buffer;
  int value = 0;
  for (const std::size_t size :
       {std::size_t{1}, 4 * kKiB, 100 * kKiB, 130 * kKiB, kMiB, 8 * kMiB}) {
    const auto before = buffer.size();
    pool_.grow(buffer, size);
    EXPECT_EQ(buffer.capacity(), size);
    EXPECT_EQ(buffer.size(), before);
    EXPECT_TRUE(holds(buffer, value));
    fill(buffer, size, ++value);
    EXPECT_EQ(pool_.usage().in_use, size);
  }
  pool_.grow(buffer, kMiB);
  EXPECT_EQ(buffer.capacity(), 8 * kMiB);
}

TEST_F(BufferPoolTest, UsesLargeBlocksAgain) {
  const std::byte* first = pool_.take(4 * kMiB).bytes().data();
  const Buffer other = pool_.take(3 * kMiB);
  EXPECT_EQ(pool_.take(4 * kMiB).bytes().data(), first);
}

TEST_F(BufferPoolTest, GrowsIntoAKeptBlockWithoutLosingAByte) {
  Buffer buffer = pool_.take(64 * kKiB);
  fill(buffer, 64 * kKiB, 9);
  const std::byte* kept = pool_.take(4 * kMiB).bytes().data();
  pool_.grow(buffer, 4 * kMiB);
  EXPECT_EQ(buffer.bytes().data(), kept);
  EXPECT_EQ(buffer.size(), 64 * kKiB);
  EXPECT_TRUE(holds(buffer, 9));
  EXPECT_EQ(pool_.usage().in_use, 4 * kMiB);
}

TEST_F(BufferPoolTest, ExceedsTheBudgetWhereNothingWouldEverComeBack) {
  const Buffer one = pool_.take(30 * kMiB);
  Buffer two = pool_.take(10 * kMiB);
  pool_.grow(two, 11 * kMiB);
  EXPECT_EQ(pool_.usage().in_use, 41 * kMiB);
  EXPECT_FALSE(pool_.is_pressed());
}

TEST_F(BufferPoolTest, WaitsForWhatIsBeingSent) {
  Buffer sent = pool_.take(30 * kMiB);
  auto sending = std::make_optional<BufferPool::Sending>(pool_, 30 * kMiB);
  std::jthread taker([&] { EXPECT_EQ(pool_.take(10 * kMiB).capacity(), 10 * kMiB); });
  await_waiting(1);
  EXPECT_TRUE(pool_.is_pressed());
  EXPECT_FALSE(pool_.try_take(1));
  sent = Buffer();
  taker.join();
  EXPECT_FALSE(pool_.is_pressed());
  EXPECT_EQ(pool_.usage().most_in_use, 30 * kMiB);
}

TEST_F(BufferPoolTest, StopsWaitingWhenNothingIsBeingSentAnyMore) {
  const Buffer held = pool_.take(32 * kMiB);
  Buffer growing = pool_.take(100);
  auto sending = std::make_optional<BufferPool::Sending>(pool_, 5);
  BufferPool::Sending moved(std::move(*sending));
  sending.reset();
  std::jthread grower([&] { pool_.grow(growing, kMiB); });
  await_waiting(1);
  { const BufferPool::Sending last(std::move(moved)); }
  grower.join();
  EXPECT_EQ(pool_.usage().in_use, 33 * kMiB);
}

TEST_F(BufferPoolTest, ServesALargeRequestBeforeSmallOnesThatCameLater) {
  Buffer sent = pool_.take(20 * kMiB);
  const BufferPool::Sending sending(pool_, 20 * kMiB);
  std::atomic<bool> large_was_served = false;
  std::jthread large([&] {
    const Buffer buffer = pool_.take(30 * kMiB);
    large_was_served = true;
  });
  await_waiting(1);
  // It would fit at once, but not beside the large one: that one has gone when it is served.
  std::jthread small([&] {
    const Buffer buffer = pool_.take(3 * kMiB);
    EXPECT_TRUE(large_was_served);
  });
  await_waiting(2);
  sent = Buffer();
}

TEST_F(BufferPoolTest, ReadAheadLeavesAQuarterToTheOthers) {
  std::vector<Buffer> taken;
  while (auto buffer = pool_.try_take(kMiB)) taken.push_back(*std::move(buffer));
  EXPECT_EQ(taken.size(), 24U);
}

// Whatever callers do: bytes stay their owners', and nothing is left counted in the end.
RC_GTEST_FIXTURE_PROP(BufferPoolTest, KeepsAccountsUnderAnySequence, ()) {
  struct Held {
    Buffer buffer;
    int value;
  };
  std::vector<Held> held;
  std::uint64_t expected = 0;
  const auto steps = *rc::gen::arbitrary<std::vector<std::uint32_t>>();
  for (const std::uint32_t step : steps) {
    const std::size_t size = (step >> 8U) % (6 * kMiB);
    const auto value = static_cast<int>(step % 251);
    if (step % 3 == 0 || held.empty()) {
      held.push_back({pool_.take(size), value});
      expected += size;
    } else if (step % 3 == 1) {
      Held& last = held.back();
      expected += std::max(size, last.buffer.capacity()) - last.buffer.capacity();
      pool_.grow(last.buffer, size);
    } else {
      expected -= held.front().buffer.capacity();
      held.erase(held.begin());
      continue;
    }
    RC_ASSERT(holds(held.back().buffer, held.back().value));
    const auto end = held.back().buffer.capacity();
    fill(held.back().buffer, std::min<std::size_t>(end, 200 * kKiB), held.back().value);
    RC_ASSERT(pool_.usage().in_use == expected);
  }
  held.clear();
  RC_ASSERT(pool_.usage().in_use == 0U);
}

// Senders that take, send for a moment and give back: all come to an end, within the budget.
TEST_F(BufferPoolTest, ManySendersShareTheBudget) {
  std::vector<std::jthread> senders;
  for (int i = 0; i < 8; ++i) {
    senders.emplace_back([&, i] {
      for (int round = 0; round < 50; ++round) {
        Buffer buffer = pool_.take(5 * kMiB);
        const BufferPool::Sending sending(pool_, buffer.capacity());
        fill(buffer, 1'000, i);
        std::this_thread::sleep_for(std::chrono::microseconds(100));
        EXPECT_TRUE(holds(buffer, i));
        buffer = Buffer();
      }
    });
  }
  senders.clear();
  EXPECT_EQ(pool_.usage().in_use, 0U);
  EXPECT_EQ(pool_.usage().waiting, 0U);
}

}  // namespace
}  // namespace spillway
