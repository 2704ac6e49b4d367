// One file that is open, or whose commit is put off: what all its handles share. There is one for a
// path at most; a file whose name was removed while it was open has one without a place in the tree.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "src/file_system.h"
#include "src/guarded.h"
#include "src/reader.h"
#include "src/report.h"
#include "src/writer.h"

namespace spillway {

// Versions of a removed name that are still to go: see src/bucket_purge.cpp.
struct Purge {
  Key key;
  std::vector<ObjectVersion> versions;  // newest first: the hide marker, and all below it
};

struct OpenFile {
  struct State {
    Path path;
    Metadata metadata;            // as it is now; goes with the next commit
    std::string content_type;
    std::uint64_t stored_size = 0;  // of the version below
    std::optional<RemoteVersion> remote;   // the committed version, where it is in B2
    std::optional<ShadowRecord> local;     // the committed version, where it is in the shadow
    std::shared_ptr<Writer> writer;        // from the first open for writing to the last close
    std::shared_ptr<Reader> reader;        // of `remote`, when there is no writer
    std::shared_ptr<DiskFile> local_data;  // of `local`, the same
    StorageReport report;                  // of the committed version; `pending` before the first
    Seen seen = Seen::unknown;             // what B2 holds under the path
    Etag seen_etag;
    std::vector<std::string> own_ids;      // see ShadowRecord::own_ids
    WallTime changed_at{};        // of attributes: ctime
    bool mtime_was_set = false;     // by a caller: a commit does not move it
    bool is_unlinked = false;
    bool is_held = false;         // closed, and its commit waits for a rename
    bool may_be_held = false;     // a temporary name created with O_EXCL, and never fsynced
    bool flush_answered = false;  // and its RELEASE is on its way
    std::int32_t creator = 0;     // pid
    int handles = 0;
    int writing_handles = 0;
    std::vector<Purge> purges;    // that wait for the last handle
    std::uint64_t holds = 0;      // counts is_held's times, so that an old timer knows it is late
  };

  explicit OpenFile(Executor& executor) : state(executor) {}
  Guarded<State> state;
};

class FileHandle {
 public:
  FileHandle(std::shared_ptr<OpenFile> open_file, OpenFlags open_flags)
      : file(std::move(open_file)), flags(open_flags) {}
  const std::shared_ptr<OpenFile> file;
  const OpenFlags flags;
  std::atomic<bool> has_written = false;
};

}  // namespace spillway
