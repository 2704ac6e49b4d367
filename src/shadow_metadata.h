// Changes of metadata that B2 has not got yet: metadata/NAME, one small file a path, named after the
// path's hash. What chmod, chown, touch and setfattr were told is durable from here on, and goes to
// B2 a moment later, after a crash or an outage as well. Any thread.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "src/directory_sync.h"
#include "src/disk.h"
#include "src/guarded.h"
#include "src/log.h"
#include "src/shadow.h"
#include "src/shadow_journal.h"

namespace spillway {

class ShadowMetadata {
 public:
  ShadowMetadata(Disk& disk, Executor& executor, TextHash hash);

  // Reads what earlier runs left; once, before all else. Damaged entries are set aside and logged.
  Result<> load(Log& log);

  // Durable on return; replaces the change that waits for this path, if any.
  Result<> note(const MetadataChange& change);
  // Not durable: a change that comes back after a crash is recognized by its version, or made once
  // more. After a failure it may come back as well.
  Result<> forget(const Path& path);

  [[nodiscard]] std::optional<MetadataChange> find(const Path& path) const;
  [[nodiscard]] std::vector<MetadataChange> all() const;

 private:
  [[nodiscard]] std::string name_of(const Path& path) const;

  Disk& disk_;
  TextHash hash_;
  DirectorySync directory_;
  mutable Guarded<std::map<Path, MetadataChange>> changes_;
};

}  // namespace spillway
