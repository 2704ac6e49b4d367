// Taking a mount away from the kernel: directly as root, through fusermount3 as anybody else.
#pragma once

#include <cstdint>
#include <string>

#include "src/error.h"

namespace spillway::cli {

enum class Unmounting : std::uint8_t {
  plain,   // fails with EBUSY while a process uses the mount
  detach,  // out of the tree at once; open files go on being served until they are closed
};

// local_error, with system_errno EBUSY where the mount is in use. Any thread.
[[nodiscard]] Result<> unmount(const std::string& mountpoint, Unmounting how);

}  // namespace spillway::cli
