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

// A failure in the form of `user.b2.last_error`, as a person reads it; all of it printable.
struct Failure {
  std::string error_code;
  std::string detail;
  std::string hint;  // may be empty
};
[[nodiscard]] Failure failure_in(const nlohmann::ordered_json& json);
// "CODE: DETAIL", and in a second line the hint, if there is one.
[[nodiscard]] std::string to_text(const Failure& failure);

// A file that can't go from the shadow to B2 for a reason of its own.
struct StuckFile {
  std::string path;  // in the tree
  Failure failure;
};

// What a mount says of itself, from the attributes of its root.
struct MountState {
  std::string bucket;
  std::string state;
  std::uint64_t pending_files = 0;  // in the shadow, and those that are being written
  std::uint64_t pending_bytes = 0;
  std::uint64_t shadow_files = 0;
  std::uint64_t shadow_bytes = 0;
  std::uint64_t drained_files = 0;  // since the mount began
  std::vector<StuckFile> stuck;
  std::uint64_t stuck_files = 0;      // of very many not all are in `stuck`
  nlohmann::ordered_json last_error;  // null: there was none
  nlohmann::ordered_json status;      // null: not served
};
[[nodiscard]] Result<MountState> read_mount_state(const MountPoint& mount);

// Lines that name each stuck file with its reason and hint; no newline at the end.
[[nodiscard]] std::string list_of_stuck(const MountPoint& mount, const MountState& state);

// Has the mount bring its shadow to B2 at once, without a pause that is still running.
[[nodiscard]] Result<> ask_to_drain(const MountPoint& mount);

// Why a mount that was there answers with this error, and what to do, for the user.
[[nodiscard]] std::string why_silent(const MountPoint& mount, const Error& error);

}  // namespace spillway::cli
