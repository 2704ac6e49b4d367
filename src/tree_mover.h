// Carries the rename of a directory out in the bucket: lists, copies inside B2, takes copies back,
// removes sources; many objects side by side. Knows nothing of what is open or in the shadow: see
// src/bucket_renames.cpp.
//
// All calls block and may be made from any thread; requests are retried as name operations are.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "src/catalog.h"
#include "src/executor.h"
#include "src/log.h"
#include "src/requests.h"
#include "src/shadow.h"
#include "src/tree_rename.h"

namespace spillway {

// What every line of the log about the rename carries.
[[nodiscard]] Fields fields_of(const TreeRename& rename);

// One object on its way.
struct MovingObject {
  TreeMember member;
  Etag etag;
  WallTime last_modified{};
  std::optional<RemoteFile> known;   // what the catalog, or a HEAD, told of this very version
  bool was_tried = false;            // B2 may have a copy
  std::optional<StoredObject> copy;  // once B2 has confirmed it
};

struct TreeProgress {
  Path from;
  Path to;
  Instant began{};
  std::atomic<std::uint64_t> total = 0;  // objects
  std::atomic<std::uint64_t> done = 0;   // copied
  std::atomic<std::uint64_t> bytes = 0;  // of those
};

class TreeMover {
 public:
  struct Settings {
    std::size_t copies_at_once = 16;
    // Of one directory; larger ones are for `mv` to copy file by file (cross_device).
    std::size_t most_objects = 100'000;
  };
  TreeMover(Requests& requests, Shadow& shadow, Executor& executor, Log& log,
            const Settings& settings)
      : requests_(requests), shadow_(shadow), executor_(executor), log_(log), settings_(settings) {}

  // Every object at and below the directory, markers and keys that can't be paths among them: all
  // pages, or an error.
  Result<std::vector<ObjectInfo>> list(const Path& directory);

  // Asks for the version and metadata of those that are to be copied and not known. Those that are
  // gone since they were listed are taken out.
  Result<> learn(std::vector<MovingObject>& objects);

  // Copies those that have a target. After an error, the first one that was met, some are copied and
  // of some nobody knows.
  Result<> copy(std::vector<MovingObject>& objects, TreeProgress& progress);

  // Removes what was copied, by its version, and whatever can be nothing but such a copy. What was
  // under the targets before is there again. An error: something may be left, and can be taken back
  // by another call, as long as the sources are there.
  Result<> take_back(const TreeRename& rename, const std::vector<MovingObject>& copies);

  // Removes the sources, each only as the version that was copied: what another client put there
  // since stays. Gives how many are left, with the first reason; may be called again.
  struct Left {
    std::size_t objects = 0;
    std::optional<Error> reason;
  };
  Left remove_sources(const TreeRename& rename);

 private:
  Result<ObjectInfo> head(const Key& key, const VersionId& version);
  Result<> remove(const Key& key, const VersionId& version);
  Result<> remove_source(const TreeMember& member);
  [[nodiscard]] bool awaits_upload(const Key& key);
  Result<> copy_one(MovingObject& object);
  Result<> take_back_one(const TreeRename& rename, const TreeMember& member,
                         const std::optional<StoredObject>& copy);
  // The first error of many calls side by side; `stops`: no further ones begin after it.
  enum class AfterError : std::uint8_t { stop, go_on };
  Left for_each(std::size_t count, AfterError after, const std::function<Result<>(std::size_t)>& call);

  Requests& requests_;
  Shadow& shadow_;
  Executor& executor_;
  Log& log_;
  const Settings settings_;
};

}  // namespace spillway
