// The shadow's journal: one file a record, named after the record's id. What it holds decides what
// the shadow holds; a change of it is the moment at which something is stored, or gone.
//
//   journal/ID           a record that is valid; empty: nothing, a file in stock
//   journal/ID.removed   a record that is not any more; the next start removes what it left
//
// Any thread; changes of one id are the caller's to order.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "src/directory_sync.h"
#include "src/disk.h"
#include "src/hash.h"
#include "src/shadow_record.h"
#include "src/shadow_stock.h"
#include "src/tree_rename.h"

namespace spillway {

// Hex SHA-256 of a text: TextHash of src/tree_rename.h.
[[nodiscard]] TextHash text_hash(const Hashing& hashing);

class ShadowJournal {
 public:
  ShadowJournal(Disk& disk, Executor& executor, TextHash hash);

  // Durable on return; replaces the record of that id all or nothing. After a failure either may be
  // found by the next start.
  Result<> store(const ShadowRecord& record);
  // The same for the first record of an id, into its file from the stock: one sync. A power cut may
  // leave a part of it, which counts as never written.
  Result<> store_first(const ShadowRecord& record, const StockFile& file);
  // The record counts no more, durable on return. After a failure it may or may not.
  Result<> retire(const std::string& id);
  // Ends what retire() began, once the data is gone. Need not be durable.
  void forget_retired(const std::string& id);

  // Removes records that must not come back. remove() is durable only after sync().
  Result<> remove(const std::string& id);
  Result<> sync();

  [[nodiscard]] DirectorySync& directory() { return directory_; }
  // The record as it is stored; fails where it could not be read back.
  [[nodiscard]] Result<std::string> readable_text(const ShadowRecord& record) const;

 private:
  Disk& disk_;
  TextHash hash_;
  DirectorySync directory_;
};

// What lies in journal/, nothing changed. For the recovery and for tools that hold no lock.
struct JournalContent {
  struct Damaged {
    std::string name;  // in journal/
    std::string detail;
  };
  std::vector<ShadowRecord> records;
  std::vector<ShadowRecord> retired;
  std::vector<Damaged> damaged;
  std::vector<std::string> leftovers;  // names that mean nothing, to be removed
};

// Fails only when the disk does; a file that can't be read for EIO counts as damaged.
Result<JournalContent> read_journal(Disk& disk, const TextHash& hash);

}  // namespace spillway
