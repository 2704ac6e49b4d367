#include "tests/support/memory_disk.h"

#include <algorithm>
#include <numeric>
#include <span>
#include <utility>

namespace spillway {
namespace {

constexpr std::uint64_t kBlock = MemoryNode::kBlock;

std::string parent_of(const std::string& name) {
  const std::size_t slash = name.rfind('/');
  return slash == std::string::npos ? "" : name.substr(0, slash);
}

}  // namespace

class MemoryDisk::File final : public DiskFile {
 public:
  File(MemoryDisk& disk, std::shared_ptr<MemoryNode> node)
      : disk_(disk), node_(std::move(node)), generation_(disk.generation_) {}
  ~File() override {
    const std::lock_guard held(disk_.mutex_);
    node_.reset();
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  Result<> write_at(std::uint64_t offset, std::span<const std::byte> bytes) override {
    const std::lock_guard held(disk_.mutex_);
    if (auto begun = begin(DiskCall::write); !begun) {
      if (disk_.calls_left_ != 0U) (void)disk_.write_node(*node_, offset, bytes.first(bytes.size() / 2));
      return begun;
    }
    return disk_.write_node(*node_, offset, bytes);
  }
  Result<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> bytes) override {
    const std::lock_guard held(disk_.mutex_);
    TRY(begin(DiskCall::read));
    return node_->read(offset, bytes);
  }
  Result<> truncate(std::uint64_t size) override {
    const std::lock_guard held(disk_.mutex_);
    TRY(begin(DiskCall::truncate));
    node_->truncate(size);
    return {};
  }
  Result<std::uint64_t> size() override {
    const std::lock_guard held(disk_.mutex_);
    TRY(begin(DiskCall::size));
    return node_->size();
  }
  Result<> sync() override {
    const std::lock_guard held(disk_.mutex_);
    if (auto begun = begin(DiskCall::sync); !begun) {
      node_->refuse_sync(begun.error().system_errno);
      return begun;
    }
    if (const int refused = node_->sync(); refused != 0) return fail_errno(refused, "sync");
    return {};
  }

 private:
  Result<> begin(DiskCall call) {
    if (generation_ != disk_.generation_) return fail_errno(EIO, "a file of a process that ended");
    return disk_.begin(call);
  }

  MemoryDisk& disk_;
  std::shared_ptr<MemoryNode> node_;
  const std::uint64_t generation_;
};

MemoryDisk::MemoryDisk(std::uint64_t capacity) : capacity_(capacity) {}
MemoryDisk::~MemoryDisk() = default;

// --- faults

Result<> MemoryDisk::begin(DiskCall call) {
  if (calls_left_ == 0U) return fail_errno(EIO, "the machine is off");
  if (calls_left_) --*calls_left_;
  ++calls_.at(static_cast<std::size_t>(call));
  int system_errno = 0;
  for (auto& fault : faults_) {
    if (fault.call && *fault.call != call) continue;
    if (fault.nth > 1) {
      --fault.nth;
    } else if (fault.nth == 1) {
      system_errno = fault.system_errno;
      if (fault.lasts == DiskFault::Lasts::once) fault.nth = 0;
    }
  }
  if (system_errno != 0) return fail_errno(system_errno, "made to fail");
  return {};
}

void MemoryDisk::fail(const DiskFault& fault) {
  const std::lock_guard held(mutex_);
  faults_.push_back(fault);
}

void MemoryDisk::stop_after(std::uint64_t calls) {
  const std::lock_guard held(mutex_);
  calls_left_ = calls;
}

void MemoryDisk::heal() {
  const std::lock_guard held(mutex_);
  faults_.clear();
  calls_left_.reset();
}

void MemoryDisk::on_sync_directory(std::function<void()> hook) { sync_hook_ = std::move(hook); }

bool MemoryDisk::is_stopped() const {
  const std::lock_guard held(mutex_);
  return calls_left_ == 0U;
}

// --- names

Result<> MemoryDisk::check_parent(const std::string& name) const {
  const std::string parent = parent_of(name);
  if (parent.empty()) return {};
  const auto found = live_.find(parent);
  if (found != live_.end()) return found->second == nullptr ? Result<>() : fail_errno(ENOTDIR, name);
  TRY(check_parent(parent));
  return fail_errno(ENOENT, name);
}

void MemoryDisk::apply(const Change& change, Names& names) {
  switch (change.kind) {
    case Change::Kind::enter:
      names[change.name] = change.node;
      return;
    case Change::Kind::remove:
      names.erase(change.name);
      return;
    case Change::Kind::rename: {
      const auto found = names.find(change.name);
      if (found == names.end()) return;
      names[change.to] = found->second;
      names.erase(change.name);
      return;
    }
  }
}

// The names that a change needs as they were left by the changes before it.
std::set<std::string> MemoryDisk::concerned(const Change& change) {
  std::set<std::string> names{change.name};
  if (change.kind != Change::Kind::rename) return names;
  // A file never goes from a directory that is left to one that is not.
  for (std::string name = change.to; !name.empty(); name = parent_of(name)) names.insert(name);
  return names;
}

void MemoryDisk::record(Change change) {
  apply(change, live_);
  pending_.push_back(std::move(change));
}

Result<std::unique_ptr<DiskFile>> MemoryDisk::create(const std::string& name) {
  const std::lock_guard held(mutex_);
  TRY(begin(DiskCall::create));
  TRY(check_parent(name));
  if (live_.contains(name)) return fail_errno(EEXIST, name);
  if (used() + kBlock > capacity_) return fail_errno(ENOSPC, name);
  auto node = std::make_shared<MemoryNode>(blocks_);
  record({.kind = Change::Kind::enter, .name = name, .to = "", .node = node});
  return std::make_unique<File>(*this, std::move(node));
}

Result<std::unique_ptr<DiskFile>> MemoryDisk::open(const std::string& name) {
  const std::lock_guard held(mutex_);
  TRY(begin(DiskCall::open));
  TRY(check_parent(name));
  const auto found = live_.find(name);
  if (found == live_.end()) return fail_errno(ENOENT, name);
  if (found->second == nullptr) return fail_errno(EISDIR, name);
  return std::make_unique<File>(*this, found->second);
}

Result<> MemoryDisk::make_directory(const std::string& name) {
  const std::lock_guard held(mutex_);
  TRY(begin(DiskCall::make_directory));
  TRY(check_parent(name));
  if (const auto found = live_.find(name); found != live_.end()) {
    return found->second == nullptr ? Result<>() : fail_errno(ENOTDIR, name);
  }
  if (used() + kBlock > capacity_) return fail_errno(ENOSPC, name);
  record({.kind = Change::Kind::enter, .name = name, .to = "", .node = nullptr});
  return {};
}

Result<> MemoryDisk::remove(const std::string& name) {
  const std::lock_guard held(mutex_);
  TRY(begin(DiskCall::remove));
  TRY(check_parent(name));
  const auto found = live_.find(name);
  if (found == live_.end()) return fail_errno(ENOENT, name);
  if (found->second == nullptr) return fail_errno(EISDIR, name);
  record({.kind = Change::Kind::remove, .name = name, .to = "", .node = nullptr});
  return {};
}

Result<> MemoryDisk::remove_directory(const std::string& name) {
  const std::lock_guard held(mutex_);
  TRY(begin(DiskCall::remove_directory));
  TRY(check_parent(name));
  const auto found = live_.find(name);
  if (found == live_.end()) return fail_errno(ENOENT, name);
  if (found->second != nullptr) return fail_errno(ENOTDIR, name);
  const auto below = live_.lower_bound(name + "/");
  if (below != live_.end() && below->first.starts_with(name + "/")) {
    return fail_errno(ENOTEMPTY, name);
  }
  record({.kind = Change::Kind::remove, .name = name, .to = "", .node = nullptr});
  return {};
}

Result<> MemoryDisk::rename(const std::string& from, const std::string& to) {
  const std::lock_guard held(mutex_);
  TRY(begin(DiskCall::rename));
  TRY(check_parent(from));
  const auto source = live_.find(from);
  if (source == live_.end()) return fail_errno(ENOENT, from);
  if (source->second == nullptr) return fail_errno(EINVAL, "this disk renames files only");
  TRY(check_parent(to));
  if (const auto target = live_.find(to); target != live_.end() && target->second == nullptr) {
    return fail_errno(EISDIR, to);
  }
  if (from != to) record({.kind = Change::Kind::rename, .name = from, .to = to, .node = nullptr});
  return {};
}

// Backwards: a change that becomes durable takes the earlier ones of its names along.
Result<> MemoryDisk::sync_directory(const std::string& name) {
  if (sync_hook_) sync_hook_();
  const std::lock_guard held(mutex_);
  TRY(begin(DiskCall::sync_directory));
  if (!name.empty() && !live_.contains(name)) return fail_errno(ENOENT, name);
  std::set<std::string> needed;
  std::vector<Change> durable;
  std::vector<Change> rest;
  for (auto change = pending_.rbegin(); change != pending_.rend(); ++change) {
    const auto names = concerned(*change);
    const bool is_here = parent_of(change->name) == name ||
                         (change->kind == Change::Kind::rename && parent_of(change->to) == name);
    const bool is_needed =
        needed.contains(change->name) || (!change->to.empty() && needed.contains(change->to));
    if (is_here || is_needed) {
      needed.insert(names.begin(), names.end());
      durable.push_back(*change);
    } else {
      rest.push_back(*change);
    }
  }
  for (auto change = durable.rbegin(); change != durable.rend(); ++change) apply(*change, durable_);
  pending_.assign(rest.rbegin(), rest.rend());
  return {};
}

Result<std::vector<DiskEntry>> MemoryDisk::list(const std::string& name) {
  const std::lock_guard held(mutex_);
  TRY(begin(DiskCall::list));
  TRY(check_parent(name));
  if (!name.empty() && !live_.contains(name)) return fail_errno(ENOENT, name);
  if (!name.empty() && live_.at(name) != nullptr) return fail_errno(ENOTDIR, name);
  std::vector<DiskEntry> entries;
  const std::string prefix = name.empty() ? "" : name + "/";
  for (auto entry = live_.lower_bound(prefix);
       entry != live_.end() && entry->first.starts_with(prefix); ++entry) {
    const std::string leaf = entry->first.substr(prefix.size());
    if (leaf.contains('/')) continue;
    const bool is_file = entry->second != nullptr;
    entries.push_back({leaf, is_file ? DiskEntry::Kind::file : DiskEntry::Kind::directory,
                       is_file ? entry->second->size() : 0});
  }
  return entries;
}

// --- space and lock

std::uint64_t MemoryDisk::used() const { return *blocks_ * kBlock; }

Result<> MemoryDisk::write_node(MemoryNode& node, std::uint64_t offset,
                                std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const std::uint64_t number = offset / kBlock;
    const std::size_t step = std::min<std::size_t>(bytes.size(), kBlock - offset % kBlock);
    if (!node.has_block(number) && used() + kBlock > capacity_) {
      return fail_errno(ENOSPC, "write");
    }
    node.write(offset, bytes.first(step));
    bytes = bytes.subspan(step);
    offset += step;
  }
  return {};
}

Result<DiskSpace> MemoryDisk::space() {
  const std::lock_guard held(mutex_);
  TRY(begin(DiskCall::space));
  return DiskSpace{.available = capacity_ - std::min(capacity_, used()), .total = capacity_};
}

Result<> MemoryDisk::lock(const std::string& name) {
  const std::lock_guard held(mutex_);
  TRY(begin(DiskCall::lock));
  TRY(check_parent(name));
  if (!locks_.insert(name).second) return spillway::fail(ErrorCode::exists, name + " is locked");
  if (live_.contains(name)) return {};
  record({.kind = Change::Kind::enter,
          .name = name,
          .to = "",
          .node = std::make_shared<MemoryNode>(blocks_)});
  return {};
}

std::string MemoryDisk::absolute(const std::string& name) const {
  return name.empty() ? "/memory" : "/memory/" + name;
}

// --- ends

void MemoryDisk::process_ends() {
  const std::lock_guard held(mutex_);
  ++generation_;
  locks_.clear();
  faults_.clear();
  calls_left_.reset();
}

void MemoryDisk::power_cut(std::uint64_t seed) {
  process_ends();
  const std::lock_guard held(mutex_);
  PowerChance chance(seed);
  std::set<std::string> lost;
  for (const auto& change : pending_) {
    auto names = concerned(change);
    for (std::string name = parent_of(change.name); !name.empty(); name = parent_of(name)) {
      names.insert(name);
    }
    const bool possible =
        std::ranges::none_of(names, [&](const std::string& name) { return lost.contains(name); });
    if (possible && chance.keep()) {
      apply(change, durable_);
    } else {
      lost.insert(change.name);
      if (!change.to.empty()) lost.insert(change.to);
    }
  }
  pending_.clear();
  std::erase_if(durable_, [&](const auto& entry) {
    const std::string parent = parent_of(entry.first);
    return !parent.empty() && !durable_.contains(parent);  // ancestors come first
  });
  blocks_ = std::make_shared<std::uint64_t>(0);
  for (auto& [name, node] : durable_) {
    if (node != nullptr) node = node->after_power_cut(chance, blocks_);
  }
  live_ = durable_;
}

// --- for assertions

std::uint64_t MemoryDisk::calls() const {
  const std::lock_guard held(mutex_);
  return std::accumulate(calls_.begin(), calls_.end(), std::uint64_t{0});
}

std::uint64_t MemoryDisk::calls(DiskCall call) const {
  const std::lock_guard held(mutex_);
  return calls_.at(static_cast<std::size_t>(call));
}

std::vector<std::string> MemoryDisk::files() const {
  const std::lock_guard held(mutex_);
  std::vector<std::string> names;
  for (const auto& [name, node] : live_) {
    if (node != nullptr) names.push_back(name);
  }
  return names;
}

std::optional<std::string> MemoryDisk::content(const std::string& name) const {
  const std::lock_guard held(mutex_);
  const auto found = live_.find(name);
  if (found == live_.end() || found->second == nullptr) return std::nullopt;
  std::string text(static_cast<std::size_t>(found->second->size()), '\0');
  (void)found->second->read(0, std::as_writable_bytes(std::span(text)));
  return text;
}

void MemoryDisk::put(const std::string& name, std::string_view content) {
  const std::lock_guard held(mutex_);
  for (std::size_t slash = name.find('/'); slash != std::string::npos;
       slash = name.find('/', slash + 1)) {
    live_.emplace(name.substr(0, slash), nullptr);
    durable_.emplace(name.substr(0, slash), nullptr);
  }
  auto node = std::make_shared<MemoryNode>(blocks_);
  node->write(0, std::as_bytes(std::span(content)));
  (void)node->sync();
  live_[name] = node;
  durable_[name] = node;
}

void MemoryDisk::take_away(const std::string& name) {
  const std::lock_guard held(mutex_);
  live_.erase(name);
  durable_.erase(name);
}

void MemoryDisk::set_capacity(std::uint64_t capacity) {
  const std::lock_guard held(mutex_);
  capacity_ = capacity;
}

}  // namespace spillway
