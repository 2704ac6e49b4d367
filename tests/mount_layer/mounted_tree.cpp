#include "tests/mount_layer/mounted_tree.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>

#include "fuse/mount_table.h"

namespace spillway::test {
namespace {

// "" where mounts work here, else why they don't.
std::string why_not() {
  if (::geteuid() != 0) return "mounting in a test needs root";
  const Descriptor device(::open("/dev/fuse", O_RDWR | O_CLOEXEC));
  return device < 0 ? std::string("/dev/fuse: ") + std::strerror(errno) : "";
}

}  // namespace

int Descriptor::close() { return number_ < 0 ? 0 : ::close(std::exchange(number_, -1)); }

int error_of(long outcome) { return outcome == -1 ? errno : 0; }

void MountedTree::SetUp() {
  if (const auto reason = why_not(); !reason.empty()) GTEST_SKIP() << reason;
  std::string pattern = testing::TempDir() + "spillway-mount-XXXXXX";
  ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
  mountpoint_ = pattern;
  settings_.mountpoint = pattern;
  settings_.source = "spillway:test";
}

void MountedTree::TearDown() {
  if (mountpoint_.empty()) return;
  EXPECT_TRUE(stop().ok());
  mount_.reset();
  ::umount2(mountpoint_.c_str(), MNT_DETACH);
  EXPECT_EQ(::rmdir(mountpoint_.c_str()), 0) << std::strerror(errno);
}

void MountedTree::start() {
  auto made = kernel::make_mount(settings_, tree_, *executor_);
  ASSERT_TRUE(made.ok()) << made.error().detail;
  mount_ = std::move(made).value();
  std::promise<void> ready;
  auto is_ready = ready.get_future();
  server_ = std::thread([this, &ready] {
    outcome_.set_value(mount_->run([&ready] { ready.set_value(); }));
  });
  ASSERT_EQ(is_ready.wait_for(std::chrono::seconds(10)), std::future_status::ready);
}

Result<> MountedTree::stop() {
  if (!server_.joinable()) return {};
  mount_->stop();
  server_.join();
  return outcome_.get_future().get();
}

bool MountedTree::is_mounted() const { return kernel::mounted_at(mountpoint_).has_value(); }

std::string MountedTree::path(const std::string& name) const { return mountpoint_ + "/" + name; }

Descriptor MountedTree::open(const std::string& name, int flags, unsigned mode) const {
  return Descriptor(::open(path(name).c_str(), flags | O_CLOEXEC, mode));
}

void MountedTree::write_file(const std::string& name, const std::string& bytes) const {
  Descriptor file = open(name, O_WRONLY | O_CREAT | O_TRUNC);
  ASSERT_GE(file, 0) << name << ": " << std::strerror(errno);
  ASSERT_EQ(::write(file, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  ASSERT_EQ(file.close(), 0);
}

std::string MountedTree::read_file(const std::string& name) const {
  std::ifstream file(path(name), std::ios::binary);
  EXPECT_TRUE(file.good()) << name;
  return {std::istreambuf_iterator<char>(file), {}};
}

struct stat MountedTree::stat_of(const std::string& name) const {
  struct stat out {};
  EXPECT_EQ(::lstat(path(name).c_str(), &out), 0) << name << ": " << std::strerror(errno);
  return out;
}

int MountedTree::stat_error(const std::string& name) const {
  struct stat out {};
  return error_of(::lstat(path(name).c_str(), &out));
}

void MountedTree::fail_with(const std::string& verb, ErrorCode code) {
  tree_.set_before([=](const std::string& called, const std::string&) -> std::optional<Error> {
    if (called != verb) return std::nullopt;
    return fail(code, "as the test wants it").error();
  });
}

}  // namespace spillway::test
