// Files for drafts and records, made some at a time before they are needed, so that one sync of
// their directories makes all their names durable: a publish then waits for two syncs, that of its
// bytes and that of its record, and not for four.
//
// What is in stock is empty; a start after a crash removes it.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "src/directory_sync.h"
#include "src/disk.h"
#include "src/guarded.h"

namespace spillway {

struct StockFile {
  std::unique_ptr<DiskFile> file;
  DirectorySync::Ticket named = 0;  // of its directory: durable or not
};

// drafts/ID and journal/ID.
struct StockPair {
  std::string id;
  StockFile draft;
  StockFile record;
};

class ShadowStock {
 public:
  // All outlive it. `new_id` is called from any thread.
  ShadowStock(Disk& disk, Executor& executor, DirectorySync& drafts, DirectorySync& journal,
              std::function<std::string()> new_id);

  // Any thread. The first one is made alone, then ever more at a time.
  Result<StockPair> take();
  // Removes what is left; after a sync that failed none of it can be trusted.
  void clear();

 private:
  struct State {
    std::vector<StockPair> pairs;
    std::size_t batch = 1;
  };

  Result<StockPair> make();
  Result<StockFile> create(const std::string& name, DirectorySync& directory);

  Disk& disk_;
  DirectorySync& drafts_;
  DirectorySync& journal_;
  const std::function<std::string()> new_id_;
  Guarded<State> state_;
};

}  // namespace spillway
