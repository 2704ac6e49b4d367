// The rename of a directory, decided and described. Pure: what is to be copied, what is to go, which
// names the tree is known by meanwhile, and the journal's text of it. src/tree_mover.h carries it
// out in the bucket, src/bucket_renames.cpp in the mount.
//
// A rename is in one of two stages, and the journal says which:
//   copying  the source is as it was; what was copied goes again when the rename can't be finished
//   moving   every copy exists; what is left of the source goes, now or later
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/error.h"
#include "src/object_store.h"
#include "src/path.h"

namespace spillway {

// One version of an object that takes part.
struct TreeMember {
  Key source;
  Key target;         // empty: it is not copied
  VersionId version;  // of the source
  std::uint64_t size = 0;
  // What becomes of the source once all is copied.
  enum class End : std::uint8_t {
    removed,  // by its id alone: B2 has nothing older under the key
    hidden_and_removed,
    hidden,  // its content is the user's history: a newer one is in the shadow
  } end = End::hidden_and_removed;
  std::string upload;  // correlation id of the version: nothing but its copies has it; may be empty
  friend bool operator==(const TreeMember&, const TreeMember&) = default;
};

struct TreeRename {
  std::string id;
  Path from;
  Path to;
  enum class Stage : std::uint8_t { copying, moving } stage = Stage::copying;
  bool target_was_there = false;  // as an empty directory
  std::vector<TreeMember> members;
  std::vector<std::string> records;  // ids in the shadow that get their new names
  friend bool operator==(const TreeRename&, const TreeRename&) = default;
};

// The key that an object at or below `from` gets. name_too_long over B2's limit.
[[nodiscard]] Result<Key> moved_key(const Key& key, const Path& from, const Path& to);

// Whether the object under the target can be nothing but our copy of the member: it was not there
// before, and has the member's own upload's id.
[[nodiscard]] bool is_copy_of(const ObjectInfo& copy, const TreeMember& member);
// The same where the upload has no id: bytes and metadata must be known to be equal, so that who
// removes it, with the source still there, loses nothing.
[[nodiscard]] bool is_copy_of(const ObjectInfo& copy, const ObjectInfo& source);

// A line of JSON and one with its SHA-256.
using TextHash = std::function<std::string(std::string_view)>;
[[nodiscard]] std::string to_text(const TreeRename& rename, const TextHash& hash);
// nullopt for a text that was cut or changed, or never was one.
[[nodiscard]] std::optional<TreeRename> tree_rename_from_text(std::string_view text,
                                                              const TextHash& hash);

// Where names are to be looked for while directories are renamed. Of a tree that is on its way the
// target can't be seen before all of it is there, nor the source after that.
class MovingTrees {
 public:
  // Nothing is seen at or below `tree`; with `below` the tree itself is, empty.
  enum class Hides : std::uint8_t { all, below };
  void hide(const std::string& id, const Path& tree, Hides hides);
  // Whoever asks for a name at or below `from` means the one below `to`: the kernel has not heard
  // of the rename yet.
  void move(const std::string& id, const Path& from, const Path& to);
  // Back to what the bucket says.
  void show(const std::string& id);

  // Where the name is now; nullopt: nowhere.
  [[nodiscard]] std::optional<Path> place_of(const Path& path) const;
  // Whether `path` lies in such a tree, or such a tree below it.
  [[nodiscard]] bool concern(const Path& path) const;
  [[nodiscard]] bool empty() const { return trees_.empty(); }

 private:
  struct Tree {
    std::string id;
    Path top;
    Hides hides = Hides::all;
    std::optional<Path> now;
  };
  std::vector<Tree> trees_;
};

}  // namespace spillway
