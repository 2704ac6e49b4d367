// The way back: brings what the shadow keeps to B2, once B2 is well again. Split files first (a
// bucket's lifecycle rule may take their uploads), then the oldest, several at once, through the
// same engine as every upload. Nothing leaves the shadow before B2 has confirmed size and identity
// of the object; a file that fails for a reason of its own is tried again apart and holds up nobody.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "src/catalog.h"
#include "src/guarded.h"
#include "src/options.h"
#include "src/path_locks.h"
#include "src/writer.h"

namespace spillway {

struct DrainParts {
  WriterParts writer;
  Catalog& catalog;
  PathLocks& path_locks;
  // Whether somebody writes the file just now: its own commit will replace what is in the shadow.
  std::function<bool(const Path&)> is_being_written;
  // B2 has the file, but its metadata changed while it waited here: durable on return.
  std::function<Result<>(const MetadataChange&)> put_off_metadata;
  // B2 has the file under `path` now, and the shadow no longer; called with the path's lock held.
  std::function<void(const Path&, const RemoteFile&)> on_drained;
};

struct DrainSettings {
  int files_at_once = 8;
  Duration first_pause = std::chrono::seconds(5);  // of a file that fails alone; doubles
  Duration longest_pause = std::chrono::minutes(5);
  ConflictMode conflict = ConflictMode::both;
  PartGrid grid{8ULL << 20U, 16ULL << 20U};
  RetryRule retry;
};

class Drain : public std::enable_shared_from_this<Drain> {
 public:
  static std::shared_ptr<Drain> make(const DrainParts& parts, const DrainSettings& settings);

  // Looks once a second, from now until stop(), whether there is something to do.
  void start();
  // No new file is begun; returns when those under way have ended.
  void stop();
  // Now, without waiting for a cool-down or a pause.
  void kick();

  // Whether B2 has the file whole already, by a try of which nobody heard the end: then it counts as
  // drained. The caller holds the path's lock.
  Result<bool> is_there_already(const ShadowRecord& record);
  // Before this mount puts or removes something under `name`: a renamed split file may have been
  // finished under it, and must be found again by its version. The caller holds the name's lock.
  Result<> find_finished(const Path& name);

  struct Stuck {
    Path path;
    Error error;
  };
  // Files that failed for a reason of their own, as of their last try.
  [[nodiscard]] std::vector<Stuck> stuck();
  [[nodiscard]] std::uint64_t drained_files() const { return drained_.load(); }

 private:
  struct Pause {
    Path path;
    Instant until{};
    Duration length{};
    Error error;
  };
  struct State {
    bool is_stopping = false;
    bool is_ticking = false;
    std::map<std::string, Pause> pauses;  // by the record's id
    std::map<std::string, bool> under_way;
    std::map<std::string, std::weak_ptr<Writer>> writers;  // of those, by the record's id
  };
  enum class Verdict : std::uint8_t { put, already_there, conflict, drop };

  Drain(const DrainParts& parts, const DrainSettings& settings);
  void tick();
  void begin_files();
  [[nodiscard]] std::vector<ShadowRecord> due_files(State& state);
  [[nodiscard]] std::vector<PathLocks::Held> take_names(const Path& path);
  void drain_file(const std::string& id, const Path& path);
  Result<> bring(const ShadowRecord& record);
  Result<Verdict> compare(const ShadowRecord& record, std::optional<ObjectInfo>& there);
  Result<> note_attempt(const ShadowRecord& record);
  Result<> upload(const ShadowRecord& record, const Path& target);
  Result<RemoteFile> upload_directory(const ShadowRecord& record);
  Result<> feed(Writer& writer, const ShadowRecord& record);
  Result<> finish_split(const ShadowRecord& record, const Path& target,
                        const VersionId& version);
  Result<> copy_made(const ShadowRecord& record, const Path& target, const VersionId& version);
  Result<> note_made(const ShadowRecord& record, const VersionId& version);
  Result<std::optional<ObjectInfo>> made_before(const ShadowRecord& record, const Path& target);
  Result<> remove_begun_as(const ShadowRecord& record, const Path& target);
  Result<std::optional<RemoteFile>> find_ours(const ShadowRecord& record, const Path& target);
  Result<RemoteFile> confirm(const ShadowRecord& record, const Path& target);
  Result<> end(const ShadowRecord& record, const Path& target, RemoteFile remote);
  Result<> conclude(const ShadowRecord& record, const Path& target, RemoteFile remote);
  void report_failure(const ShadowRecord& record, const Error& error);
  [[nodiscard]] static bool lost_bytes(const ShadowRecord& record, const Error& error);
  [[nodiscard]] static Error as_loss(Error error);
  void note_loss(const ShadowRecord& record, const Error& error);
  void log_conflict(const ShadowRecord& record, const Path& target, const ObjectInfo& there);
  void abort_orphans();
  Result<> abort_orphan(const LedgerEntry& entry);

  const DrainParts parts_;
  const DrainSettings settings_;
  Guarded<State> state_;
  std::atomic<bool> is_aborting_ = false;
  std::atomic<std::uint64_t> drained_ = 0;
};

}  // namespace spillway
