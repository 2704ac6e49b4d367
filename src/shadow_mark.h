// Whose the shadow directory is: its lock, the mark with endpoint and bucket, and the mark of a
// clean end.
#pragma once

#include <string>

#include "src/disk.h"
#include "src/log.h"

namespace spillway {

// Locks the shadow, makes what is missing of it, and takes the mark of a clean end away, all durable
// on return. Whether the mount before this one did not end cleanly.
//
// `exists` when another process holds the lock; `not_permitted`, with nothing changed, when the
// shadow is marked with another identity. A mark that can't be read is set aside and written anew:
// the directory's own name tells the bucket as well.
Result<bool> take_possession(Disk& disk, const std::string& identity, Log& log);

// Durable on return.
Result<> mark_clean_end(Disk& disk);

}  // namespace spillway
