// One opendir: the names as they were when reading began, so that a long listing neither repeats
// nor skips what stood still meanwhile. Of a large directory it holds one stretch at a time.
#pragma once

#include <optional>
#include <vector>

#include "src/catalog.h"
#include "src/file_system.h"
#include "src/guarded.h"

namespace spillway {

class DirectoryHandle {
 public:
  struct Snapshot {
    std::vector<DirectoryEntry> entries;  // in the order of their names' bytes
    std::uint64_t first = 0;              // the cookie before entries.front()
    ListPosition from;                    // where this stretch begins
    std::optional<ListPosition> next;     // where the next one does, if there is one
    std::optional<Error> error;           // what ends the listing instead of a clean end
    bool is_taken = false;
    std::size_t learned = 0;  // entries before this one have had their metadata asked for
    [[nodiscard]] std::uint64_t end() const { return first + entries.size(); }
  };

  DirectoryHandle(Executor& executor, Path directory)
      : path(std::move(directory)), snapshot(executor) {}
  const Path path;
  Guarded<Snapshot> snapshot;
};

}  // namespace spillway
