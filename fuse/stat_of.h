// From the program's attributes to the kernel's.
#pragma once

#include <sys/stat.h>

#include "fuse/mount.h"
#include "src/file_system.h"

namespace spillway::kernel {

// Everything but st_dev. st_blksize is 1 MiB, so that cp, cat and stdio write a megabyte at a time.
[[nodiscard]] struct stat stat_of(const Attributes& attributes, const Presentation& presentation);

// The S_IFMT bits.
[[nodiscard]] mode_t type_of(FileKind kind);

// As libfuse wants its time-outs.
[[nodiscard]] double seconds(Duration duration);

[[nodiscard]] struct timespec timespec_of(WallTime time);
// Years past 2262 do not fit and are the last one that does; the same before 1677.
[[nodiscard]] WallTime wall_time_of(const struct timespec& time);

}  // namespace spillway::kernel
