#include "src/buffer_pool.h"

#include <sys/mman.h>

#include <algorithm>
#include <cassert>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>
#include <vector>

namespace spillway {
namespace {

// Memory from here on comes straight from the kernel: growing it moves page tables, not bytes, and
// giving it back really does. (malloc raises its own threshold as such blocks are freed.)
constexpr std::size_t kMapped = 128ULL << 10U;
constexpr std::size_t kSmallestKept = 1ULL << 20U;
constexpr std::size_t kMostKept = 16;

[[nodiscard]] std::byte* checked(void* memory) {
  if (memory == nullptr || memory == MAP_FAILED) throw std::bad_alloc();
  return static_cast<std::byte*>(memory);
}

[[nodiscard]] std::byte* allocate(std::size_t capacity) {
  if (capacity < kMapped) return checked(std::malloc(std::max<std::size_t>(capacity, 1)));
  return checked(
      mmap(nullptr, capacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

void release(std::byte* data, std::size_t capacity) {
  if (capacity < kMapped) {
    std::free(data);
  } else {
    munmap(data, capacity);
  }
}

[[nodiscard]] std::byte* reallocate(std::byte* data, std::size_t used, std::size_t from,
                                    std::size_t to) {
  if (from >= kMapped) return checked(mremap(data, from, to, MREMAP_MAYMOVE));
  if (to < kMapped) return checked(std::realloc(data, to));
  std::byte* moved = allocate(to);
  if (used > 0) std::memcpy(moved, data, used);
  release(data, from);
  return moved;
}

struct Block {
  std::byte* data = nullptr;
  std::size_t capacity = 0;
};

}  // namespace

struct BufferPool::State {
  explicit State(std::uint64_t limit_bytes) : limit(limit_bytes) {}

  const std::uint64_t limit;
  std::uint64_t in_use = 0;
  std::uint64_t most_in_use = 0;
  std::uint64_t sending = 0;
  // Callers are served in the order in which they came: a large request is not starved by small
  // ones. The one whose turn it is either fits, or waits for what is being sent.
  std::uint64_t next_ticket = 0;
  std::uint64_t turn = 0;
  std::vector<Block> kept;  // pages already faulted in, newest last
  std::uint64_t kept_bytes = 0;

  void count(std::uint64_t bytes) {
    in_use += bytes;
    most_in_use = std::max(most_in_use, in_use);
  }

  [[nodiscard]] Block take_kept(std::size_t capacity) {
    const auto found = std::ranges::find(kept, capacity, &Block::capacity);
    if (found == kept.end()) return {};
    const Block block = *found;
    kept.erase(found);
    kept_bytes -= block.capacity;
    return block;
  }

  // Whether the block may stay. Which others must go for it is trim()'s business.
  [[nodiscard]] bool keep(const Block& block) {
    if (block.capacity < kSmallestKept || block.capacity > limit / 4) return false;
    kept.push_back(block);
    kept_bytes += block.capacity;
    return true;
  }

  // The oldest kept blocks that are too many now: sizes no longer asked for go by themselves, and
  // what is kept and what is in use stay within the limit together.
  [[nodiscard]] std::vector<Block> trim() {
    const auto too_many = [&] {
      return kept.size() > kMostKept || kept_bytes > limit / 4 || in_use + kept_bytes > limit;
    };
    std::vector<Block> dropped;
    while (!kept.empty() && too_many()) {
      dropped.push_back(kept.front());
      kept_bytes -= kept.front().capacity;
      kept.erase(kept.begin());
    }
    return dropped;
  }

  // Counts `bytes` as in use, once there is room or nothing would make any.
  template <class Locked>  // a Guarded<State>'s
  static void reserve(Locked& state, std::uint64_t bytes) {
    const std::uint64_t ticket = state->next_ticket++;
    state.wait([&] {
      return state->turn == ticket &&
             (state->in_use + bytes <= state->limit || state->sending == 0);
    });
    ++state->turn;
    state->count(bytes);
    if (state->turn != state->next_ticket) state.notify_all();
  }
};

namespace {

void release_all(const std::vector<Block>& blocks) {
  for (const auto& block : blocks) release(block.data, block.capacity);
}

}  // namespace

Buffer::Buffer(Buffer&& other) noexcept
    : pool_(std::exchange(other.pool_, nullptr)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      capacity_(std::exchange(other.capacity_, 0)) {}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  Buffer taken(std::move(other));
  std::swap(pool_, taken.pool_);
  std::swap(data_, taken.data_);
  std::swap(size_, taken.size_);
  std::swap(capacity_, taken.capacity_);
  return *this;
}

Buffer::~Buffer() {
  if (pool_ != nullptr) pool_->give_back(data_, capacity_);
}

void Buffer::resize(std::size_t size) {
  assert(size <= capacity_);
  if (size > size_) std::memset(data_ + size_, 0, size - size_);
  size_ = size;
}

BufferPool::BufferPool(Executor& executor, std::uint64_t limit)
    : state_(std::make_unique<Guarded<State>>(executor, limit)) {}

BufferPool::~BufferPool() {
  auto state = state_->lock();
  assert(state->in_use == 0 && state->sending == 0);
  release_all(state->kept);
}

Buffer BufferPool::wrap(std::byte* data, std::size_t capacity) {
  Buffer buffer;
  buffer.pool_ = this;
  buffer.data_ = data;
  buffer.capacity_ = capacity;
  return buffer;
}

Buffer BufferPool::take(std::size_t capacity) {
  Block kept;
  std::vector<Block> dropped;
  {
    auto state = state_->lock();
    State::reserve(state, capacity);
    kept = state->take_kept(capacity);
    dropped = state->trim();
  }
  release_all(dropped);
  return wrap(kept.data != nullptr ? kept.data : allocate(capacity), capacity);
}

std::optional<Buffer> BufferPool::try_take(std::size_t capacity) {
  Block kept;
  std::vector<Block> dropped;
  {
    auto state = state_->lock();
    const bool nobody_waits = state->turn == state->next_ticket;
    if (!nobody_waits || state->in_use + capacity > state->limit / 4 * 3) return std::nullopt;
    state->count(capacity);
    kept = state->take_kept(capacity);
    dropped = state->trim();
  }
  release_all(dropped);
  return wrap(kept.data != nullptr ? kept.data : allocate(capacity), capacity);
}

void BufferPool::grow(Buffer& buffer, std::size_t capacity) {
  if (capacity <= buffer.capacity_) return;
  Block kept;
  std::vector<Block> dropped;
  {
    auto state = state_->lock();
    State::reserve(state, capacity - buffer.capacity_);
    // Copying what little there is costs less than faulting in the pages that would follow it.
    if (buffer.size_ <= capacity / 4) kept = state->take_kept(capacity);
    dropped = state->trim();
  }
  release_all(dropped);
  if (kept.data != nullptr) {
    if (buffer.size_ > 0) std::memcpy(kept.data, buffer.data_, buffer.size_);
    release(buffer.data_, buffer.capacity_);
    buffer.data_ = kept.data;
  } else {
    buffer.data_ = reallocate(buffer.data_, buffer.size_, buffer.capacity_, capacity);
  }
  buffer.pool_ = this;
  buffer.capacity_ = capacity;
}

void BufferPool::give_back(std::byte* data, std::size_t capacity) {
  bool is_kept = false;
  std::vector<Block> dropped;
  {
    auto state = state_->lock();
    state->in_use -= capacity;
    is_kept = state->keep({data, capacity});
    dropped = state->trim();
    state.notify_all();
  }
  release_all(dropped);
  if (!is_kept) release(data, capacity);
}

BufferPool::Sending::Sending(BufferPool& pool, std::uint64_t bytes) : pool_(&pool), bytes_(bytes) {
  pool.state_->lock()->sending += bytes;
}

BufferPool::Sending::Sending(Sending&& other) noexcept
    : pool_(std::exchange(other.pool_, nullptr)), bytes_(other.bytes_) {}

BufferPool::Sending::~Sending() {
  if (pool_ == nullptr) return;
  auto state = pool_->state_->lock();
  state->sending -= bytes_;
  state.notify_all();
}

bool BufferPool::is_pressed() {
  auto state = state_->lock();
  return state->turn != state->next_ticket;
}

BufferPool::Usage BufferPool::usage() {
  auto state = state_->lock();
  return {.in_use = state->in_use,
          .limit = state->limit,
          .most_in_use = state->most_in_use,
          .waiting = state->next_ticket - state->turn};
}

}  // namespace spillway
