// The errno that a caller of the mounted tree sees for an Error: the table of the contract for the
// codes users know, the plain meaning for refusals.
#pragma once

#include "src/error.h"

namespace spillway::kernel {

// Positive. local_error gives the system's own errno where it says that there is no room (ENOSPC,
// EDQUOT) or no writing (EROFS), else EIO: the others would tell of our files, not of the caller's.
[[nodiscard]] int errno_of(const Error& error);

}  // namespace spillway::kernel
