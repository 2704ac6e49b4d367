// The directories that a mount renames just now, and those whose rename is not finished.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "src/guarded.h"
#include "src/tree_mover.h"
#include "src/tree_rename.h"

namespace spillway {

struct TreeRenames {
  TreeRenames(Requests& requests, Shadow& shadow, Executor& executor, Log& log)
      : mover(requests, shadow, executor, log, {}),
        places(executor),
        unfinished(executor),
        running(executor) {}

  // Where the name is now; see MovingTrees.
  [[nodiscard]] std::optional<Path> place_of(const Path& path) {
    return places.lock()->place_of(path);
  }
  [[nodiscard]] bool concern(const Path& path) { return places.lock()->concern(path); }

  TreeMover mover;
  // May be locked with the table of open files held.
  Guarded<MovingTrees> places;
  // What a background job goes on with every few seconds.
  Guarded<std::vector<TreeRename>> unfinished;
  Guarded<std::vector<std::shared_ptr<TreeProgress>>> running;
};

}  // namespace spillway
