#include "tests/support/memory_node.h"

#include <algorithm>
#include <cstring>
#include <iterator>

namespace spillway {

MemoryNode::Block& MemoryNode::writable(std::uint64_t number) {
  auto& block = blocks_[number];
  if (block == nullptr) {
    block = std::make_shared<Block>();
    ++*counter_;
  } else if (block.use_count() > 1) {
    block = std::make_shared<Block>(*block);
  }
  dirty_.insert(number);
  return *block;
}

void MemoryNode::write(std::uint64_t offset, std::span<const std::byte> bytes) {
  size_ = std::max(size_, offset + bytes.size());
  while (!bytes.empty()) {
    const std::uint64_t within = offset % kBlock;
    const std::size_t step = std::min<std::size_t>(bytes.size(), kBlock - within);
    std::memcpy(writable(offset / kBlock).data() + within, bytes.data(), step);
    bytes = bytes.subspan(step);
    offset += step;
  }
}

std::size_t MemoryNode::read(std::uint64_t offset, std::span<std::byte> bytes) const {
  if (offset >= size_) return 0;
  const std::uint64_t total = std::min<std::uint64_t>(bytes.size(), size_ - offset);
  bytes = bytes.first(static_cast<std::size_t>(total));
  while (!bytes.empty()) {
    const std::uint64_t within = offset % kBlock;
    const std::size_t step = std::min<std::size_t>(bytes.size(), kBlock - within);
    const auto block = blocks_.find(offset / kBlock);
    if (block == blocks_.end()) {
      std::memset(bytes.data(), 0, step);
    } else {
      std::memcpy(bytes.data(), block->second->data() + within, step);
    }
    bytes = bytes.subspan(step);
    offset += step;
  }
  return static_cast<std::size_t>(total);
}

void MemoryNode::truncate(std::uint64_t size) {
  const std::uint64_t first_gone = (size + kBlock - 1) / kBlock;
  while (!blocks_.empty() && blocks_.rbegin()->first >= first_gone) {
    dirty_.insert(blocks_.rbegin()->first);
    blocks_.erase(std::prev(blocks_.end()));
    --*counter_;
  }
  if (size < size_ && size % kBlock != 0 && blocks_.contains(size / kBlock)) {
    Block& last = writable(size / kBlock);
    std::fill(last.begin() + static_cast<std::ptrdiff_t>(size % kBlock), last.end(), std::byte{0});
  }
  size_ = size;
}

int MemoryNode::sync() {
  if (sync_errno_ != 0) return sync_errno_;
  for (const auto number : dirty_) {
    const auto block = blocks_.find(number);
    if (block == blocks_.end()) {
      durable_.erase(number);
    } else {
      durable_[number] = block->second;
    }
  }
  dirty_.clear();
  durable_size_ = size_;
  return 0;
}

std::shared_ptr<MemoryNode> MemoryNode::after_power_cut(PowerChance& chance,
                                                        const Counter& counter) const {
  auto left = std::make_shared<MemoryNode>(counter);
  left->durable_ = durable_;
  left->durable_size_ = size_ != durable_size_ && chance.keep() ? size_ : durable_size_;
  for (const auto number : dirty_) {
    const auto block = blocks_.find(number);
    if (!chance.keep()) continue;
    if (block == blocks_.end()) {
      left->durable_.erase(number);
      continue;
    }
    auto& kept = left->durable_[number];
    auto torn = std::make_shared<Block>(kept == nullptr ? Block{} : *kept);
    std::memcpy(torn->data(), block->second->data(),
                chance.keep() ? kBlock : chance.below(kBlock));
    kept = std::move(torn);
  }
  std::erase_if(left->durable_, [&](const auto& entry) {
    return entry.first * kBlock >= left->durable_size_;
  });
  left->blocks_ = left->durable_;
  left->size_ = left->durable_size_;
  *counter += left->blocks_.size();
  return left;
}

}  // namespace spillway
