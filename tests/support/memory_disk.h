// A Disk in memory that can lose power: it keeps apart what a program sees and what would be left.
//
// What it models: bytes are durable once their file was synced, names once their directory was.
// Everything else may be lost or kept, each by itself: a 4 KiB block of a file wholly, partly or not
// at all, the size of a file, each change of a name. Changes of one name keep their order. A rename
// is one change, also across directories: the file is under the old name or under the new one.
//
// Faults are data: the n-th call of a kind gives this errno, once or for ever. A write that fails
// has written the first half; a sync that failed fails for ever, like the real one.
//
// Thread-safe, and deterministic for one thread.
#pragma once

#include <array>
#include <cerrno>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "src/disk.h"
#include "tests/support/memory_node.h"

namespace spillway {

enum class DiskCall : std::uint8_t {
  create,
  open,
  make_directory,
  remove,
  remove_directory,
  rename,
  sync_directory,
  list,
  space,
  lock,
  read,
  write,
  truncate,
  size,
  sync,
};
inline constexpr std::size_t kDiskCalls = static_cast<std::size_t>(DiskCall::sync) + 1;

struct DiskFault {
  std::optional<DiskCall> call;  // empty: of any kind
  std::uint64_t nth = 1;         // counted from now on
  int system_errno = EIO;
  enum class Lasts : std::uint8_t { once, for_ever } lasts = Lasts::once;
};

class MemoryDisk final : public Disk {
 public:
  explicit MemoryDisk(std::uint64_t capacity = 1ULL << 40U);
  ~MemoryDisk() override;

  Result<std::unique_ptr<DiskFile>> create(const std::string& name) override;
  Result<std::unique_ptr<DiskFile>> open(const std::string& name) override;
  Result<> make_directory(const std::string& name) override;
  Result<> remove(const std::string& name) override;
  Result<> remove_directory(const std::string& name) override;
  Result<> rename(const std::string& from, const std::string& to) override;
  Result<> sync_directory(const std::string& name) override;
  Result<std::vector<DiskEntry>> list(const std::string& name) override;
  Result<DiskSpace> space() override;
  Result<> lock(const std::string& name) override;
  [[nodiscard]] std::string absolute(const std::string& name) const override;

  // --- faults
  void fail(const DiskFault& fault);  // several may be waiting
  // After `calls` more calls the machine is off: every call fails with EIO and does nothing.
  void stop_after(std::uint64_t calls);
  void heal();  // no fault any more, and the machine is on
  // Called when a sync_directory() has begun, before it looks at the changes.
  void on_sync_directory(std::function<void()> hook);
  [[nodiscard]] bool is_stopped() const;

  // What was not synced is lost, or kept, as the seed has it: seed 0 loses all of it, seed 1 keeps
  // all of it. Open files are gone (EIO), the locks as well; the machine is on again.
  void power_cut(std::uint64_t seed);
  // kill -9: nothing is lost but open files and locks.
  void process_ends();

  // --- for assertions; not counted and never failing
  [[nodiscard]] std::uint64_t calls() const;
  [[nodiscard]] std::uint64_t calls(DiskCall call) const;
  [[nodiscard]] std::vector<std::string> files() const;  // names of all files
  [[nodiscard]] std::optional<std::string> content(const std::string& name) const;
  // As another program would, and durable at once; makes the directories.
  void put(const std::string& name, std::string_view content);
  void take_away(const std::string& name);
  void set_capacity(std::uint64_t capacity);

 private:
  class File;
  friend class File;
  // nullptr: a directory.
  using Names = std::map<std::string, std::shared_ptr<MemoryNode>>;
  struct Change {
    enum class Kind : std::uint8_t { enter, remove, rename } kind = Kind::enter;
    std::string name;
    std::string to;                  // of a rename
    std::shared_ptr<MemoryNode> node;      // of an enter
  };

  Result<> begin(DiskCall call);
  [[nodiscard]] Result<> check_parent(const std::string& name) const;
  void record(Change change);
  [[nodiscard]] std::uint64_t used() const;
  Result<> write_node(MemoryNode& node, std::uint64_t offset, std::span<const std::byte> bytes);

  static void apply(const Change& change, Names& names);
  static std::set<std::string> concerned(const Change& change);

  mutable std::mutex mutex_;
  std::uint64_t capacity_;
  Names live_;
  Names durable_;
  std::vector<Change> pending_;  // what durable_ lacks, in order
  std::set<std::string> locks_;
  std::uint64_t generation_ = 0;  // of open files
  std::shared_ptr<std::uint64_t> blocks_ = std::make_shared<std::uint64_t>(0);

  std::array<std::uint64_t, kDiskCalls> calls_{};
  std::vector<DiskFault> faults_;
  std::optional<std::uint64_t> calls_left_;
  std::function<void()> sync_hook_;
};

}  // namespace spillway
