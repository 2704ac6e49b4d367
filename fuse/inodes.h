// The kernel names files by numbers, the program by paths: this table holds which number stands
// for which path, for as long as the kernel knows the number.
//
// A node is a name below another node, so that moving a directory moves everything below it at
// once. Nodes are counted: each lookup answered adds one, forget() takes them back, and a node
// goes when the kernel has forgotten it and nothing lies below it. Numbers are never used again.
//
// A file whose name is gone while it is open lives on in its handles: the table remembers every
// open handle of a node, and keeps it from being released while somebody still holds what
// locate() gave.
//
// Any thread may call; no method blocks for longer than the table's own lock.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "src/executor.h"
#include "src/file_system.h"
#include "src/guarded.h"
#include "src/path.h"

namespace spillway::kernel {

using NodeId = std::uint64_t;
inline constexpr NodeId kRootNode = 1;

// Where a node is now.
struct Location {
  Path path;          // the last one it had, where it has none any more
  bool named = true;  // false: the name is gone, or another file has it
  std::shared_ptr<FileHandle> handle;  // an open one; only where not named, and there is one
};

class Inodes {
 public:
  explicit Inodes(Executor& executor);

  // The node for a name that was found, made if need be, with one lookup more. A name that holds
  // another kind of file than before is a new file: its old node loses the name.
  // Precondition: the kernel knows `parent`.
  [[nodiscard]] NodeId remember(NodeId parent, std::string_view name, FileKind kind,
                                std::uint64_t inode);
  void forget(NodeId node, std::uint64_t lookups);

  // nullopt for a number that is not in the table.
  [[nodiscard]] std::optional<Location> locate(NodeId node) const;
  // nullopt where `name` can't be a name, or the parent has none any more.
  [[nodiscard]] std::optional<Path> child_path(NodeId parent, std::string_view name) const;
  // The node that stands for a path; nullopt where the kernel knows none.
  [[nodiscard]] std::optional<NodeId> find(const Path& path) const;
  // st_ino of a node and of the directory above it, the root's being its own. 0 where not known.
  struct Numbers {
    std::uint64_t own = 0;
    std::uint64_t parents = 0;
  };
  [[nodiscard]] Numbers numbers(NodeId node) const;

  // The name was removed (unlink, rmdir).
  void removed(NodeId parent, std::string_view name);
  // A node that had the new name loses it.
  void renamed(NodeId from_parent, std::string_view from_name, NodeId to_parent,
               std::string_view to_name);

  // A handle of this node; whoever drops the last copy of it releases the file.
  void opened(NodeId node, std::shared_ptr<FileHandle> handle);
  // Takes it out again. The caller lets go of it with no lock held. Works for a node that is
  // forgotten already: the kernel's last release may come after its forget.
  [[nodiscard]] std::shared_ptr<FileHandle> closed(NodeId node, const FileHandle* handle);

  [[nodiscard]] std::size_t size() const;  // nodes, the root among them

 private:
  struct Node {
    NodeId id = 0;
    NodeId parent = 0;  // also of an unnamed node, which may have others below it
    std::string name;
    std::uint64_t inode = 0;
    std::uint64_t lookups = 0;
    std::uint32_t below = 0;  // nodes whose parent this is, named or not
    FileKind kind = FileKind::regular;
    bool named = true;
  };

  // The named nodes by parent and name, without a second copy of the name.
  struct ByName {
    using is_transparent = void;
    using Key = std::pair<NodeId, std::string_view>;
    static Key key(const Node* node) { return {node->parent, node->name}; }
    static Key key(const Key& key) { return key; }
    std::size_t operator()(const auto& value) const { return hash(key(value)); }
    bool operator()(const auto& one, const auto& other) const { return key(one) == key(other); }
    static std::size_t hash(const Key& key);
  };

  struct Table {
    std::unordered_map<NodeId, Node> nodes;
    std::unordered_set<Node*, ByName, ByName> names;
    std::unordered_map<NodeId, std::vector<std::shared_ptr<FileHandle>>> handles;
    NodeId last = kRootNode;

    Node* node(NodeId id);
    Node* child(NodeId parent, std::string_view name);
    Node& add(NodeId parent, std::string_view name, FileKind kind);
    void unname(Node& node);
    void move(Node& node, NodeId parent, std::string_view name);
    void drop_if_unused(NodeId id);
    std::optional<Location> locate(NodeId id);
  };

  mutable Guarded<Table> table_;
};

}  // namespace spillway::kernel
