// The kernel's requests, carried out on a Disk, and the attributes of the root by which a test
// tells the disk what to do (tests/support/forgetful_disk.h):
//
//   user.forgetful.power       "on", "off", "off SEED" (Disk::lose_power); reads "on" or "off"
//   user.forgetful.off_after   N: power goes right after that many more syncs; 0: not any more
//   user.forgetful.skip        "none", "files", "directories", "all", or N: only the Nth from now
//   user.forgetful.syncs       reads how many syncs were answered
//
// These work with the power off too. Nothing is cached by the kernel: what the disk holds is what
// programs see. Locks are the kernel's own, and end with the process that took them.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tests/forgetful_fs/disk.h"

struct fuse_lowlevel_ops;

namespace forgetful {

// An open file or directory, as it was when it was opened.
struct Handle {
  std::uint64_t epoch = 0;
  std::vector<std::pair<std::string, NodeId>> listing;  // of a directory
};

struct Served {
  Disk disk;
  std::map<std::uint64_t, Handle> handles;
  std::uint64_t last_handle = 0;
};

// For fuse_session_new() with a Served* as user data, and a loop of one thread.
[[nodiscard]] fuse_lowlevel_ops operations();

}  // namespace forgetful
