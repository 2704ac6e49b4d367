#include "tests/support/forgetful_disk.h"

#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/xattr.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace spillway {

namespace {

[[noreturn]] void give_up(const std::string& what) {
  throw std::runtime_error("forgetful_fs: " + what + ": " + std::strerror(errno));
}

}  // namespace

ForgetfulDisk::ForgetfulDisk() : root_(directory_ / "disk") {
  std::filesystem::create_directory(root_);
  process_ = std::make_unique<Process>(Command{.arguments = {FORGETFUL_FS_PROGRAM, root_},
                                               .environment = {},
                                               .without = {},
                                               .directory = {},
                                               .input = {}});
  if (!process_->wait_for_text("mounted")) {
    throw std::runtime_error("forgetful_fs did not start: " + process_->errors());
  }
}

ForgetfulDisk::~ForgetfulDisk() {
  EXPECT_EQ(process_->stop(), 0) << process_->errors();
  EXPECT_FALSE(process_->errors().contains("Sanitizer")) << process_->errors();
  umount2(root_.c_str(), MNT_DETACH);  // where it was killed
}

void ForgetfulDisk::tell(const char* name, const std::string& value) const {
  if (setxattr(root_.c_str(), name, value.data(), value.size(), 0) != 0) give_up(name);
}

std::string ForgetfulDisk::ask(const char* name) const {
  std::array<char, 64> value{};
  const ssize_t size = getxattr(root_.c_str(), name, value.data(), value.size());
  if (size < 0) give_up(name);
  return {value.data(), static_cast<std::size_t>(size)};
}

void ForgetfulDisk::cut_power(std::uint64_t seed) const {
  tell("user.forgetful.power", "off " + std::to_string(seed));
}

void ForgetfulDisk::cut_power_after(std::uint64_t syncs) const {
  tell("user.forgetful.off_after", std::to_string(syncs));
}

void ForgetfulDisk::restore_power() const {
  tell("user.forgetful.power", "on");
}

bool ForgetfulDisk::has_power() const {
  return ask("user.forgetful.power") == "on";
}

void ForgetfulDisk::skip_syncs(const std::string& which) const {
  tell("user.forgetful.skip", which);
}

std::uint64_t ForgetfulDisk::syncs() const {
  return std::stoull(ask("user.forgetful.syncs"));
}

}  // namespace spillway
