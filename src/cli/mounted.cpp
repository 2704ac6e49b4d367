#include "src/cli/mounted.h"

#include <spdlog/fmt/fmt.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

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
  state.pending_files = number_in(read_attribute(mount.path, "user.b2.pending_files"));
  state.pending_bytes = number_in(read_attribute(mount.path, "user.b2.pending_bytes"));
  state.last_error = json_in(read_attribute(mount.path, "user.b2.last_error"));
  state.status = json_in(read_attribute(mount.path, "user.b2.status"));
  return state;
}

}  // namespace spillway::cli
