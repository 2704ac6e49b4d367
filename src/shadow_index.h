// What the shadow knows in memory: the newest record of each path, where its data is, which paths
// are being changed, and what the disk may say differently after a crash.
//
// Plain data, without a lock of its own: the shadow keeps it in a Guarded. Never does I/O.
#pragma once

#include <cstdint>
#include <functional>
#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "src/guarded.h"
#include "src/shadow.h"
#include "src/shadow_layout.h"

namespace spillway {

struct ShadowEntry {
  ShadowRecord record;
  layout::Place place = layout::Place::drafts;
};

// Records that journal/ may hold for a path besides, or other than, the one in the index.
struct ShadowDoubt {
  std::set<std::string> ids;
  // One of them might win over the index's record: nothing may be done to the path before it is
  // settled. Otherwise they lose, and matter only once the path's record goes.
  bool urgent = false;
};

class ShadowIndex {
 public:
  [[nodiscard]] const ShadowEntry* find(const Path& path) const;
  [[nodiscard]] const ShadowEntry* find_id(const std::string& id) const;
  // At or below `directory`, oldest first.
  [[nodiscard]] std::vector<ShadowRecord> within(const Path& directory) const;
  [[nodiscard]] ShadowUsage usage() const { return {by_path_.size(), bytes_}; }
  [[nodiscard]] std::set<UploadId> uploads() const;  // that a record names
  // Records whose unfinished upload will appear under this name, which is not theirs any more.
  [[nodiscard]] std::vector<ShadowRecord> begun_as(const Path& path) const;

  // Replaces what its path had, and an entry of the same id elsewhere; returns what the path had
  // before, if it was another record.
  std::optional<ShadowEntry> put(ShadowEntry entry);
  void move_data(const std::string& id, layout::Place place);
  void erase(const std::string& id);

  // Ids and sequences are drawn from one counter, which starts above all that the disk holds.
  [[nodiscard]] std::uint64_t next_number() { return next_++; }
  void numbers_from(std::uint64_t number) { next_ = std::max(next_, number); }

  enum class Urgency : std::uint8_t { lazy, urgent };
  void doubt(const Path& path, const std::string& id, Urgency urgency);
  [[nodiscard]] const ShadowDoubt* doubt_of(const Path& path) const;
  void settled(const Path& path) { doubts_.erase(path.text()); }

  // --- turns, see ShadowTurn
  // `paths` and those of the records that their doubts name.
  [[nodiscard]] std::set<std::string> concerned(const std::vector<Path>& paths) const;
  [[nodiscard]] bool is_free(const std::set<std::string>& paths) const;
  void occupy(const std::set<std::string>& paths) { busy_.insert(paths.begin(), paths.end()); }
  void release(const std::set<std::string>& paths);

 private:
  std::map<std::string, ShadowEntry, std::less<>> by_path_;
  std::unordered_map<std::string, std::string> path_of_;  // by id
  std::multimap<Key, std::string> begun_as_;  // to id
  std::map<std::string, ShadowDoubt, std::less<>> doubts_;
  std::set<std::string> busy_;
  std::uint64_t bytes_ = 0;
  std::uint64_t next_ = 1;
};

// Changes of one path take turns, those of different paths go side by side: whoever holds a turn
// may do I/O for its paths without holding the index's lock.
class ShadowTurn {
 public:
  // Waits until nobody else changes one of the paths.
  static ShadowTurn take(Guarded<ShadowIndex>& index, const std::vector<Path>& paths);
  // The same for the path that the record has by then, and `others`. `stale` without such a record.
  static Result<ShadowTurn> take_record(Guarded<ShadowIndex>& index, const std::string& id,
                                        const std::vector<Path>& others = {});
  ShadowTurn(ShadowTurn&& other) noexcept;
  ShadowTurn& operator=(ShadowTurn&&) = delete;
  ~ShadowTurn();

 private:
  ShadowTurn(Guarded<ShadowIndex>& index, std::set<std::string> paths)
      : index_(&index), paths_(std::move(paths)) {}

  Guarded<ShadowIndex>* index_;
  std::set<std::string> paths_;
};

}  // namespace spillway
