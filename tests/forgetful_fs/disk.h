// A disk in memory that forgets: it keeps apart what programs see and what a loss of power leaves.
//
// What is durable, and no more than POSIX promises: the bytes and the size of a file once it was
// synced, but not its name; the names in a directory once that directory was synced. A rename is
// one change, also between two directories: the file is under the old name or under the new one,
// and a sync of either directory settles it. Modes, owners and times are not modelled: they stay.
//
// One thread. Calls answer with an errno; with the power off everything answers EIO.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <expected>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace forgetful {

using NodeId = std::uint64_t;  // never used twice
inline constexpr NodeId kRoot = 1;

template <typename T>
using Answer = std::expected<T, int>;
using Outcome = std::expected<void, int>;

struct Place {
  NodeId directory = 0;
  std::string name;
  auto operator<=>(const Place&) const = default;
};

using Names = std::map<std::string, NodeId>;

struct Node {
  mode_t mode = 0;  // with the type
  uid_t owner = 0;
  gid_t group = 0;
  timespec modified{};
  std::string data;    // of a file: what programs see,
  std::string synced;  // and what a loss leaves
  Names names;         // of a directory, the same
  Names durable_names;
  Place home;  // of a directory, which is never renamed
};

// A disk that lies: it answers 0 to these syncs and makes nothing durable.
enum class Skip : std::uint8_t { none, files, directories, all };

class Disk {
 public:
  Disk();

  // --- what programs do
  Answer<NodeId> look_up(const Place& place) const;
  // A file, or a directory where `mode` says so.
  Answer<NodeId> create(const Place& place, mode_t mode);
  Outcome remove_file(const Place& place);
  Outcome remove_directory(const Place& place);
  // Replaces a file at `to`. Directories can't be renamed: EOPNOTSUPP.
  Outcome rename(const Place& from, const Place& to);
  // Of everything but its bytes and names the caller may change what it likes. The pointer is valid
  // until the power goes.
  Answer<Node*> open(NodeId id);
  Outcome write(NodeId id, std::uint64_t offset, std::span<const char> bytes);
  Outcome truncate(NodeId id, std::uint64_t size);
  Outcome sync_file(NodeId id);
  Outcome sync_directory(NodeId id);

  // --- power
  [[nodiscard]] bool is_on() const { return is_on_; }
  // What was opened in an older one is gone.
  [[nodiscard]] std::uint64_t epoch() const { return epoch_; }
  // Off, and what was not synced is lost: all of it with seed 0, else as the seed has it, each 4
  // KiB block, each size and each change of a name by itself, where changes of one name keep their
  // order.
  void lose_power(std::uint64_t seed);
  void turn_on() { is_on_ = true; }
  // Loses power right after `count` more syncs, whatever they sync. 0: not any more.
  void lose_power_after(std::uint64_t count) { syncs_left_ = count; }

  // --- syncs
  [[nodiscard]] std::uint64_t syncs() const { return syncs_; }  // answered so far
  void skip(Skip which) { skip_ = which; }
  void skip_only(std::uint64_t nth) { skip_nth_ = nth; }  // of the next ones, counted from 1

 private:
  struct Change {
    enum class Kind : std::uint8_t { enter, remove, rename } kind = Kind::enter;
    Place at;
    Place to;  // of a rename
    NodeId node = 0;
  };
  class Chance;

  [[nodiscard]] Answer<const Node*> directory(NodeId id) const;
  [[nodiscard]] Answer<Node*> file(NodeId id);
  void record(Change change);
  void apply(const Change& change, Names Node::*names);
  [[nodiscard]] bool skips(Skip kind);
  void count_sync();
  void settle(NodeId directory);
  [[nodiscard]] std::vector<Place> ancestors(NodeId directory) const;
  void keep_some_names(Chance& chance);
  static void keep_some_bytes(Node& node, Chance& chance);
  void drop_unreachable();

  std::map<NodeId, Node> nodes_;
  NodeId last_node_ = kRoot;
  std::vector<Change> pending_;  // what the durable names lack, in order
  bool is_on_ = true;
  std::uint64_t epoch_ = 1;
  std::uint64_t syncs_ = 0;
  std::uint64_t syncs_left_ = 0;
  Skip skip_ = Skip::none;
  std::uint64_t skip_nth_ = 0;
};

}  // namespace forgetful
