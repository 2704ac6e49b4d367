#include "tests/forgetful_fs/disk.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <limits>

namespace forgetful {

namespace {

constexpr std::size_t kBlock = 4096;
constexpr std::uint64_t kLargestFile = 1ULL << 30U;

std::unexpected<int> fail(int error) {
  return std::unexpected(error);
}

timespec now() {
  timespec time{};
  clock_gettime(CLOCK_REALTIME, &time);
  return time;
}

Node make_node(mode_t mode) {
  Node node;
  node.mode = mode;
  node.owner = geteuid();
  node.group = getegid();
  node.modified = now();
  return node;
}

}  // namespace

// Whether something that was not synced is there after a loss.
class Disk::Chance {
 public:
  explicit Chance(std::uint64_t seed) : strict_(seed == 0), generator_(seed) {}
  [[nodiscard]] bool is_strict() const { return strict_; }
  bool keeps() { return !strict_ && (generator_() & 1U) != 0; }

 private:
  bool strict_;
  std::mt19937_64 generator_;
};

Disk::Disk() {
  nodes_.emplace(kRoot, make_node(S_IFDIR | 0700));
}

// --- what programs do

Answer<Node*> Disk::open(NodeId id) {
  if (!is_on_) return fail(EIO);
  const auto found = nodes_.find(id);
  if (found == nodes_.end()) return fail(ESTALE);
  return &found->second;
}

Answer<Node*> Disk::file(NodeId id) {
  auto node = open(id);
  if (node && !S_ISREG((*node)->mode)) return fail(EISDIR);
  return node;
}

Answer<const Node*> Disk::directory(NodeId id) const {
  if (!is_on_) return fail(EIO);
  const auto found = nodes_.find(id);
  if (found == nodes_.end()) return fail(ESTALE);
  if (!S_ISDIR(found->second.mode)) return fail(ENOTDIR);
  return &found->second;
}

Answer<NodeId> Disk::look_up(const Place& place) const {
  const auto parent = directory(place.directory);
  if (!parent) return fail(parent.error());
  const auto found = (*parent)->names.find(place.name);
  if (found == (*parent)->names.end()) return fail(ENOENT);
  return found->second;
}

void Disk::apply(const Change& change, Names Node::*names) {
  (nodes_.at(change.at.directory).*names).erase(change.at.name);
  if (change.kind == Change::Kind::remove) return;
  const Place& target = change.kind == Change::Kind::rename ? change.to : change.at;
  (nodes_.at(target.directory).*names)[target.name] = change.node;
}

void Disk::record(Change change) {
  apply(change, &Node::names);
  pending_.push_back(std::move(change));
}

Answer<NodeId> Disk::create(const Place& place, mode_t mode) {
  const auto there = look_up(place);
  if (there) return fail(EEXIST);
  if (there.error() != ENOENT) return there;
  Node node = make_node(mode);
  if (S_ISDIR(mode)) node.home = place;
  nodes_.emplace(++last_node_, std::move(node));
  record({.kind = Change::Kind::enter, .at = place, .to = {}, .node = last_node_});
  return last_node_;
}

Outcome Disk::remove_file(const Place& place) {
  const auto id = look_up(place);
  if (!id) return fail(id.error());
  if (S_ISDIR(nodes_.at(*id).mode)) return fail(EISDIR);
  record({.kind = Change::Kind::remove, .at = place, .to = {}, .node = *id});
  return {};
}

Outcome Disk::remove_directory(const Place& place) {
  const auto id = look_up(place);
  if (!id) return fail(id.error());
  if (!S_ISDIR(nodes_.at(*id).mode)) return fail(ENOTDIR);
  if (!nodes_.at(*id).names.empty()) return fail(ENOTEMPTY);
  record({.kind = Change::Kind::remove, .at = place, .to = {}, .node = *id});
  return {};
}

Outcome Disk::rename(const Place& from, const Place& to) {
  const auto id = look_up(from);
  if (!id) return fail(id.error());
  if (S_ISDIR(nodes_.at(*id).mode)) return fail(EOPNOTSUPP);
  const auto target = look_up(to);
  if (!target && target.error() != ENOENT) return fail(target.error());
  if (target && S_ISDIR(nodes_.at(*target).mode)) return fail(EISDIR);
  if (from != to) record({.kind = Change::Kind::rename, .at = from, .to = to, .node = *id});
  return {};
}

Outcome Disk::write(NodeId id, std::uint64_t offset, std::span<const char> bytes) {
  const auto node = file(id);
  if (!node) return fail(node.error());
  if (offset > kLargestFile || bytes.size() > kLargestFile - offset) return fail(EFBIG);
  std::string& data = (*node)->data;
  const auto begin = static_cast<std::size_t>(offset);
  if (data.size() < begin + bytes.size()) data.resize(begin + bytes.size());
  std::ranges::copy(bytes, std::next(data.begin(), static_cast<std::ptrdiff_t>(begin)));
  (*node)->modified = now();
  return {};
}

Outcome Disk::truncate(NodeId id, std::uint64_t size) {
  const auto node = file(id);
  if (!node) return fail(node.error());
  if (size > kLargestFile) return fail(EFBIG);
  (*node)->data.resize(static_cast<std::size_t>(size));
  (*node)->modified = now();
  return {};
}

// --- syncs

bool Disk::skips(Skip kind) {
  const bool is_the_one = skip_nth_ == 1;
  if (skip_nth_ > 0) --skip_nth_;
  return is_the_one || skip_ == Skip::all || skip_ == kind;
}

void Disk::count_sync() {
  ++syncs_;
  if (syncs_left_ > 0 && --syncs_left_ == 0) lose_power(0);
}

Outcome Disk::sync_file(NodeId id) {
  const auto node = file(id);
  if (!node) return fail(node.error());
  if (!skips(Skip::files)) (*node)->synced = (*node)->data;
  count_sync();
  return {};
}

Outcome Disk::sync_directory(NodeId id) {
  const auto node = directory(id);
  if (!node) return fail(node.error());
  if (!skips(Skip::directories)) settle(id);
  count_sync();
  return {};
}

std::vector<Place> Disk::ancestors(NodeId directory) const {
  std::vector<Place> places;
  for (NodeId id = directory; id != kRoot; id = places.back().directory) {
    places.push_back(nodes_.at(id).home);
  }
  return places;
}

// Backwards: a change that becomes durable takes the earlier ones of its names along. A file never
// goes from a directory that is left into one that is not, and not with a directory that it has
// left already: no disk does that, whatever POSIX would allow.
void Disk::settle(NodeId directory) {
  std::set<NodeId> directories{directory};
  std::set<Place> places;
  std::vector<Change> durable;
  std::vector<Change> rest;
  for (auto change = pending_.rbegin(); change != pending_.rend(); ++change) {
    const bool renames = change->kind == Change::Kind::rename;
    const auto concerns = [&](const Place& place) {
      return directories.contains(place.directory) || places.contains(place);
    };
    if (!concerns(change->at) && !(renames && concerns(change->to))) {
      rest.push_back(*change);
      continue;
    }
    durable.push_back(*change);
    places.insert(change->at);
    if (change->kind == Change::Kind::remove) directories.insert(change->node);
    if (!renames) continue;
    places.insert(change->to);
    const auto left = ancestors(change->at.directory);
    for (Place& place : ancestors(change->to.directory)) {
      if (std::ranges::find(left, place) == left.end()) places.insert(std::move(place));
    }
  }
  for (auto change = durable.rbegin(); change != durable.rend(); ++change) {
    apply(*change, &Node::durable_names);
  }
  pending_.assign(rest.rbegin(), rest.rend());
}

// --- power

void Disk::lose_power(std::uint64_t seed) {
  Chance chance(seed);
  keep_some_names(chance);
  drop_unreachable();
  for (auto& [id, node] : nodes_) {
    node.names = node.durable_names;
    keep_some_bytes(node, chance);
  }
  is_on_ = false;
  ++epoch_;
  syncs_left_ = 0;
}

void Disk::keep_some_names(Chance& chance) {
  std::set<Place> lost;
  std::set<NodeId> lost_directories;
  for (const Change& change : pending_) {
    const bool renames = change.kind == Change::Kind::rename;
    const auto is_lost = [&](const Place& place) {
      return lost.contains(place) || lost_directories.contains(place.directory);
    };
    // A directory that is not as empty as it was when it was removed.
    const auto inside = lost.lower_bound(Place{change.node, ""});
    const bool is_left = inside != lost.end() && inside->directory == change.node;
    const bool possible = !is_lost(change.at) && !(renames && is_lost(change.to)) && !is_left;
    if (possible && chance.keeps()) {
      apply(change, &Node::durable_names);
      continue;
    }
    lost.insert(change.at);
    if (renames) lost.insert(change.to);
    if (change.kind == Change::Kind::enter) lost_directories.insert(change.node);
  }
  pending_.clear();
}

void Disk::drop_unreachable() {
  std::map<NodeId, Node> reached;
  std::vector<NodeId> waiting{kRoot};
  while (!waiting.empty()) {
    const NodeId id = waiting.back();
    waiting.pop_back();
    auto node = nodes_.extract(id);
    if (node.empty()) continue;
    for (const auto& [name, child] : node.mapped().durable_names) waiting.push_back(child);
    reached.insert(std::move(node));
  }
  nodes_ = std::move(reached);
}

void Disk::keep_some_bytes(Node& node, Chance& chance) {
  std::string left = node.synced;
  if (!chance.is_strict() && node.data != node.synced) {
    if (chance.keeps()) left.resize(node.data.size());
    const std::size_t common = std::min(left.size(), node.data.size());
    for (std::size_t begin = 0; begin < common; begin += kBlock) {
      const std::size_t size = std::min(kBlock, common - begin);
      if (chance.keeps()) left.replace(begin, size, node.data, begin, size);
    }
  }
  node.synced = left;
  node.data = std::move(left);
}

}  // namespace forgetful
