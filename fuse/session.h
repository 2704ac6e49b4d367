// libfuse's session: its mount options, and the way its requests and answers take.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "fuse/libfuse.h"
#include "fuse/mount.h"
#include "fuse/operations.h"

namespace spillway::kernel {

struct SessionEnd {
  void operator()(fuse_session* session) const { fuse_session_destroy(session); }
};
using Session = std::unique_ptr<fuse_session, SessionEnd>;

// Whether the user's own options, one an element, may be passed on: invalid_argument for those that
// would loosen what this mount promises, or take the place of what it sets by itself.
[[nodiscard]] Result<> check_options(const std::vector<std::string>& options);

// What follows -o.
[[nodiscard]] std::string option_text(const MountSettings& settings);

// nullptr where libfuse does not know an option; it has then written so to stderr.
[[nodiscard]] Session make_session(const MountSettings& settings, Operations& operations);

// Lets requests and answers of a mounted session pass through its Operations::parallel_dirops().
[[nodiscard]] bool route_through_operations(fuse_session* session);

// Ends the connection with the kernel, so that fuse_session_unmount() only tidies up: for a mount
// that somebody else has taken away, whose place may have been taken by another.
[[nodiscard]] bool disconnect(fuse_session* session);

}  // namespace spillway::kernel
