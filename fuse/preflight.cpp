#include "fuse/preflight.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <sstream>

#include "fuse/mount_table.h"

namespace spillway::kernel {
namespace {

constexpr const char* kDevice = "/dev/fuse";
constexpr const char* kProgram = "fusermount3";
constexpr const char* kConfiguration = "/etc/fuse.conf";

bool is_root() { return ::geteuid() == 0; }

std::unexpected<Error> refusal(int system_errno, std::string text) {
  Error error;
  error.code = ErrorCode::local_error;
  error.system_errno = system_errno;
  error.detail = std::move(text);
  return fail(std::move(error));
}

std::unexpected<Error> cannot_use(const std::string& mountpoint, int system_errno) {
  if (system_errno == ENOENT) {
    return refusal(ENOENT, mountpoint + " does not exist: create the directory first");
  }
  if (system_errno == ENOTCONN) {
    return refusal(ENOTCONN, mountpoint + " is a mount whose program has died: take it away with "
                             "\"fusermount3 -u " + mountpoint + "\" (root: umount)");
  }
  return refusal(system_errno, mountpoint + ": " + std::strerror(system_errno));
}

bool has_program(const char* name) {
  const char* search = std::getenv("PATH");
  std::istringstream directories(std::string(search == nullptr ? "" : search) + ":/usr/bin:/bin");
  for (std::string directory; std::getline(directories, directory, ':');) {
    if (::access((directory + "/" + name).c_str(), X_OK) == 0) return true;
  }
  return false;
}

Result<> check_device() {
  if (::access(kDevice, F_OK) != 0) {
    return refusal(errno, "there is no /dev/fuse: load the kernel module with \"modprobe fuse\"; a "
                          "container needs --device /dev/fuse --cap-add SYS_ADMIN");
  }
  if (::access(kDevice, R_OK | W_OK) != 0) {
    return refusal(errno, "/dev/fuse may not be opened by this user: its mode should be 0666");
  }
  return {};
}

Result<> check_ordinary_user(const MountSettings& settings) {
  if (!has_program(kProgram)) {
    return refusal(ENOENT, "fusermount3 is missing, without which only root can mount: install the "
                           "package fuse3");
  }
  if (settings.visibility != MountSettings::Visibility::everybody) return {};
  std::ifstream file(kConfiguration);
  const bool readable = file.good();  // fusermount3 may read what this user may not
  if (readable && !allows_other(std::string(std::istreambuf_iterator<char>(file), {}))) {
    return refusal(EPERM, "--allow-other is for root only, unless /etc/fuse.conf has a line "
                          "\"user_allow_other\"");
  }
  return {};
}

}  // namespace

bool allows_other(const std::string& fuse_conf) {
  std::istringstream lines(fuse_conf);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line.substr(0, line.find('#')));
    std::string first;
    std::string second;
    words >> first >> second;
    if (first == "user_allow_other" && second.empty()) return true;
  }
  return false;
}

Result<std::string> check_mountpoint(const std::string& mountpoint) {
  struct stat found {};
  if (::stat(mountpoint.c_str(), &found) != 0) return cannot_use(mountpoint, errno);
  if (!S_ISDIR(found.st_mode)) {
    return refusal(ENOTDIR, mountpoint + " is not a directory");
  }
  const std::unique_ptr<char, decltype(&std::free)> absolute(
      ::realpath(mountpoint.c_str(), nullptr), &std::free);
  if (!absolute) return cannot_use(mountpoint, errno);
  const auto mounted = mounted_at(absolute.get());
  if (mounted && mounted->type.starts_with("fuse.")) {
    return refusal(EBUSY, mountpoint + " is mounted already (" + mounted->source + ")");
  }
  if (!is_root() && ::access(absolute.get(), W_OK) != 0) {
    return refusal(errno, mountpoint + " belongs to somebody else: an ordinary user can mount only "
                          "on a directory that he may write to");
  }
  return std::string(absolute.get());
}

Result<> check_machine(const MountSettings& settings) {
  TRY(check_device());
  if (!is_root()) TRY(check_ordinary_user(settings));
  return {};
}

}  // namespace spillway::kernel
