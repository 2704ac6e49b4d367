// What B2 holds, as far as this mount knows: directories as they were listed, files with the
// metadata learned from HEAD or from our own uploads. What a listing said counts for --attr-ttl;
// metadata counts for as long as listings show the same ETag, size and LastModified. What this
// mount stored or removed itself is local truth at once, whatever an older listing still says.
//
// It does not know the shadow nor open files: src/file_system.cpp puts those on top.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/attribute_cache.h"
#include "src/clock.h"
#include "src/metadata.h"
#include "src/path.h"
#include "src/report.h"
#include "src/requests.h"
#include "src/version_identity.h"

namespace spillway {

// A file (or symlink, FIFO, socket) as an object in B2.
struct RemoteFile {
  std::uint64_t size = 0;
  Etag etag;
  VersionId version_id;  // known after HEAD or our own upload
  WallTime last_modified{};
  std::string content_type;
  Metadata metadata;
  // B2 showed nothing under the key before this version: removing it by its id brings back nothing.
  bool is_first_version = false;
  // Of our own upload, while this mount lives: duration, attempts, fallback and its reason.
  std::optional<StorageReport> history;
};

// As a HEAD tells it.
[[nodiscard]] RemoteFile file_from(const ObjectInfo& info);

[[nodiscard]] inline RemoteVersion version_of(const Path& path, const RemoteFile& file) {
  return {path.text(), file.version_id, file.etag, file.size};
}

struct RemoteDirectory {
  bool has_marker = false;  // a "name/" object exists
  VersionId marker_version = {};  // of that object, where known
  Metadata metadata = {};         // the same
  std::optional<VersionIdentity> version = {};  // the same
  bool is_known = true;  // false: seen in a listing only, which tells none of the above
};

// What is under a name. Both empty: nothing. When a key is both a file and a prefix the directory
// wins.
struct RemoteEntry {
  std::optional<RemoteFile> file;
  std::optional<RemoteDirectory> directory;
};

struct ListedName {
  std::string name;
  bool is_directory = false;
  // Files: complete when the metadata is known, else only size, ETag and last_modified are right.
  std::optional<RemoteFile> file;
  RemoteDirectory directory;    // directories: right when the metadata is known
  bool metadata_known = false;  // directories: of the marker, or that there is none
};

// What a listing shows of a file.
struct ListedFile {
  std::string name;
  VersionIdentity version;
};

// How far a directory has been read that is read in stretches.
struct ListPosition {
  // A name is in the stretches so far when "name/", by the order of bytes, does not come after this:
  // then it is also known whether there is a directory of that name.
  std::string after;
  std::string token;  // of B2's next page; empty: at the start
  std::vector<ListedFile> undecided;  // listed already, and `after` by that order
  [[nodiscard]] bool is_start() const { return token.empty(); }
  [[nodiscard]] bool is_before(std::string_view name) const {
    return after < std::string(name) + '/';
  }
};

// Names in the order of their bytes. With `error` the listing could not be completed: `names` are
// those still known, and an answer built on it must end with the error.
struct RemoteListing {
  std::vector<ListedName> names;
  std::optional<Error> error;
  std::uint64_t hidden_keys = 0;  // keys that can't be paths
  std::optional<ListPosition> next;  // there are more names: from here
};

class Catalog {
 public:
  virtual ~Catalog() = default;

  // What is under `path`, with metadata. Costs nothing when the parent's listing is fresh and the
  // metadata known; else a listing of the parent (kept for the next question) or, for parents
  // larger than a few pages, two small LISTs; and a HEAD for metadata that the attribute cache does
  // not know either (for a directory of its marker, once, until a listing of the directory shows
  // another; a directory that the cache knows something of is listed instead). Names that are not
  // there, or below a directory that is not, cost no request while the listing is fresh. An error:
  // B2 could not be asked.
  virtual Result<RemoteEntry> find(const Path& path) = 0;

  // A directory from its start, or from where an earlier listing says that it goes on: all names,
  // or `next` after CatalogSettings::largest_listing of them and a page, so that a directory of any
  // size is read in bounded memory. `fresh` listings are answered from memory; others by LIST.
  virtual RemoteListing list(const Path& directory, const ListPosition& from) = 0;

  // Learns the metadata of these files and directories, from the attribute cache or by HEADs, many
  // at once; gone files are dropped. Asks nothing for what is known already. Returns when all are
  // known or failed; the first failure is the result.
  virtual Result<> learn(const std::vector<Path>& files) = 0;

  // Whether anything lies below the directory, by one LIST of two keys; own changes count.
  virtual Result<bool> is_empty(const Path& directory) = 0;

  // --- local truth: this mount's own changes, after B2 confirmed them
  virtual void file_stored(const Path& path, const RemoteFile& file) = 0;
  virtual void file_removed(const Path& path) = 0;
  virtual void directory_stored(const Path& path, const RemoteDirectory& directory) = 0;
  virtual void directory_removed(const Path& path) = 0;

  // The directory has a whole tree below it that this mount put there, or has gone with all below it.
  // What was known of it and of all below holds no more; after tree_stored() it is asked for anew,
  // but for what file_stored() and directory_stored() then tell.
  virtual void tree_stored(const Path& directory) = 0;
  virtual void tree_removed(const Path& directory) = 0;

  // An own change of the file may have been carried out, and nobody heard: nothing that was known of
  // it holds.
  virtual void file_in_doubt(const Path& path) = 0;

  // The answer from memory only, fresh or not: for getxattr, and when B2 can't be asked. nullopt:
  // not known, or a file whose metadata is not (its kind and times would be guesses).
  [[nodiscard]] virtual std::optional<RemoteEntry> recall(const Path& path) = 0;

  // Whether a file of that name was listed when B2 was last asked, though recall() can't describe it.
  [[nodiscard]] virtual bool is_listed(const Path& path) = 0;

  // How long the kernel may keep an answer about `path` given now: the rest of the listing's life.
  [[nodiscard]] virtual Duration valid_for(const Path& path) = 0;

  // Called once with the key for each key that can't be a path, and can't be shown.
  using HiddenKey = std::function<void(const Key&)>;
};

struct CatalogSettings {
  Duration ttl = std::chrono::seconds(5);
  std::size_t heads_at_once = 16;
  std::size_t largest_listing = 20'000;  // names of one directory that are kept, or read at once
  std::size_t kept_names = 200'000;      // in all directories together; the oldest go first
};

// All references outlive the catalog.
[[nodiscard]] std::unique_ptr<Catalog> make_catalog(
    Requests& requests, Executor& executor, const CatalogSettings& settings,
    Catalog::HiddenKey on_hidden_key, AttributeCache& attributes = no_attribute_cache());

}  // namespace spillway
