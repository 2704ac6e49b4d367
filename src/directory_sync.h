// Makes changes of one directory durable, many at a time: callers that wait for the same directory
// share one sync_directory(). Changes that were not covered by a sync that began after them wait
// for the next.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "src/disk.h"
#include "src/guarded.h"

namespace spillway {

class DirectorySync {
 public:
  // A moment after some change of the directory.
  using Ticket = std::uint64_t;

  // `disk` and `executor` outlive it.
  DirectorySync(Disk& disk, Executor& executor, std::string directory)
      : disk_(disk), directory_(std::move(directory)), state_(executor) {}

  // To be taken once the change was made.
  [[nodiscard]] Ticket changed();

  // Blocks until the change is durable. A failed sync fails for every caller whose change it
  // covered, also when somebody else's next one succeeds: the change must be made anew.
  Result<> make_durable(Ticket ticket);

 private:
  struct State {
    Ticket changes = 0;
    Ticket durable = 0;
    // The changes after `kept`, up to `lost`, were covered by the sync that failed last.
    Ticket kept = 0;
    Ticket lost = 0;
    std::optional<Error> reason;
    bool running = false;
  };

  Result<> run(Guarded<State>::Locked& state);

  Disk& disk_;
  const std::string directory_;
  Guarded<State> state_;
};

}  // namespace spillway
