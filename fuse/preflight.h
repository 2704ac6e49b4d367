// What would make a mount fail, found before it is tried: libfuse and fusermount3 say of most of
// these no more than an errno.
#pragma once

#include <string>

#include "fuse/mount.h"
#include "src/error.h"

namespace spillway::kernel {

// The mountpoint as an absolute path without symbolic links. On failure local_error with the errno
// and a text for the user: what is wrong, and what to do.
[[nodiscard]] Result<std::string> check_mountpoint(const std::string& mountpoint);

// Whether this machine and this user can mount at all: /dev/fuse, fusermount3, user_allow_other.
[[nodiscard]] Result<> check_machine(const MountSettings& settings);

// Whether fuse.conf's text lets ordinary users allow others.
[[nodiscard]] bool allows_other(const std::string& fuse_conf);

}  // namespace spillway::kernel
