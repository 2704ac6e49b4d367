// Directories that are being renamed, or whose rename a crash or an outage has left unfinished:
// renames/ID, one file each, with a checksum (src/tree_rename.h). Any thread; changes of one id are
// the caller's to order.
#pragma once

#include <string>
#include <vector>

#include "src/directory_sync.h"
#include "src/disk.h"
#include "src/log.h"
#include "src/shadow_journal.h"
#include "src/tree_rename.h"

namespace spillway {

class ShadowRenames {
 public:
  ShadowRenames(Disk& disk, Executor& executor, TextHash hash);

  // Reads what earlier runs left; once, before all else. Damaged ones are set aside and logged.
  Result<> load(Log& log);
  // As load() found them.
  [[nodiscard]] const std::vector<TreeRename>& unfinished() const { return unfinished_; }

  // Durable on return; replaces the one of that id all or nothing. After a failure either may be
  // found by the next start.
  Result<> note(const TreeRename& rename);
  // Durable on return: one that comes back would move what has got the old names since.
  Result<> forget(const std::string& id);

 private:
  Disk& disk_;
  TextHash hash_;
  DirectorySync directory_;
  std::vector<TreeRename> unfinished_;
};

}  // namespace spillway
