// The bytes of one file of a MemoryDisk, as they are seen and as a power cut would leave them.
// Not thread-safe: the disk's lock guards it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <span>

namespace spillway {

// What a power cut keeps, by a seed: 0 nothing, 1 everything; others draw how often as well.
class PowerChance {
 public:
  explicit PowerChance(std::uint64_t seed)
      : random_(seed), percent_(seed == 0 ? 0 : seed == 1 ? 100 : 10 + random_() % 81) {}
  bool keep() { return random_() % 100 < percent_; }
  std::uint64_t below(std::uint64_t limit) { return random_() % limit; }

 private:
  std::mt19937_64 random_;
  std::uint64_t percent_;
};

class MemoryNode {
 public:
  static constexpr std::uint64_t kBlock = 4096;
  using Counter = std::shared_ptr<std::uint64_t>;  // of the blocks of all files of a disk

  explicit MemoryNode(Counter counter) : counter_(std::move(counter)) {}
  ~MemoryNode() { *counter_ -= blocks_.size(); }
  MemoryNode(const MemoryNode&) = delete;
  MemoryNode& operator=(const MemoryNode&) = delete;

  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] bool has_block(std::uint64_t number) const { return blocks_.contains(number); }

  void write(std::uint64_t offset, std::span<const std::byte> bytes);
  std::size_t read(std::uint64_t offset, std::span<std::byte> bytes) const;
  void truncate(std::uint64_t size);
  // Makes the bytes durable. After refuse_sync() it never does again, and says the errno.
  [[nodiscard]] int sync();
  void refuse_sync(int system_errno) { sync_errno_ = system_errno; }

  // Unsynced blocks are kept, torn or lost each by itself, and the size for itself.
  [[nodiscard]] std::shared_ptr<MemoryNode> after_power_cut(PowerChance& chance,
                                                            const Counter& counter) const;

 private:
  using Block = std::array<std::byte, kBlock>;
  // Shared between the two states, and copied when they are written.
  using Blocks = std::map<std::uint64_t, std::shared_ptr<Block>>;

  Block& writable(std::uint64_t number);

  Counter counter_;
  std::uint64_t size_ = 0;
  std::uint64_t durable_size_ = 0;
  Blocks blocks_;
  Blocks durable_;
  std::set<std::uint64_t> dirty_;
  int sync_errno_ = 0;
};

}  // namespace spillway
