// Whether the process that closes a file is being ended by a signal: its file may be cut short, and
// close() alone can't tell that from the end of a file that is whole.
#pragma once

#include <sys/types.h>

#include <string_view>

namespace spillway::kernel {

// By the text of /proc/PID/stat. A process that is exiting and was signaled (flags, field 9) may
// still be a multithreaded one that ends well: only its exit code (field 52) names a signal.
[[nodiscard]] bool is_killed(std::string_view stat);

// The same for a process or thread that waits for the answer to its call, and so can't be gone.
// false where it can't be read.
[[nodiscard]] bool was_killed(pid_t pid);

}  // namespace spillway::kernel
