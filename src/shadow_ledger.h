// Multipart uploads that we began and that B2 may hold unfinished: ledger/NAME, one small file each,
// named after the hash of the upload's id. Any thread.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "src/directory_sync.h"
#include "src/disk.h"
#include "src/guarded.h"
#include "src/log.h"
#include "src/shadow.h"
#include "src/shadow_journal.h"

namespace spillway {

class ShadowLedger {
 public:
  ShadowLedger(Disk& disk, Executor& executor, TextHash hash);

  // Reads what earlier runs left; once, before all else. Damaged entries are set aside and logged.
  Result<> load(Log& log);

  // Durable on return.
  Result<> note(const LedgerEntry& entry);
  // Not durable: an upload that comes back after a crash is aborted once more, which does no harm.
  Result<> forget(const UploadId& id);
  // Nothing needs the upload any more; it is an orphan from now on.
  void leave(const UploadId& id);
  // The record that names the upload is about to go: the same, and durable on return where an object
  // that the upload may have become would then be nobody's.
  Result<> leave_with(const ShadowRecord& record);
  [[nodiscard]] std::vector<std::string> unwanted_objects(const Key& key) const;
  // Those that were left and those of earlier runs, without those in `named`.
  [[nodiscard]] std::vector<LedgerEntry> orphans(const std::set<UploadId>& named) const;

 private:
  struct Known {
    LedgerEntry entry;
    bool is_orphan = false;
  };
  [[nodiscard]] std::string name_of(const UploadId& id) const;

  Disk& disk_;
  TextHash hash_;
  DirectorySync directory_;
  mutable Guarded<std::map<UploadId, Known>> known_;
};

}  // namespace spillway
