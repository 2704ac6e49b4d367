#include "src/cli/mounted.h"

#include <spdlog/fmt/fmt.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "src/cli/output.h"

namespace spillway::cli {
namespace {

constexpr std::string_view kFileSystemType = "fuse.spillway";

// mountinfo writes blanks, tabs, newlines and backslashes as \ooo.
std::string without_octal_escapes(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned value = 0;
    const bool escape = text[i] == '\\' && i + 3 < text.size() &&
                        std::from_chars(&text[i + 1], &text[i + 1] + 3, value, 8).ec == std::errc();
    out += escape ? static_cast<char>(value) : text[i];
    if (escape) i += 3;
  }
  return out;
}

// "36 35 98:0 /root /mount/point options… - type source superoptions" (proc(5)).
std::optional<MountPoint> spillway_mount_of(const std::string& line) {
  const auto separator = line.find(" - ");
  if (separator == std::string::npos) return std::nullopt;
  std::istringstream after(line.substr(separator + 3));
  std::string type;
  after >> type;
  if (type != kFileSystemType) return std::nullopt;
  std::istringstream before(line.substr(0, separator));
  std::string id, parent, root, path;
  unsigned major = 0, minor = 0;
  char colon = 0;
  before >> id >> parent >> major >> colon >> minor >> root >> path;
  return MountPoint{without_octal_escapes(path), makedev(major, minor)};
}

// The absolute form without touching the last segment, which may be a mount whose daemon is gone.
std::string absolute_path(const std::string& text) {
  std::filesystem::path path = std::filesystem::absolute(text).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  std::error_code ignored;
  const auto parent = std::filesystem::canonical(path.parent_path(), ignored);
  return ignored ? path.string() : (parent / path.filename()).string();
}

std::uint64_t number_in(const Result<std::string>& text) {
  std::uint64_t number = 0;
  if (text.ok()) std::from_chars(text->data(), text->data() + text->size(), number);
  return number;
}

nlohmann::ordered_json json_in(const Result<std::string>& text) {
  if (!text.ok()) return nullptr;
  auto parsed = nlohmann::ordered_json::parse(*text, nullptr, false);
  return parsed.is_discarded() ? nlohmann::ordered_json(nullptr) : parsed;
}

// What the daemon says of its shadow; one that does not serve that is taken by what is pending.
void add_shadow_counters(MountState& state) {
  const bool served = state.status.is_object();
  const auto number = [&](const char* name, std::uint64_t otherwise) {
    return served ? state.status.value(name, otherwise) : otherwise;
  };
  state.shadow_files =
      served ? number("shadow_files", 0) + number("metadata_changes", 0) : state.pending_files;
  state.shadow_bytes = number("shadow_bytes", state.pending_bytes);
  state.drained_files = number("drained_files", 0);
  if (served && state.status.contains("stuck")) {
    for (const auto& file : state.status["stuck"]) {
      state.stuck.push_back({file.value("path", ""), failure_in(file)});
    }
  }
  state.stuck_files = std::max<std::uint64_t>(number("stuck_files", 0), state.stuck.size());
}

bool is_gone(const Error& error) {
  return error.system_errno == ENOTCONN || error.system_errno == ECONNABORTED;
}

}  // namespace

std::vector<MountPoint> spillway_mounts() {
  std::vector<MountPoint> mounts;
  std::ifstream table("/proc/self/mountinfo");
  for (std::string line; std::getline(table, line);) {
    if (auto mount = spillway_mount_of(line)) mounts.push_back(std::move(*mount));
  }
  return mounts;
}

std::optional<MountPoint> mount_at(const std::string& text) {
  std::optional<MountPoint> found;
  const auto find = [&](const std::string& path) {
    for (auto& mount : spillway_mounts()) {
      if (mount.path == path) found = std::move(mount);
    }
  };
  find(absolute_path(text));
  std::error_code failed;
  if (!found && std::filesystem::is_symlink(text, failed)) {
    find(std::filesystem::canonical(text, failed));
  }
  return found;
}

Result<MountPoint> choose_mount(const std::string& text) {
  if (!text.empty()) {
    if (auto mount = mount_at(text)) return std::move(*mount);
    return fail(ErrorCode::invalid_argument,
                fmt::format("{} is not a Spillway mount", printable(text)));
  }
  auto mounts = spillway_mounts();
  if (mounts.size() == 1) return std::move(mounts.front());
  if (mounts.empty()) return fail(ErrorCode::invalid_argument, "nothing is mounted by Spillway");
  std::string places;
  for (const auto& mount : mounts) places += "\n  " + printable(mount.path);
  return fail(ErrorCode::invalid_argument, "there are several mounts, name one:" + places);
}

Result<std::string> read_attribute(const std::string& path, const std::string& name) {
  std::string value(1024, '\0');
  while (true) {
    const ssize_t size = getxattr(path.c_str(), name.c_str(), value.data(), value.size());
    if (size >= 0) {
      value.resize(static_cast<std::size_t>(size));
      return value;
    }
    if (errno == ENODATA || errno == ENOTSUP) {
      return fail(ErrorCode::no_attribute, "there is no " + name);
    }
    if (errno != ERANGE || value.size() > 65'536) return fail_errno(errno, printable(path));
    value.resize(value.size() * 8);
  }
}

Result<MountState> read_mount_state(const MountPoint& mount) {
  MountState state;
  state.state = TRY(read_attribute(mount.path, "user.b2.state"));
  if (const auto bucket = read_attribute(mount.path, "user.b2.bucket")) state.bucket = *bucket;
  // Not to be read is not 0: the mount may end while it is asked.
  state.pending_files = number_in(TRY(read_attribute(mount.path, "user.b2.pending_files")));
  state.pending_bytes = number_in(TRY(read_attribute(mount.path, "user.b2.pending_bytes")));
  state.last_error = json_in(read_attribute(mount.path, "user.b2.last_error"));
  state.status = json_in(TRY(read_attribute(mount.path, "user.b2.status")));
  add_shadow_counters(state);
  return state;
}

Failure failure_in(const nlohmann::ordered_json& json) {
  const auto text = [&](const char* name) { return printable(json.value(name, std::string())); };
  Failure failure{text("error_code"), text("detail"), ""};
  const auto hints = json.find("hints");
  if (hints != json.end() && !hints->empty() && hints->front().is_string()) {
    failure.hint = printable(hints->front().get<std::string>());
  }
  return failure;
}

std::string to_text(const Failure& failure) {
  std::string text = failure.error_code + ": " + failure.detail;
  if (!failure.hint.empty()) text += "\n    hint: " + failure.hint;
  return text;
}

std::string list_of_stuck(const MountPoint& mount, const MountState& state) {
  std::string list;
  for (const StuckFile& file : state.stuck) {
    if (!list.empty()) list += '\n';
    list += fmt::format("  {}: {}", printable(mount.path + "/" + file.path), to_text(file.failure));
  }
  const std::uint64_t more = state.stuck_files - state.stuck.size();
  if (more > 0) list += fmt::format("\n  … and {} more", more);
  return list;
}

Result<> ask_to_drain(const MountPoint& mount) {
  if (setxattr(mount.path.c_str(), "user.b2.drain", "now", 3, 0) == 0) return {};
  return fail_errno(errno, printable(mount.path));
}

std::string why_silent(const MountPoint& mount, const Error& error) {
  const std::string place = printable(mount.path);
  if (!mount_at(mount.path)) {
    return place +
           " was unmounted meanwhile; what is left in the shadow goes to B2 when the bucket is "
           "mounted again";
  }
  if (!is_gone(error)) return "the mount does not answer: " + printable(error.detail);
  return fmt::format(
      "the daemon of {} has died; what it had told as stored is in B2 or in the shadow, and goes "
      "on when the bucket is mounted again.\n  End the dead mount first: spillway umount '{}'",
      place, place);
}

}  // namespace spillway::cli
