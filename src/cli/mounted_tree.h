// New names in a mounted tree, made through the kernel as any program makes them, durably, and
// never over what is there. Names are walked segment by segment from the mountpoint: no symlink in
// the bucket leads out of it. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "src/clock.h"
#include "src/descriptor.h"
#include "src/disk.h"
#include "src/metadata.h"
#include "src/path.h"

namespace spillway::cli {

struct Landed {
  enum class How : std::uint8_t { made, was_there } how = How::made;
  std::string storage;  // of a file: the mount's word for where it is
};

class MountedTree {
 public:
  static Result<MountedTree> open(const std::string& mountpoint);

  // Makes the directories above `path` that are not there, then the name itself. `was_there`: the
  // name has just that already, byte for byte. Fails with local_error: EEXIST where the name has
  // something else, what the mount said otherwise; then nothing of the file is left there, as far
  // as the mount lets it be removed again. EINTR when the process is asked to end meanwhile.
  Result<Landed> add_file(const Path& path, const Metadata& metadata, DiskFile& data,
                          std::uint64_t size);
  Result<Landed> add_symlink(const Path& path, const Metadata& metadata, const std::string& target);
  Result<Landed> add_special(const Path& path, const Metadata& metadata);  // FIFO, socket
  // One that is there keeps its owner, mode and times, unless this object made it.
  Result<Landed> add_directory(const Path& path, const Metadata& metadata);

 private:
  explicit MountedTree(Descriptor root) : root_(std::move(root)) {}
  Result<Descriptor> enter(const Path& directory);
  Result<Descriptor> make_and_enter(const Descriptor& parent, const Path& directory);
  Result<Descriptor> parent_of(const Path& path);
  Result<> see_names(const Descriptor& directory, const Path& path);

  Descriptor root_;
  std::set<Path> made_;
  std::map<Path, Instant> seen_;  // directories, by when all their names were known
};

}  // namespace spillway::cli
