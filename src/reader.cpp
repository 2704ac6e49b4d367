#include "src/reader.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>
#include <stop_token>
#include <utility>
#include <vector>

#include "src/guarded.h"

namespace spillway {
namespace {

// How long a read waits for a worker to take up its fetch before it does the work itself: the
// workers may all be busy, and some of them may be waiting for this very read.
constexpr Duration kPatience = std::chrono::milliseconds(5);
// So many reads elsewhere in a row end a stream.
constexpr int kFarReads = 4;

// A stretch of the object that is, or is about to be, in memory.
struct Chunk {
  ByteRange range;
  Buffer memory;
  enum class State : std::uint8_t { preparing, queued, fetching, done } state = State::queued;
  std::uint64_t arrived = 0;  // bytes from the chunk's start; they don't change any more
  std::uint64_t served = 0;
  std::uint64_t last_use = 0;
  int users = 0;
  enum class Keep : std::uint8_t { until_read, not_at_all } keep = Keep::until_read;
  std::optional<Error> error;

  [[nodiscard]] bool is_idle() const { return users == 0 && state == State::done; }
  [[nodiscard]] bool is_read() const { return served >= range.size; }
};
using ChunkPointer = std::shared_ptr<Chunk>;

struct CacheState {
  std::map<std::uint64_t, ChunkPointer> chunks;  // by offset, never overlapping
  std::uint64_t next = 0;                        // where a sequential reader would go on
  std::uint64_t run = 0;                         // bytes read in sequence so far
  std::uint64_t window = 0;                      // bytes to be fetched ahead
  std::uint64_t next_elsewhere = 0;              // after the last read that was far from `next`
  int far_reads = 0;                             // since one was near
  std::uint64_t uses = 0;
  int fetches = 0;  // under way

  [[nodiscard]] ChunkPointer at(std::uint64_t offset) const {
    auto after = chunks.upper_bound(offset);
    if (after == chunks.begin()) return nullptr;
    const auto& chunk = std::prev(after)->second;
    return offset < chunk->range.end() ? chunk : nullptr;
  }
  [[nodiscard]] std::uint64_t next_chunk_after(std::uint64_t offset, std::uint64_t none) const {
    const auto after = chunks.upper_bound(offset);
    return after == chunks.end() ? none : std::min(after->first, none);
  }
  // The memory goes back at once, not with the last pointer: a job may hold that one for longer
  // than the pool lives. Readers of a chunk that failed give it back when they are done. By value:
  // the argument may be the map's own.
  void drop(ChunkPointer chunk) {  // NOLINT(performance-unnecessary-value-param)
    const auto found = chunks.find(chunk->range.offset);
    if (found != chunks.end() && found->second == chunk) chunks.erase(found);
    if (chunk->users == 0) chunk->memory = Buffer();
  }
};
using LockedState = Guarded<CacheState>::Locked;

Error as_stale(Error error) {
  if (error.cause == Cause::version_changed || error.code == ErrorCode::not_found) {
    error.code = ErrorCode::stale;
  }
  return error;
}

// Shared with the jobs that fetch for it: one that no worker has taken up when the reader goes
// finds its chunk gone, and nobody has to wait for it.
class ReadCache final : public std::enable_shared_from_this<ReadCache> {
 public:
  ReadCache(Requests& requests, BufferPool& pool, Executor& executor, const RemoteVersion& version,
            const ReadAhead& read_ahead)
      : requests_(requests),
        pool_(pool),
        executor_(executor),
        version_(version),
        settings_(read_ahead),
        state_(executor) {
    state_.lock()->window = settings_.chunk;
  }

  Result<std::size_t> read(std::uint64_t offset, std::span<std::byte> bytes);
  // Ends the fetches under way and gives all memory back.
  void close();

 private:
  enum class Pattern : std::uint8_t { sequential, random };
  Pattern note_read(CacheState& state, ByteRange range) const;
  Result<std::size_t> read_some(Pattern pattern, ByteRange wanted, std::span<std::byte> bytes);
  Result<std::size_t> serve(LockedState& state, const ChunkPointer& chunk, ByteRange wanted,
                            std::span<std::byte> bytes);
  void await(LockedState& state, const ChunkPointer& chunk, std::uint64_t needed);
  void trim(CacheState& state);

  [[nodiscard]] ByteRange plan(const CacheState& state, Pattern pattern, ByteRange wanted) const;
  ChunkPointer begin_needed(LockedState& state, Pattern pattern, ByteRange wanted);
  void begin_ahead(CacheState& state, std::uint64_t from);
  ChunkPointer add(CacheState& state, ByteRange range) const;
  void enqueue(const ChunkPointer& chunk, Buffer memory);

  void fetch(LockedState& state, const ChunkPointer& chunk);
  Result<> get(Chunk& chunk);
  Result<> append(Chunk& chunk, std::span<const std::byte> piece);

  Requests& requests_;
  BufferPool& pool_;
  Executor& executor_;
  const RemoteVersion version_;
  const ReadAhead settings_;
  std::stop_source stop_;
  Guarded<CacheState> state_;
};

Result<std::size_t> ReadCache::read(std::uint64_t offset, std::span<std::byte> bytes) {
  if (offset >= version_.size || bytes.empty()) return 0U;
  const auto wanted =
      static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), version_.size - offset));
  const Pattern pattern = note_read(*state_.lock(), {offset, wanted});
  std::size_t done = 0;
  while (done < wanted) {
    done +=
        TRY(read_some(pattern, {offset + done, wanted - done}, bytes.subspan(done, wanted - done)));
  }
  return done;
}

// The kernel's read-ahead comes from several threads, out of order: near is near enough, late reads
// change nothing, and a stream survives a few reads elsewhere.
ReadCache::Pattern ReadCache::note_read(CacheState& state, ByteRange range) const {
  const auto is_near = [&](std::uint64_t next, std::uint64_t late) {
    return range.offset <= next + settings_.chunk && range.offset + late >= next;
  };
  if (!is_near(state.next, state.window + settings_.chunk)) {
    const bool begins_stream =
        state.far_reads > 0 && is_near(state.next_elsewhere, settings_.chunk);
    state.next_elsewhere = range.end();
    if (++state.far_reads >= kFarReads || begins_stream) {
      state.run = 0;
      state.window = settings_.chunk;
    }
    if (!begins_stream) return Pattern::random;
    state.next = range.offset;
  }
  state.far_reads = 0;
  state.next = std::max(state.next, range.end());
  state.run += range.size;
  // Who has read a quarter of the window is likely to want twice as much.
  while (state.run >= state.window / 4 && state.window < settings_.window) state.window *= 2;
  state.window = std::min(state.window, std::max(settings_.window, settings_.chunk));
  return Pattern::sequential;
}

Result<std::size_t> ReadCache::read_some(Pattern pattern, ByteRange wanted,
                                         std::span<std::byte> bytes) {
  auto state = state_.lock();
  ChunkPointer chunk = state->at(wanted.offset);
  if (!chunk) chunk = begin_needed(state, pattern, wanted);
  ++chunk->users;
  if (pattern == Pattern::sequential) begin_ahead(*state, wanted.end());
  auto result = serve(state, chunk, wanted, bytes);
  --chunk->users;
  if (chunk->error && chunk->users == 0) chunk->memory = Buffer();
  trim(*state);
  return result;
}

Result<std::size_t> ReadCache::serve(LockedState& state, const ChunkPointer& chunk,
                                     ByteRange wanted, std::span<std::byte> bytes) {
  const std::uint64_t from = wanted.offset - chunk->range.offset;
  const std::uint64_t count = std::min(wanted.size, chunk->range.end() - wanted.offset);
  chunk->last_use = ++state->uses;
  await(state, chunk, from + count);
  if (chunk->arrived < from + count) return fail(*chunk->error);
  state.unlocked([&] { std::memcpy(bytes.data(), chunk->memory.bytes().data() + from, count); });
  chunk->served += count;
  return static_cast<std::size_t>(count);
}

void ReadCache::await(LockedState& state, const ChunkPointer& chunk, std::uint64_t needed) {
  const auto is_over = [&] {
    return chunk->arrived >= needed || chunk->state == Chunk::State::done;
  };
  const auto is_queued = [&] { return chunk->state == Chunk::State::queued; };
  while (!is_over()) {
    if (!is_queued()) {
      state.wait([&] { return is_over() || is_queued(); });
      continue;
    }
    const Instant patient_until = executor_.clock().now() + kPatience;
    if (!state.wait_until(patient_until, [&] { return !is_queued(); })) fetch(state, chunk);
  }
}

// Chunks go once they have been read. The others go when they are too much, or when somebody needs
// the memory: first what a stream has left behind, the longest unused first.
void ReadCache::trim(CacheState& state) {
  std::uint64_t held = 0;
  std::vector<ChunkPointer> idle;
  for (const auto& [offset, chunk] : state.chunks) {
    held += chunk->range.size;
    if (chunk->is_idle()) idle.push_back(chunk);
  }
  std::ranges::sort(idle, {}, [&](const auto& chunk) {
    const bool is_wanted_soon = chunk->range.end() + settings_.chunk > state.next &&
                                chunk->range.offset < state.next + state.window + settings_.chunk;
    return std::pair(is_wanted_soon, chunk->last_use);
  });
  const std::uint64_t most =
      pool_.is_pressed() ? settings_.chunk : state.window + 4 * settings_.chunk;
  for (const auto& chunk : idle) {
    const bool is_too_much = held > most && chunk->last_use != state.uses;
    if (!is_too_much && !chunk->is_read() && chunk->keep == Chunk::Keep::until_read) continue;
    held -= chunk->range.size;
    state.drop(chunk);
  }
}

ByteRange ReadCache::plan(const CacheState& state, Pattern pattern, ByteRange wanted) const {
  if (version_.size <= settings_.chunk && state.chunks.empty()) return {0, version_.size};
  const std::uint64_t size = pattern == Pattern::sequential
                                 ? settings_.chunk
                                 : std::clamp(wanted.size, settings_.smallest,
                                              std::max(settings_.window, settings_.smallest));
  const std::uint64_t end = state.next_chunk_after(wanted.offset, version_.size);
  return {wanted.offset, std::min(size, end - wanted.offset)};
}

// Where memory is short, a stream still gets whole chunks, in its turn; any other read gets what
// it asked for and keeps nothing, so that many open files don't hold a chunk each.
ChunkPointer ReadCache::begin_needed(LockedState& state, Pattern pattern, ByteRange wanted) {
  ByteRange range = plan(*state, pattern, wanted);
  auto memory = pool_.try_take(range.size);
  const bool is_stream = pattern == Pattern::sequential && state->run > settings_.chunk;
  if (!memory && !is_stream) {
    range.size = std::min({wanted.size, settings_.chunk, range.end() - wanted.offset});
    range.offset = wanted.offset;
  }
  auto chunk = add(*state, range);
  if (!memory) {
    if (!is_stream) chunk->keep = Chunk::Keep::not_at_all;
    ++chunk->users;
    memory = state.unlocked([&] { return pool_.take(range.size); });
    --chunk->users;
  }
  enqueue(chunk, *std::move(memory));
  state.notify_all();
  return chunk;
}

void ReadCache::begin_ahead(CacheState& state, std::uint64_t from) {
  const std::uint64_t limit = std::min(version_.size, from + state.window);
  while (from < limit) {
    if (const auto chunk = state.at(from)) {
      from = chunk->range.end();
      continue;
    }
    const std::uint64_t end = state.next_chunk_after(from, version_.size);
    const ByteRange range{from, std::min(settings_.chunk, end - from)};
    if (range.end() > limit) return;
    auto memory = pool_.try_take(range.size);
    if (!memory) return;
    enqueue(add(state, range), *std::move(memory));
    from = range.end();
  }
}

ChunkPointer ReadCache::add(CacheState& state, ByteRange range) const {
  auto chunk = std::make_shared<Chunk>();
  chunk->range = range;
  chunk->state = Chunk::State::preparing;
  state.chunks.emplace(range.offset, chunk);
  return chunk;
}

void ReadCache::enqueue(const ChunkPointer& chunk, Buffer memory) {
  chunk->memory = std::move(memory);
  chunk->memory.resize_uninitialized(chunk->range.size);
  chunk->state = Chunk::State::queued;
  executor_.submit([self = shared_from_this(), chunk] {
    auto state = self->state_.lock();
    if (chunk->state == Chunk::State::queued) self->fetch(state, chunk);
  });
}

void ReadCache::fetch(LockedState& state, const ChunkPointer& chunk) {
  chunk->state = Chunk::State::fetching;
  ++state->fetches;
  state.notify_all();
  auto result = state.unlocked([&] { return get(*chunk); });
  chunk->state = Chunk::State::done;
  if (!result.ok()) {
    // Whoever waits gets the error; whoever comes later asks again.
    chunk->error = as_stale(std::move(result).error());
    state->drop(chunk);
  }
  trim(*state);
  --state->fetches;
  state.notify_all();
}

Result<> ReadCache::get(Chunk& chunk) {
  return requests_.read(
      [&](ObjectStore& store, const CallOptions& options) -> Result<> {
        // A repeated request goes on where the last one was cut off. Only this thread adds bytes.
        const ByteRange rest{chunk.range.offset + chunk.arrived, chunk.range.size - chunk.arrived};
        if (rest.size == 0) return {};
        GetRequest request{.key = version_.key,
                           .version_id = version_.version_id,
                           .if_match = version_.version_id.empty() ? version_.etag : Etag(),
                           .range = rest};
        const auto sink = [&](std::span<const std::byte> piece) { return append(chunk, piece); };
        TRY(store.get_object(request, sink, options));
        if (chunk.arrived == chunk.range.size) return {};
        return fail(ErrorCode::stale, "the object is shorter than it was");
      },
      stop_.get_token());
}

Result<> ReadCache::append(Chunk& chunk, std::span<const std::byte> piece) {
  if (piece.size() > chunk.range.size - chunk.arrived) {
    return fail(ErrorCode::network_error, "the server sent more bytes than were asked for");
  }
  if (!piece.empty()) {
    std::memcpy(chunk.memory.bytes().data() + chunk.arrived, piece.data(), piece.size());
  }
  auto state = state_.lock();
  chunk.arrived += piece.size();
  if (chunk.users > 0) state.notify_all();
  return {};
}

void ReadCache::close() {
  stop_.request_stop();
  auto state = state_.lock();
  for (const auto& [offset, chunk] : state->chunks) {
    if (chunk->state == Chunk::State::queued) chunk->state = Chunk::State::done;
  }
  state.wait([&] { return state->fetches == 0; });
  while (!state->chunks.empty()) state->drop(state->chunks.begin()->second);
}

class ChunkedReader final : public Reader {
 public:
  explicit ChunkedReader(std::shared_ptr<ReadCache> cache) : cache_(std::move(cache)) {}
  ~ChunkedReader() override { cache_->close(); }
  ChunkedReader(const ChunkedReader&) = delete;
  ChunkedReader& operator=(const ChunkedReader&) = delete;

  Result<std::size_t> read(std::uint64_t offset, std::span<std::byte> bytes) override {
    return cache_->read(offset, bytes);
  }

 private:
  std::shared_ptr<ReadCache> cache_;
};

}  // namespace

std::unique_ptr<Reader> make_reader(Requests& requests, BufferPool& pool, Executor& executor,
                                    const RemoteVersion& version, const ReadAhead& read_ahead) {
  return std::make_unique<ChunkedReader>(
      std::make_shared<ReadCache>(requests, pool, executor, version, read_ahead));
}

}  // namespace spillway
