#include "src/reader.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>
#include <vector>

#include "tests/support/manual_executor.h"
#include "tests/support/refusing_store.h"

namespace spillway {
namespace {

using std::chrono::seconds;

constexpr std::uint64_t kKiB = 1ULL << 10U;
constexpr ReadAhead kSmall{.chunk = 64 * kKiB, .window = 512 * kKiB, .smallest = 8 * kKiB};

std::byte byte_at(std::uint64_t offset) {
  return static_cast<std::byte>((offset * 31 + offset / 251) % 256);
}

// One object, in which each byte tells its place.
class OneObjectStore final : public RefusingStore {
 public:
  explicit OneObjectStore(std::uint64_t size) : size_(size) {}

  Result<ObjectInfo> get_object(const GetRequest& request, const ByteSink& sink,
                                const CallOptions& options) override {
    note(request);
    while (hold && !options.cancel.stop_requested()) std::this_thread::yield();
    if (options.cancel.stop_requested()) return fail(ErrorCode::interrupted, "");
    if (failures > 0) {
      --failures;
      return fail(failure);
    }
    const std::uint64_t end = std::min(size_, request.range->end());
    for (std::uint64_t at = request.range->offset; at < end;) {
      if (cuts > 0 && at >= cut_after) {
        --cuts;
        return fail(ErrorCode::network_error, "cut");
      }
      at += TRY(send(sink, at, std::min<std::uint64_t>(end - at, 5'000)));
    }
    return ObjectInfo{};
  }

  std::vector<GetRequest> requests() {
    const std::lock_guard held(mutex_);
    return requests_;
  }
  std::size_t count() { return requests().size(); }

  Error failure;
  std::atomic<int> failures = 0;  // requests to fail with it
  std::atomic<int> cuts = 0;      // requests to cut off, at
  std::uint64_t cut_after = 0;
  std::atomic<bool> hold = false;  // requests hang

 private:
  void note(const GetRequest& request) {
    const std::lock_guard held(mutex_);
    requests_.push_back(request);
  }
  static Result<std::uint64_t> send(const ByteSink& sink, std::uint64_t at, std::uint64_t count) {
    std::vector<std::byte> piece(count);
    for (std::uint64_t i = 0; i < count; ++i) piece[i] = byte_at(at + i);
    TRY(sink(piece));
    return count;
  }

  const std::uint64_t size_;
  std::mutex mutex_;
  std::vector<GetRequest> requests_;
};

// A reader with all that it needs.
struct Bench {
  explicit Bench(std::uint64_t object_size, std::uint64_t memory = 64ULL << 20U,
                 const ReadAhead& settings = kSmall)
      : size(object_size), store(object_size), pool(executor, memory) {
    reader =
        make_reader(requests, pool, executor,
                    {.key = "k", .version_id = "v1", .etag = "e1", .size = object_size}, settings);
  }
  ~Bench() {
    reader.reset();
    EXPECT_EQ(pool.usage().in_use, 0U);
  }
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;

  // The error of the read, if it failed; bytes are compared with what they must be.
  std::optional<Error> read(std::uint64_t offset, std::uint64_t count) {
    std::vector<std::byte> bytes(count);
    const auto result = reader->read(offset, bytes);
    if (!result.ok()) return result.error();
    EXPECT_EQ(*result, offset >= size ? 0 : std::min(count, size - offset));
    for (std::uint64_t i = 0; i < *result; ++i) {
      if (bytes[i] != byte_at(offset + i)) {
        ADD_FAILURE() << "wrong byte at " << offset + i;
        break;
      }
    }
    return std::nullopt;
  }
  void read_all(std::uint64_t step) {
    for (std::uint64_t at = 0; at < size; at += step) ASSERT_FALSE(read(at, step));
  }
  void await_requests(std::size_t count) {
    while (store.count() < count) std::this_thread::yield();
  }

  const std::uint64_t size;
  OneObjectStore store;
  ManualExecutor executor;
  BufferPool pool;
  Requests requests{store, executor, {.reading = {}, .naming = {}, .disabled = {}}};
  std::unique_ptr<Reader> reader;
};

TEST(Reader, AsksNothingForAnEmptyFile) {
  Bench bench(0);
  EXPECT_FALSE(bench.read(0, 10));
  EXPECT_EQ(bench.store.count(), 0U);
}

TEST(Reader, GivesNothingPastTheEnd) {
  Bench bench(100);
  EXPECT_FALSE(bench.read(100, 10));
  EXPECT_FALSE(bench.read(1'000'000, 10));
  EXPECT_EQ(bench.store.count(), 0U);
  EXPECT_FALSE(bench.read(95, 10));
}

TEST(Reader, ReadsASmallFileWithOneRequest) {
  Bench bench(60 * kKiB);
  EXPECT_FALSE(bench.read(30 * kKiB, kKiB));
  bench.read_all(4 * kKiB);
  ASSERT_EQ(bench.store.count(), 1U);
  EXPECT_EQ(bench.store.requests()[0].range, (ByteRange{0, 60 * kKiB}));
}

TEST(Reader, ReadsSequentiallyWithWholeChunks) {
  Bench bench(1'000 * kKiB + 17);
  bench.read_all(10'000);
  EXPECT_EQ(bench.store.count(), 16U);
}

TEST(Reader, ReadsFarAheadOnceAReaderIsSequential) {
  Bench bench(10'000 * kKiB);
  std::uint64_t at = 0;
  for (; at < 256 * kKiB; at += 16 * kKiB) ASSERT_FALSE(bench.read(at, 16 * kKiB));
  bench.store.hold = true;
  ASSERT_FALSE(bench.read(at, 16 * kKiB));
  // [256, 320) is here, and seven chunks more fit into the window of eight.
  bench.await_requests(11);
  bench.store.hold = false;
  EXPECT_LE(bench.pool.usage().most_in_use, 512 * kKiB + 5 * 64 * kKiB);
}

TEST(Reader, FetchesLittleMoreThanWasAskedForWhenReadsAreRandom) {
  Bench bench(10'000 * kKiB);
  for (const std::uint64_t at : {5'000, 9'000, 2'000, 7'500, 400}) {
    EXPECT_FALSE(bench.read(at * kKiB, 100));
    EXPECT_EQ(bench.store.requests().back().range, (ByteRange{at * kKiB, 8 * kKiB}));
  }
  EXPECT_FALSE(bench.read(6'000 * kKiB, 20 * kKiB));
  EXPECT_EQ(bench.store.requests().back().range, (ByteRange{6'000 * kKiB, 20 * kKiB}));
}

TEST(Reader, AnswersFromMemoryWhatItHas) {
  Bench bench(10'000 * kKiB);
  EXPECT_FALSE(bench.read(5'000 * kKiB, 100));
  EXPECT_FALSE(bench.read(5'001 * kKiB, 100));
  EXPECT_EQ(bench.store.count(), 1U);
}

TEST(Reader, NamesTheVersionElseTheEtag) {
  Bench bench(100);
  EXPECT_FALSE(bench.read(0, 100));
  EXPECT_EQ(bench.store.requests()[0].key, "k");
  EXPECT_EQ(bench.store.requests()[0].version_id, "v1");
  EXPECT_EQ(bench.store.requests()[0].if_match, "");

  bench.reader = make_reader(bench.requests, bench.pool, bench.executor,
                             {.key = "k", .version_id = "", .etag = "e1", .size = 100});
  EXPECT_FALSE(bench.read(0, 100));
  EXPECT_EQ(bench.store.requests()[1].version_id, "");
  EXPECT_EQ(bench.store.requests()[1].if_match, "e1");
}

TEST(Reader, AVersionThatIsGoneIsStale) {
  Bench bench(100);
  bench.store.failure.code = ErrorCode::not_found;
  bench.store.failures = 1;
  EXPECT_EQ(bench.read(0, 10)->code, ErrorCode::stale);

  bench.store.failure = {.code = ErrorCode::invalid_request,
                         .detail = "412",
                         .request_id = "r",
                         .cause = Cause::version_changed,
                         .retry_after = {}};
  bench.store.failures = 1;
  const auto error = bench.read(0, 10);
  EXPECT_EQ(error->code, ErrorCode::stale);
  EXPECT_EQ(error->request_id, "r");
}

TEST(Reader, AnObjectThatIsShorterThanItWasIsStale) {
  Bench bench(100);
  bench.reader = make_reader(bench.requests, bench.pool, bench.executor,
                             {.key = "k", .version_id = "", .etag = "e1", .size = 200});
  EXPECT_EQ(bench.read(0, 200)->code, ErrorCode::stale);
}

TEST(Reader, GoesOnWhereABrokenTransferEnded) {
  Bench bench(60 * kKiB);
  bench.store.cut_after = 20'000;
  bench.store.cuts = 1;
  bench.executor.pass_time_during([&] { EXPECT_FALSE(bench.read(0, 60 * kKiB)); });
  ASSERT_EQ(bench.store.count(), 2U);
  EXPECT_EQ(bench.store.requests()[1].range, (ByteRange{20'000, 60 * kKiB - 20'000}));
}

TEST(Reader, GivesTheErrorAndAsksAgainTheNextTime) {
  Bench bench(60 * kKiB);
  bench.store.failure.code = ErrorCode::server_error;
  bench.store.failures = 1'000'000;
  bench.executor.pass_time_during(
      [&] { EXPECT_EQ(bench.read(0, 10)->code, ErrorCode::server_error); });
  bench.store.failures = 0;
  bench.executor.step(seconds(20));
  EXPECT_FALSE(bench.read(0, 10));
}

TEST(Reader, AFailedReadAheadIsNoErrorUntilTheBytesAreNeeded) {
  Bench bench(640 * kKiB);
  ASSERT_FALSE(bench.read(0, 10 * kKiB));
  bench.store.failure.code = ErrorCode::invalid_request;
  bench.store.failures = 1;
  ASSERT_FALSE(bench.read(10 * kKiB, 20 * kKiB));
  bench.await_requests(2);
  while (bench.store.failures > 0) std::this_thread::yield();
  ASSERT_FALSE(bench.read(30 * kKiB, 30 * kKiB));
  // Whoever waits for the very fetch that fails gets its error, so let it be over.
  while (bench.pool.usage().in_use > 0 && bench.store.count() < 3) {
    ASSERT_FALSE(bench.read(50 * kKiB, 1));
  }
  bench.read_all(32 * kKiB);
}

TEST(Reader, DropsWhatHasBeenRead) {
  Bench bench(4'000 * kKiB);
  bench.read_all(16 * kKiB);
  while (bench.pool.usage().in_use > 0) std::this_thread::yield();
  EXPECT_LE(bench.pool.usage().most_in_use, 512 * kKiB + 5 * 64 * kKiB);
}

TEST(Reader, GetsByWithHardlyAnyMemory) {
  Bench bench(1'000 * kKiB, 70 * kKiB);
  bench.read_all(16 * kKiB);
  // What is being read, and what was read a moment ago.
  EXPECT_LE(bench.pool.usage().most_in_use, 2 * 64 * kKiB);
}

TEST(Reader, ReadsWhileOthersHoldAllMemory) {
  Bench bench(1'000 * kKiB);
  const Buffer hog = bench.pool.take(64ULL << 20U);
  EXPECT_FALSE(bench.read(0, 4 * kKiB));
  EXPECT_EQ(bench.store.requests()[0].range, (ByteRange{0, 4 * kKiB}));
  while (bench.pool.usage().in_use != 64ULL << 20U) std::this_thread::yield();
}

TEST(Reader, TakesAnyReadInOnePiece) {
  Bench bench(3'000 * kKiB + 1);
  EXPECT_FALSE(bench.read(0, 4'000 * kKiB));
  EXPECT_FALSE(bench.read(1'500 * kKiB, 1'400 * kKiB));
}

// All workers hold a read each: their fetches have nobody to run on.
TEST(Reader, NeedsNoFreeWorker) {
  Bench bench(5'000 * kKiB);
  std::atomic<int> done = 0;
  for (std::uint64_t i = 0; i < 8; ++i) {
    bench.executor.submit([&, i] {
      EXPECT_FALSE(bench.read(i * 600 * kKiB, 500 * kKiB));
      ++done;
    });
  }
  bench.executor.pass_time_during([&] {
    while (done < 8) std::this_thread::yield();
  });
}

TEST(Reader, GoesWithoutWaitingForTheServer) {
  Bench bench(10'000 * kKiB);
  ASSERT_FALSE(bench.read(0, 60 * kKiB));
  bench.store.hold = true;
  ASSERT_FALSE(bench.read(60 * kKiB, 4 * kKiB));
  bench.await_requests(3);
}

TEST(Reader, GoesWhileAFetchWaitsForItsRetry) {
  Bench bench(10'000 * kKiB);
  ASSERT_FALSE(bench.read(0, 10 * kKiB));
  bench.store.failure.code = ErrorCode::server_error;
  bench.store.failures = 1'000'000;
  ASSERT_FALSE(bench.read(10 * kKiB, 50 * kKiB));
  while (!bench.executor.next_deadline()) std::this_thread::yield();
}

TEST(Reader, SeveralThreadsShareIt) {
  Bench bench(2'000 * kKiB);
  std::vector<std::jthread> threads;
  std::atomic<std::uint64_t> next = 0;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      while (true) {
        const std::uint64_t at = next.fetch_add(13'000);
        if (at >= bench.size) return;
        EXPECT_FALSE(bench.read(at, 13'000));
      }
    });
  }
  threads.clear();
  // A little disorder among threads is still a sequential reader: not a request for each read.
  EXPECT_LE(bench.store.count(), 3 * 2'000 / 64U);
}

// Any reads in any order, with a server that cuts transfers off, give the object's bytes.
RC_GTEST_PROP(Reader, GivesTheObjectsBytesWhateverIsAsked, ()) {
  const auto size = *rc::gen::inRange<std::uint64_t>(0, 900 * kKiB);
  const auto memory = *rc::gen::element(40 * kKiB, 300 * kKiB, 64 * kKiB * kKiB);
  Bench bench(size, memory);
  bench.store.cut_after = size / 2;
  bench.store.cuts = *rc::gen::inRange(0, 4);
  const auto reads = *rc::gen::container<std::vector<std::pair<std::uint64_t, std::uint64_t>>>(
      rc::gen::pair(rc::gen::inRange<std::uint64_t>(0, 1'000 * kKiB),
                    rc::gen::inRange<std::uint64_t>(0, 200 * kKiB)));
  bench.executor.pass_time_during([&] {
    for (const auto& [offset, count] : reads) EXPECT_FALSE(bench.read(offset, count));
  });
  RC_ASSERT(!testing::Test::HasFailure());
}

}  // namespace
}  // namespace spillway
