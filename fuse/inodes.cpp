#include "fuse/inodes.h"

#include <algorithm>
#include <ranges>
#include <utility>

namespace spillway::kernel {

std::size_t Inodes::ByName::hash(const Key& key) {
  constexpr std::size_t kGolden = 0x9e3779b97f4a7c15U;
  return std::hash<std::string_view>{}(key.second) ^ (key.first * kGolden);
}

// --- the table, with the lock held

Inodes::Node* Inodes::Table::node(NodeId id) {
  const auto found = nodes.find(id);
  return found == nodes.end() ? nullptr : &found->second;
}

Inodes::Node* Inodes::Table::child(NodeId parent, std::string_view name) {
  const auto found = names.find(ByName::Key(parent, name));
  return found == names.end() ? nullptr : *found;
}

Inodes::Node& Inodes::Table::add(NodeId parent, std::string_view name, FileKind kind) {
  Node& added = nodes[++last];
  added.id = last;
  added.parent = parent;
  added.name = name;
  added.kind = kind;
  names.insert(&added);
  if (Node* above = node(parent)) ++above->below;
  return added;
}

void Inodes::Table::unname(Node& node) {
  names.erase(&node);
  node.named = false;
}

void Inodes::Table::move(Node& moved, NodeId parent, std::string_view name) {
  const NodeId left = moved.parent;
  names.erase(&moved);
  moved.parent = parent;
  moved.name = name;
  names.insert(&moved);
  if (Node* above = node(parent)) ++above->below;
  if (Node* above = node(left)) --above->below;
  drop_if_unused(left);
}

// The kernel forgets a directory after what lies below it, but its messages are served by many
// threads and arrive in any order: a parent waits for its last child, and goes with it.
void Inodes::Table::drop_if_unused(NodeId id) {
  while (id != kRootNode) {
    Node* unused = node(id);
    if (unused == nullptr || unused->lookups > 0 || unused->below > 0) return;
    const NodeId parent = unused->parent;
    if (unused->named) names.erase(unused);
    nodes.erase(id);
    if (Node* above = node(parent)) --above->below;
    id = parent;
  }
}

std::optional<Location> Inodes::Table::locate(NodeId id) {
  std::vector<const Node*> way;
  Location location;
  while (id != kRootNode) {
    const Node* step = node(id);
    if (step == nullptr) return std::nullopt;
    location.named = location.named && step->named;
    way.push_back(step);
    id = step->parent;
  }
  for (const Node* step : std::views::reverse(way)) {
    auto path = location.path.child(step->name);
    if (!path) return std::nullopt;
    location.path = *std::move(path);
  }
  return location;
}

// --- what others call

Inodes::Inodes(Executor& executor) : table_(executor) {
  auto table = table_.lock();
  Node& root = table->nodes[kRootNode];
  root.id = kRootNode;
  root.kind = FileKind::directory;
}

NodeId Inodes::remember(NodeId parent, std::string_view name, FileKind kind, std::uint64_t inode) {
  auto table = table_.lock();
  Node* node = table->child(parent, name);
  if (node != nullptr && node->kind != kind) {
    table->unname(*node);
    node = nullptr;
  }
  if (node == nullptr) node = &table->add(parent, name, kind);
  node->inode = inode;
  ++node->lookups;
  return node->id;
}

void Inodes::forget(NodeId id, std::uint64_t lookups) {
  auto table = table_.lock();
  Node* node = table->node(id);
  if (node == nullptr) return;
  node->lookups -= std::min(lookups, node->lookups);
  table->drop_if_unused(id);
}

std::optional<Location> Inodes::locate(NodeId id) const {
  auto table = table_.lock();
  auto location = table->locate(id);
  if (!location || location->named) return location;
  const auto open = table->handles.find(id);
  if (open != table->handles.end()) location->handle = open->second.front();
  return location;
}

std::optional<Path> Inodes::child_path(NodeId parent, std::string_view name) const {
  const auto above = table_.lock()->locate(parent);
  if (!above || !above->named) return std::nullopt;
  return above->path.child(name);
}

std::optional<NodeId> Inodes::find(const Path& path) const {
  auto table = table_.lock();
  NodeId id = kRootNode;
  std::string_view rest = path.text();
  while (!rest.empty()) {
    const auto slash = rest.find('/');
    const Node* node = table->child(id, rest.substr(0, slash));
    if (node == nullptr) return std::nullopt;
    id = node->id;
    rest = slash == std::string_view::npos ? "" : rest.substr(slash + 1);
  }
  return id;
}

Inodes::Numbers Inodes::numbers(NodeId id) const {
  auto table = table_.lock();
  const Node* node = table->node(id);
  if (node == nullptr) return {};
  const Node* above = id == kRootNode ? node : table->node(node->parent);
  return {.own = node->inode, .parents = above == nullptr ? 0 : above->inode};
}

void Inodes::removed(NodeId parent, std::string_view name) {
  auto table = table_.lock();
  if (Node* node = table->child(parent, name)) table->unname(*node);
}

void Inodes::renamed(NodeId from_parent, std::string_view from_name, NodeId to_parent,
                     std::string_view to_name) {
  auto table = table_.lock();
  Node* moved = table->child(from_parent, from_name);
  Node* replaced = table->child(to_parent, to_name);
  if (replaced != nullptr && replaced != moved) table->unname(*replaced);
  if (moved != nullptr && replaced != moved) table->move(*moved, to_parent, to_name);
}

void Inodes::opened(NodeId node, std::shared_ptr<FileHandle> handle) {
  table_.lock()->handles[node].push_back(std::move(handle));
}

std::shared_ptr<FileHandle> Inodes::closed(NodeId node, const FileHandle* handle) {
  auto table = table_.lock();
  const auto entry = table->handles.find(node);
  if (entry == table->handles.end()) return nullptr;
  auto& open = entry->second;
  const auto found = std::ranges::find(open, handle, &std::shared_ptr<FileHandle>::get);
  if (found == open.end()) return nullptr;
  auto taken = std::move(*found);
  open.erase(found);
  if (open.empty()) table->handles.erase(entry);
  return taken;
}

std::size_t Inodes::size() const { return table_.lock()->nodes.size(); }

}  // namespace spillway::kernel
