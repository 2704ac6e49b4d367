// What the kernel says is mounted where, without asking the mounts themselves: one whose program
// hangs delays nobody.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace spillway::kernel {

struct MountedHere {
  std::string device;  // "0:45": which mount this is, for as long as it lasts
  std::string mountpoint;
  std::string type;    // "fuse.spillway"
  std::string source;  // "spillway:BUCKET"
};

// The text of /proc/self/mountinfo (proc(5)), in its order. Lines that are not understood are left
// out.
[[nodiscard]] std::vector<MountedHere> parse_mountinfo(std::string_view text);

// The topmost mount at exactly this absolute path.
[[nodiscard]] std::optional<MountedHere> mounted_at(const std::string& mountpoint);

}  // namespace spillway::kernel
