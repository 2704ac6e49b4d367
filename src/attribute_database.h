// The attribute cache's table: one SQLite database, for one process at a time. Knows nothing of
// batches, of when to write, or of what to do when it fails (src/attribute_cache.cpp does).
//
// All calls block on the disk and may be made from any thread; reading does not wait for writing.
// After a power cut the table is as it was after one of the last writes. Errors are local_error;
// with EUCLEAN the file is damaged or of another program, with ESTALE of another version of this
// one.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "src/attribute_cache.h"
#include "src/error.h"

namespace spillway {

class AttributeDatabase {
 public:
  // nullopt: to be forgotten.
  using Changes = std::map<Key, std::optional<RememberedObject>>;

  virtual ~AttributeDatabase() = default;

  // What was read may be anything that is_storable().
  [[nodiscard]] virtual Result<std::optional<RememberedObject>> find(const Key& key) = 0;
  // Whether there is a key that begins with `prefix`, which ends in a slash.
  [[nodiscard]] virtual Result<bool> has_below(const std::string& prefix) = 0;
  // All of them or none. Then takes away the oldest past the settings' number. ENOSPC where the
  // disk has less free than the settings' reserve.
  virtual Result<> write(const Changes& changes) = 0;
};

// Creates the file where there is none. EBUSY when another process has it open.
[[nodiscard]] Result<std::unique_ptr<AttributeDatabase>> open_attribute_database(
    const std::string& file, const AttributeCacheSettings& settings, Executor& executor);

// Takes the file and what SQLite keeps beside it away; also while it is open, which then goes on
// without a name. ok where there is none.
Result<> remove_attribute_database(const std::string& file);
// The same, and the file gets another name, replacing what had it.
Result<> rename_attribute_database(const std::string& file, const std::string& to);

// Whether it is within the limits of B2, and its identity can be compared.
[[nodiscard]] bool is_storable(const Key& key, const RememberedObject& object);

}  // namespace spillway
