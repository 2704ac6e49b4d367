#include "fuse/session.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace spillway::kernel {
namespace {

constexpr std::array<std::string_view, 9> kNotForUsers = {
    "suid", "dev", "fsname", "subtype", "max_read", "fd", "rootmode", "user_id", "group_id"};

std::string_view name_of(std::string_view option) { return option.substr(0, option.find('=')); }

bool is_for_others(std::string_view option) {
  return option == "allow_other" || option == "allow_root";
}

// libfuse splits at commas.
std::string escaped(std::string_view text) {
  std::string out;
  for (const char letter : text) {
    if (letter == ',' || letter == '\\') out += '\\';
    out += letter;
  }
  return out;
}

ParallelDirops& device_of(void* operations) {
  return static_cast<Operations*>(operations)->parallel_dirops();
}

// pthread_cancel() ends libfuse's threads in the middle of these: they hold nothing, and are not
// noexcept.
ssize_t read_request(int device, void* buffer, std::size_t size, void* operations) {
  return device_of(operations).read(device, {static_cast<std::byte*>(buffer), size});
}

ssize_t write_answer(int device, iovec* pieces, int count, void* operations) {
  return device_of(operations).write(device, {pieces, static_cast<std::size_t>(count)});
}

}  // namespace

Result<> check_options(const std::vector<std::string>& options) {
  for (const auto& option : options) {
    const bool several = option.find(',') != std::string::npos;
    if (several || std::ranges::find(kNotForUsers, name_of(option)) != kNotForUsers.end()) {
      return fail(ErrorCode::invalid_argument, "mount option \"" + option + "\" is not allowed");
    }
  }
  return {};
}

// The kernel checks permissions itself wherever more than one user may come in.
std::string option_text(const MountSettings& settings) {
  bool others = settings.visibility == MountSettings::Visibility::everybody;
  std::string text = "fsname=" + escaped(settings.source) + ",subtype=spillway,nosuid,nodev";
  for (const auto& option : settings.options) {
    text += "," + option;
    others = others || is_for_others(option);
  }
  if (settings.access == MountSettings::Access::read_only) text += ",ro";
  if (settings.visibility == MountSettings::Visibility::everybody) text += ",allow_other";
  if (others) text += ",default_permissions";
  return text;
}

Session make_session(const MountSettings& settings, Operations& operations) {
  fuse_args arguments = FUSE_ARGS_INIT(0, nullptr);
  const auto table = Operations::table();
  const bool added = fuse_opt_add_arg(&arguments, "spillway") == 0 &&
                     fuse_opt_add_arg(&arguments, "-o") == 0 &&
                     fuse_opt_add_arg(&arguments, option_text(settings).c_str()) == 0;
  Session session(added ? fuse_session_new(&arguments, &table, sizeof(table), &operations)
                        : nullptr);
  fuse_opt_free_args(&arguments);
  return session;
}

bool route_through_operations(fuse_session* session) {
  fuse_custom_io io{};
  io.read = &read_request;
  io.writev = &write_answer;
  return fuse_session_custom_io(session, &io, fuse_session_fd(session)) == 0;
}

// libfuse does not unmount where poll() says that the device is broken. A pipe without a reader is.
bool disconnect(fuse_session* session) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return false;
  ::close(ends[0]);
  const bool done = ::dup3(ends[1], fuse_session_fd(session), O_CLOEXEC) >= 0;
  ::close(ends[1]);
  return done;
}

}  // namespace spillway::kernel
