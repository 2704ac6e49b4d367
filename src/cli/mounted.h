// What the kernel knows of Spillway's mounts, and the attributes they answer: everything that
// `where`, `status`, `drain` and `umount` need of a mount that another process serves.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "src/error.h"

namespace spillway::cli {

struct MountPoint {
  std::string path;
  dev_t device = 0;
};

// In the order in which they were mounted. Never asks the mounts themselves: one whose daemon hangs
// delays nobody.
[[nodiscard]] std::vector<MountPoint> spillway_mounts();

// The mount at exactly this place; `text` is made absolute first, without touching the mount.
[[nodiscard]] std::optional<MountPoint> mount_at(const std::string& text);

// `text`, or where it is empty the only mount there is. Fails with a text for the user.
[[nodiscard]] Result<MountPoint> choose_mount(const std::string& text);

// The attribute's value; no_attribute when the file has none of that name; local_error otherwise.
[[nodiscard]] Result<std::string> read_attribute(const std::string& path, const std::string& name);

// What a mount says of itself, from the attributes of its root.
struct MountState {
  std::string bucket;
  std::string state;
  std::uint64_t pending_files = 0;
  std::uint64_t pending_bytes = 0;
  nlohmann::ordered_json last_error;  // null: there was none
  nlohmann::ordered_json status;      // null: not served
};
[[nodiscard]] Result<MountState> read_mount_state(const MountPoint& mount);

}  // namespace spillway::cli
