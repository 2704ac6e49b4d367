// Looks into a shadow without a mount, without B2 and without its lock: for `spillway shadow
// ls|verify|export`. Changes nothing there, so it may run beside the mount that holds the shadow;
// files that leave it meanwhile are left out.
//
// Not for several threads at once. A shadow on a read-only disk will do.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "src/disk.h"
#include "src/hash.h"
#include "src/shadow_journal.h"
#include "src/shadow_layout.h"
#include "src/shadow_record.h"

namespace spillway {

enum class DataState : std::uint8_t {
  sound,           // as large as the record says, and where it has a checksum and was asked: equal
  missing,         // no data of that size
  wrong_checksum,
  unreadable,      // the disk fails
};

struct ShadowItem {
  ShadowRecord record;
  std::string location;  // absolute path of the data; empty where it is missing
  DataState state = DataState::missing;
  bool has_checksum = false;  // verify() compared bytes, not only the size
  std::string detail;         // what is wrong
};

struct ShadowContent {
  std::vector<ShadowItem> items;          // oldest first
  std::vector<std::string> damaged;       // journal files that can't be read, absolute
  std::vector<std::string> lost_and_found;  // absolute
};

struct ExportedFile {
  ShadowRecord record;
  enum class Outcome : std::uint8_t {
    whole,
    ranges_only,  // split: only record.ranges are here, the rest is in B2's unfinished upload
    skipped,      // a symlink, fifo or socket: no file can stand for it
    failed,
  } outcome = Outcome::failed;
  std::string name;    // absolute; with ".partial" at the end for ranges_only
  std::string detail;  // why it was skipped or failed
};

class ShadowTools {
 public:
  // Both outlive it.
  ShadowTools(Disk& disk, const Hashing& hashing);

  // Fails with ENOENT where there is no shadow.
  Result<ShadowContent> list();
  // The same, and reads all data.
  Result<ShadowContent> verify();
  // Copies every file to its own path below `target`, durably. Never replaces what is there: such a
  // file fails. One file's failure does not stop the others.
  Result<std::vector<ExportedFile>> export_to(Disk& target);

 private:
  [[nodiscard]] ShadowItem find_data(const ShadowRecord& record);
  [[nodiscard]] bool is_gone(const ShadowRecord& record);
  void check_bytes(ShadowItem& item);
  ExportedFile export_file(const ShadowItem& item, Disk& target);

  Disk& disk_;
  const Hashing& hashing_;
  TextHash hash_;
};

}  // namespace spillway
