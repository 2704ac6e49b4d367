// What the catalog remembers. Pure: no lock, no request; the time is an argument. src/catalog.cpp
// asks B2 and puts the answers in here.
//
// Knowledge is kept in facts: for each name of a directory one about the file and one about the
// directory of that name. Every fact carries the moment at which it was true: for an answer of B2
// the one before the request was sent, for an own change the one after B2 had confirmed it. A later
// moment wins, so that a LIST that was under way while this mount changed something can't undo it.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "src/catalog.h"

namespace spillway {

// A place in the order of what this mount asked and did. Order 0: never.
struct Moment {
  std::uint64_t order = 0;
  Instant time{};
};

// What B2 said of one directory.
struct DirectoryRows {
  std::vector<ListedFile> files;
  std::vector<std::string> directories;
  std::optional<VersionIdentity> marker;
  std::uint64_t hidden_keys = 0;
  // partial: names that are missing here may be there all the same.
  enum class Extent : std::uint8_t { complete, partial } extent = Extent::complete;
  bool is_large = false;  // more than the few pages that a look-up should cost
};

class CatalogIndex {
 public:
  explicit CatalogIndex(const CatalogSettings& settings) : settings_(settings) {}

  // The moment of a request that is about to be sent.
  [[nodiscard]] Moment begin(Instant now) { return {++last_order_, now}; }

  // --- what is known

  struct View {
    enum class Need : std::uint8_t { nothing, lookup, file_metadata, directory_metadata } need;
    RemoteEntry entry;  // with need nothing
    Instant until{};    // when the knowledge is no longer fresh; not with need lookup
  };
  // Fresh for a caller who asked at `since`: true then, or less than the ttl earlier.
  [[nodiscard]] View look(const Path& path, Instant since);
  // What learn() has to ask for, fresh or not.
  [[nodiscard]] View::Need metadata_need(const Path& path);
  [[nodiscard]] std::optional<RemoteEntry> recall(const Path& path);
  [[nodiscard]] bool is_listed(const Path& path);
  // nullopt unless it is complete and fresh.
  [[nodiscard]] std::optional<RemoteListing> listing(const Path& directory, Instant since);
  [[nodiscard]] RemoteListing known_names(const Path& directory);
  // Whether something below was removed, and directories may have gone with it.
  [[nodiscard]] bool has_doubts(const Path& directory);
  // Whether names of this directory are better looked up one by one.
  [[nodiscard]] bool is_large(const Path& directory);
  // Own changes after `moment`: whether something was put into the directory, and whether the
  // object of this key was removed.
  [[nodiscard]] bool filled_since(const Path& directory, Moment moment);
  [[nodiscard]] bool removed_since(const Key& key, Moment moment);

  // --- answers of B2

  void add_rows(const Path& directory, const DirectoryRows& rows, Moment moment);
  // The same, and the names that are known then where there are more than may be kept.
  [[nodiscard]] std::optional<RemoteListing> add_listing(const Path& directory,
                                                         const DirectoryRows& rows, Moment moment);
  // A part of a directory too large to be kept, in place of any other: the names that are known
  // then between the two positions; no `to`: to the end.
  [[nodiscard]] RemoteListing add_stretch(const Path& directory, const DirectoryRows& rows,
                                          const ListPosition& from,
                                          const std::optional<ListPosition>& to, Moment moment);
  // Of one name: what two small LISTs said.
  void add_point(const Path& path, const std::optional<VersionIdentity>& file, bool is_directory,
                 Moment moment);
  // nullptr: there is no such object. Give the version that the metadata is known of now; nullopt
  // where the answer was not taken.
  std::optional<VersionIdentity> add_head(const Path& path, const ObjectInfo* info, Moment moment);
  std::optional<VersionIdentity> add_marker_head(const Path& directory, const ObjectInfo* info,
                                                 Moment moment);

  // --- what an earlier mount learned

  // Taken where the version that is listed now is the one remembered, and no more is known of it;
  // whether it was.
  bool add_remembered(const Path& path, const RememberedObject& object);
  bool add_remembered_marker(const Path& directory, const RememberedObject& object);
  // Whether the directory's marker was listed, and its metadata alone is not known.
  [[nodiscard]] bool has_listed_marker(const Path& directory);

  // --- own changes, see Catalog

  void file_stored(const Path& path, const RemoteFile& file, Instant now);
  void file_removed(const Path& path, Instant now);
  void directory_stored(const Path& path, const RemoteDirectory& directory, Instant now);
  void directory_removed(const Path& path, Instant now);

  void tree_stored(const Path& directory, Instant now);
  void tree_removed(const Path& directory, Instant now);

  void file_in_doubt(const Path& path);

  // A directory with requests under way is not forgotten.
  void pin(const Path& directory) { ++obtain(directory.text()).pins; }
  void unpin(const Path& directory) { --obtain(directory.text()).pins; }

  [[nodiscard]] std::size_t kept_names() const { return kept_; }

 private:
  // What a HEAD or an own upload told beyond a listing.
  struct Details {
    VersionId version_id;
    std::string content_type;
    Metadata metadata;
    bool is_first_version = false;
    std::unique_ptr<StorageReport> history;
  };
  struct FileFact {
    Moment as_of;
    std::optional<VersionIdentity> version;  // empty: no such file
    std::unique_ptr<Details> details;        // empty: not known
  };
  struct DirectoryFact {
    Moment as_of;
    bool present = false;
    // May have gone with what was in it: whatever `present` says, ask again.
    bool doubtful = false;
  };
  struct Slot {
    FileFact file;
    DirectoryFact directory;
    [[nodiscard]] bool is_absent() const { return !file.version && !directory.present; }
  };
  struct Marker {
    Moment as_of;
    enum class State : std::uint8_t { unknown, absent, present } state = State::unknown;
    std::optional<VersionIdentity> version;
    std::optional<Metadata> metadata;
    VersionId version_id;  // that the metadata is of, where known
    [[nodiscard]] bool is_known() const { return state == State::absent || metadata.has_value(); }
  };
  struct Directory {
    std::string path;
    std::map<std::string, Slot, std::less<>> names;
    bool complete = false;  // names not in `names` were not there at `listed`
    Moment listed;
    bool is_large = false;
    std::uint64_t hidden_keys = 0;
    Marker marker;
    int pins = 0;
  };
  // A name seen from above: its directory and its slot, where there are such.
  struct Place {
    Directory* directory = nullptr;
    Slot* slot = nullptr;
  };

  [[nodiscard]] static std::string_view parent_of(std::string_view path);
  [[nodiscard]] static std::string_view name_of(std::string_view path);
  [[nodiscard]] const Directory* peek(std::string_view path) const;  // not a use
  [[nodiscard]] Directory* find_directory(std::string_view path);
  Directory& obtain(std::string_view path);
  [[nodiscard]] Place find_place(std::string_view path);
  Slot& obtain_slot(std::string_view path);
  Slot& obtain_slot(Directory& directory, std::string_view name);
  void forget_if_absent(Directory& directory, std::string_view name);
  void shrink();

  [[nodiscard]] static Moment moment_of(const Place& place, const Moment& fact);
  [[nodiscard]] bool is_fresh(Moment moment, Instant since) const;
  [[nodiscard]] std::optional<View> below_nothing(std::string_view path, Instant since);
  [[nodiscard]] static RemoteDirectory directory_of(const Directory* known);
  [[nodiscard]] static RemoteFile file_of(const FileFact& fact);
  [[nodiscard]] RemoteListing names_of(const Directory& directory) const;

  static void set_version(FileFact& fact, const VersionIdentity& version, Moment moment);
  static void set_marker(Marker& marker, const std::optional<VersionIdentity>& version,
                         Moment moment);
  void sweep(Directory& directory, Moment moment);
  void forget_below(const Path& top, Moment moment);
  void forget_content(Directory& directory, Moment moment);
  void note_directories(std::string_view path, Moment moment);
  void doubt_directories(std::string_view removed, Moment moment);
  [[nodiscard]] bool holds_something(std::string_view path, Instant now);

  const CatalogSettings settings_;
  std::uint64_t last_order_ = 0;
  std::list<Directory> directories_;  // the one used last first
  std::unordered_map<std::string_view, std::list<Directory>::iterator> by_path_;
  std::size_t kept_ = 0;  // names, and one for each directory
};

}  // namespace spillway
