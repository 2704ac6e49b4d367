// All memory that holds file bytes: parts being written, data being read. One budget (--memory) for
// the whole mount; who finds it used up waits until somebody gives memory back, first come first
// served. A few large blocks are kept when they come back, because faulting pages in anew costs
// more than filling them: at most a quarter of the budget, and within it together with what is in
// use.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "src/executor.h"
#include "src/guarded.h"

namespace spillway {

class BufferPool;

// A stretch of memory counted in a pool's budget; goes back to it when destroyed. Move-only. Must
// not outlive its pool.
class Buffer {
 public:
  Buffer() = default;
  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&& other) noexcept;
  ~Buffer();

  [[nodiscard]] std::size_t size() const { return size_; }  // bytes in use
  [[nodiscard]] std::size_t capacity() const { return capacity_; }
  [[nodiscard]] std::span<std::byte> bytes() { return {data_, size_}; }
  [[nodiscard]] std::span<const std::byte> bytes() const { return {data_, size_}; }
  // At most capacity(). New bytes are zero.
  void resize(std::size_t size);
  // The same without zeroing: the caller fills them.
  void resize_uninitialized(std::size_t size) { size_ = size; }
  explicit operator bool() const { return data_ != nullptr; }

 private:
  friend class BufferPool;
  BufferPool* pool_ = nullptr;
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

class BufferPool {
 public:
  BufferPool(Executor& executor, std::uint64_t limit);
  BufferPool(const BufferPool&) = delete;
  ~BufferPool();

  // Waits while the budget is used up and some of it is sure to come back by itself (is being
  // sent, see Sending). Where nothing would ever come back - every byte is in files that are still
  // being written - the budget is exceeded rather than the mount stopped. Content is undefined.
  [[nodiscard]] Buffer take(std::size_t capacity);
  // Without waiting, and only within three quarters of the budget: for read-ahead.
  [[nodiscard]] std::optional<Buffer> try_take(std::size_t capacity);
  // Gives `buffer` a larger capacity and keeps its bytes; waits as take() does.
  void grow(Buffer& buffer, std::size_t capacity);

  // Memory that will come back without anybody's doing, for as long as this lives: what is on its
  // way to B2. Give the buffers back first, then let this go: waiting callers see both at once.
  class Sending {
   public:
    Sending(BufferPool& pool, std::uint64_t bytes);
    Sending(Sending&& other) noexcept;
    Sending& operator=(Sending&&) = delete;
    ~Sending();

   private:
    BufferPool* pool_;
    std::uint64_t bytes_;
  };

  // Whether somebody waits: holders of memory they could do without should give it back.
  [[nodiscard]] bool is_pressed();

  struct Usage {
    std::uint64_t in_use = 0;
    std::uint64_t limit = 0;
    std::uint64_t most_in_use = 0;
    std::uint64_t waiting = 0;  // callers of take() and grow()
  };
  [[nodiscard]] Usage usage();

 private:
  friend class Buffer;
  struct State;
  [[nodiscard]] Buffer wrap(std::byte* data, std::size_t capacity);
  void give_back(std::byte* data, std::size_t capacity);
  std::unique_ptr<Guarded<State>> state_;
};

}  // namespace spillway
