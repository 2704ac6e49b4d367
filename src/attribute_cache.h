// What HEAD told of objects, and what this mount stored with them itself, kept over unmounts: LIST
// carries no metadata, so that without this the first `ls -l` of a mount is one HEAD a file. A
// cache and nothing else: it may be lost or deleted at any time, which costs HEADs.
//
// Whoever asks compares the identity with what a listing shows now, and takes the rest for input:
// the file is a bucket's word by way of a disk.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "src/executor.h"
#include "src/log.h"
#include "src/object_store.h"
#include "src/version_identity.h"

namespace spillway {

struct RememberedObject {
  VersionIdentity identity;
  VersionId version_id;
  std::string content_type;
  MetadataMap metadata;  // for metadata_from()

  friend bool operator==(const RememberedObject&, const RememberedObject&) = default;
};

// By key; a directory's marker is under "name/". Any thread. No call fails, and none but those that
// ask touches the disk: the others only note what is to be written later.
class AttributeCache {
 public:
  // Writes what is still to be written. No other call may be under way.
  virtual ~AttributeCache() = default;

  // What was kept last under the key. May read the disk (a few pages), never waits for a write.
  [[nodiscard]] virtual std::optional<RememberedObject> recall(const Key& key) = 0;

  // Whether something is likely to be known of a key that begins with `prefix` ("name/"): somebody
  // has read that directory before, and so it may be listed rather than asked for by name.
  [[nodiscard]] virtual bool knows_below(const std::string& prefix) = 0;

  // Replaces what was known of the key. Not kept where it is larger than B2 allows, or its time is
  // not known.
  virtual void keep(const Key& key, const RememberedObject& object) = 0;
  virtual void forget(const Key& key) = 0;
};

struct AttributeCacheSettings {
  // About 0.5 KiB of disk each; past it the ones kept longest ago go.
  std::size_t most_objects = 500'000;
  // Bytes of the disk that are left to others. With less the cache goes, and its file with it.
  std::uint64_t reserve_bytes = 0;
};

// A cache in an SQLite database of that name (absolute, mode 0600; -wal beside it while it is
// open), made where there is none, or one of another version of this program. A damaged one, or one
// of another program, is set aside as FILE.damaged and begun anew. Where it can't be used (the
// directory can't be written, another process has it open), or fails later, one line in the log
// (`attribute_cache_failed`), and it remembers nothing from then on.
//
// Written in batches, each one transaction, by jobs of the executor. A change that is not written
// yet is lost with a crash, as if it had never been learned. `executor` and `log` outlive it.
[[nodiscard]] std::unique_ptr<AttributeCache> make_attribute_cache(
    const std::string& file, const AttributeCacheSettings& settings, Executor& executor, Log& log);

// Remembers nothing; for those who have no disk to keep it on.
[[nodiscard]] AttributeCache& no_attribute_cache();

}  // namespace spillway
