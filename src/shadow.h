// The shadow: the local directory that keeps what B2 refused. It is the only copy of those bytes,
// never a cache: nothing leaves it before B2 has confirmed it.
//
//   files/…       whole diverted files under their own paths, for people to copy out
//   parts/ID      the ranges of split files, at the file's own offsets (sparse); targets of symlinks
//                 and the like; whole files whose place below files/ is taken (`a` beside `a/b`)
//   drafts/ID     bytes of files that are still being written
//   journal/ID    one record a file (src/shadow_record.h), with a checksum; empty: not used yet
//   ledger/ID     uploads of ours that B2 may hold unfinished
//   metadata/ID   changes of metadata of what B2 has, on their way there
//   renames/ID    directories whose rename is under way (src/tree_rename.h)
//   lost+found/   damaged records and data without a record: set aside, never deleted
//   lock, spillway.json   who holds it, and which endpoint and bucket it belongs to
//   attributes.sqlite   beside all that, and no concern of it: a cache (src/attribute_cache.h)
//
// Order of a publish(), each step durable before the next: the draft's bytes; the draft's name;
// the record. From there on the file is safe; the move to files/ can be done again after a crash.
//
// All calls block on the disk, may be made from any thread, and fail with local_error.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "src/disk.h"
#include "src/executor.h"
#include "src/hash.h"
#include "src/log.h"
#include "src/shadow_record.h"
#include "src/tree_rename.h"

namespace spillway {

// The bytes of one diverted file while it is being written. Removed with the object, unless it was
// published; must not outlive the shadow. Reads and writes by several threads are the caller's to
// order. Once published it can only be read.
class ShadowDraft {
 public:
  virtual ~ShadowDraft() = default;
  // Fails with ENOSPC (and says whose limit it was) past --shadow-limit or the disk's reserve.
  virtual Result<> write(std::uint64_t offset, std::span<const std::byte> bytes) = 0;
  virtual Result<std::size_t> read(std::uint64_t offset, std::span<std::byte> bytes) = 0;
  virtual Result<> truncate(std::uint64_t size) = 0;
};

struct ShadowSettings {
  std::string identity;           // "endpoint/bucket", or "local-only"
  std::uint64_t limit_bytes = 0;  // 0: none
  std::uint64_t reserve_bytes = 256ULL << 20U;  // kept free on the disk; journals may use it
};

struct ShadowRecovery {
  std::uint64_t files = 0;    // whole files found
  std::uint64_t splits = 0;
  std::uint64_t finished = 0;  // publishes that a crash had interrupted after the record
  std::uint64_t damaged = 0;   // set aside in lost+found
  std::uint64_t interrupted = 0;  // drafts that were never reported as stored: set aside as well
  std::uint64_t unknown = 0;   // files below files/ that no record names: left where they are
  bool after_crash = false;    // the mount before this one did not end cleanly
};

struct ShadowUsage {
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;
};

struct LedgerEntry {
  Key key;
  UploadId id;
  // Correlation id of an object that nothing wants under `key` any more, should the upload have
  // become one: the file was renamed since the upload began. Empty: there is none.
  std::string unwanted_object = {};
};

// What chmod, chown, touch and setfattr made of a file or directory that is in B2.
struct MetadataChange {
  Path path;
  Metadata metadata;      // all of it, as it is to be
  RemoteVersion version;  // that it belongs to; of a directory without etag and version id
  WallTime changed_at{};
};

class Shadow {
 public:
  virtual ~Shadow() = default;

  [[nodiscard]] virtual const ShadowRecovery& recovery() const = 0;

  virtual Result<std::unique_ptr<ShadowDraft>> create_draft() = 0;
  // A draft with the bytes of a whole file that is here already, to be changed.
  virtual Result<std::unique_ptr<ShadowDraft>> copy_to_draft(const ShadowRecord& record) = 0;

  // Durable on return, under record.path, replacing what the shadow had there (whose data is
  // removed). Fills in id and sequence. invalid_argument when the draft's bytes are not what the
  // record names: as many as `size` when local, every range when split.
  // A fault leaves the former record valid and the draft publishable by another try, except that a
  // draft whose bytes could not be synced must be written anew, and one that the disk may name
  // already (its journal failed half-way) can't be written any more.
  virtual Result<ShadowRecord> publish(ShadowDraft& draft, ShadowRecord record) = 0;

  // For a file that nobody closed: the draft's bytes, and beside them what is known of them
  // (ID.NAME and ID.NAME.json, the text of a record), go to lost+found, durable on return, and are never seen in
  // the tree nor drained. Returns the absolute path.
  virtual Result<std::string> set_aside(ShadowDraft& draft, const ShadowRecord& record) = 0;

  // Answers from memory.
  [[nodiscard]] virtual std::optional<ShadowRecord> find(const Path& path) const = 0;
  // Records at or below `directory`; all of them for the root. Oldest first.
  [[nodiscard]] virtual std::vector<ShadowRecord> within(const Path& directory) const = 0;
  // Split files that were renamed since their upload began under this name, where the upload appears
  // for a moment when it is finished.
  [[nodiscard]] virtual std::vector<ShadowRecord> begun_as(const Path& path) const = 0;
  [[nodiscard]] virtual ShadowUsage usage() const = 0;
  // Absolute path of the record's data.
  [[nodiscard]] virtual std::string location_of(const ShadowRecord& record) const = 0;

  // For reading, at the file's own offsets. Stays readable when the record is removed meanwhile.
  virtual Result<std::unique_ptr<DiskFile>> open_data(const ShadowRecord& record) = 0;

  // Removes record and data, durable on return. Only when `id` is still the path's newest record:
  // else `stale`. For the drain after B2 confirmed it, and for deletes.
  virtual Result<> remove(const std::string& id) = 0;
  // Gives the record another path and replaces what is there; durable on return.
  virtual Result<ShadowRecord> rename(const std::string& id, const Path& to) = 0;
  // Stores changed metadata, reason, seen or upload of a record (its id, path, size and data stay);
  // durable on return.
  virtual Result<> update(const ShadowRecord& record) = 0;

  // The ledger of our own multipart uploads. note_upload() is durable on return: only uploads in
  // it are ever aborted.
  virtual Result<> note_upload(const LedgerEntry& entry) = 0;
  virtual Result<> forget_upload(const UploadId& id) = 0;
  // Nothing needs the upload any more, but it could not be aborted.
  virtual void leave_upload(const UploadId& id) = 0;
  // Uploads that wait to be aborted: left, of records that are gone, and of earlier runs; none that
  // a record names.
  [[nodiscard]] virtual std::vector<LedgerEntry> orphaned_uploads() const = 0;

  // Correlation ids of the objects that nothing wants under this key, and that are still to be removed;
  // see LedgerEntry.
  [[nodiscard]] virtual std::vector<std::string> unwanted_objects(const Key& key) const = 0;

  // Changes of metadata that wait to go to B2, one a path: a newer one replaces the older one.
  // note_metadata() is durable on return. forget_metadata() is not: what a crash brings back belongs
  // to a version that is gone.
  virtual Result<> note_metadata(const MetadataChange& change) = 0;
  virtual Result<> forget_metadata(const Path& path) = 0;
  [[nodiscard]] virtual std::optional<MetadataChange> waiting_metadata(const Path& path) const = 0;
  [[nodiscard]] virtual std::vector<MetadataChange> waiting_metadata() const = 0;
  // The journal of directories being renamed. Both are durable on return; after a note_rename() that
  // failed either the former one or this one may be found by the next start.
  virtual Result<> note_rename(const TreeRename& rename) = 0;
  virtual Result<> forget_rename(const std::string& id) = 0;
  // What earlier runs left unfinished.
  [[nodiscard]] virtual std::vector<TreeRename> unfinished_renames() const = 0;

  // Marks a clean end, so that the next start is not taken for one after a crash.
  virtual Result<> close_cleanly() = 0;
};

// Locks, checks the mark, recovers. Fails with `not_permitted` when the shadow belongs to another
// bucket, `exists` when another process holds the lock. Damage inside is set aside, never a failure.
// All references must outlive the shadow.
[[nodiscard]] Result<std::unique_ptr<Shadow>> open_shadow(Disk& disk, const ShadowSettings& settings,
                                                          Executor& executor,
                                                          const Hashing& hashing, Log& log);

}  // namespace spillway
