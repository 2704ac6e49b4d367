// Neither B2 nor the shadow takes the bytes: nothing is pretended, and the reason is told.
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/support/mounted.h"

namespace spillway {
namespace {

class TotalFailure : public testing::Test {
 protected:
  void SetUp() override {
    if (!can_mount()) GTEST_SKIP() << "/dev/fuse is not there, or not for this user";
  }

  static void expect_structured(const Mounted& mounted, const std::string& error_code) {
    const auto text = xattr(mounted.root(), "user.b2.last_error");
    ASSERT_TRUE(text.has_value());
    const auto error = nlohmann::json::parse(*text);
    EXPECT_EQ(error.at("error_code"), error_code);
    EXPECT_FALSE(error.at("error").get<std::string>().empty());
    EXPECT_FALSE(error.at("detail").get<std::string>().empty());
    EXPECT_TRUE(error.at("hints").is_array());

    const auto lines = mounted.log("upload_failed");
    ASSERT_FALSE(lines.empty());
    EXPECT_EQ(lines.back().at("level"), "error");
    EXPECT_EQ(lines.back().at("error_code"), error_code);
    EXPECT_TRUE(lines.back().contains("hints"));
  }
};

TEST_F(TotalFailure, TotalFailureIsStructured) {
  Mounted mounted({.arguments = {"--shadow-limit", "1000"}});
  ASSERT_EQ(try_to_write(mounted / "kept.txt", "old"), 0);
  mounted.server().revoke_key();
  EXPECT_EQ(try_to_write(mounted / "lost.bin", noise(50'000)), ENOSPC);
  expect_structured(mounted, "auth_error");
  EXPECT_NE(xattr(mounted / "lost.bin", "user.b2.storage"), "b2");
  EXPECT_NE(xattr(mounted / "lost.bin", "user.b2.storage"), "local");
  mounted.server().restore_key();
  EXPECT_EQ(read_file(mounted / "kept.txt"), "old");
}

TEST_F(TotalFailure, OldContentSurvives) {
  Mounted mounted({.arguments = {"--shadow-limit", "1000"}});
  const std::string old = noise(20'000, 1);
  ASSERT_EQ(try_to_write(mounted / "file.bin", old), 0);
  const int fault = mounted.server().fault_for_ever("PutObject", {{"cap", "storage"}});
  EXPECT_EQ(try_to_write(mounted / "file.bin", noise(50'000, 2)), ENOSPC);
  expect_structured(mounted, "cap_exceeded");
  mounted.server().remove("faults/" + std::to_string(fault));
  EXPECT_TRUE(eventually([&] { return read_file(mounted / "file.bin") == old; }));
}

// The shadow on a file system of its own that is too small.
class FullDisk {
 public:
  FullDisk() {
    mounted_ =
        ::mount("spillway-test", directory_.path().c_str(), "tmpfs", 0, "size=1m,mode=0700") == 0;
  }
  ~FullDisk() {
    if (mounted_) umount2(directory_.path().c_str(), MNT_DETACH);
  }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;
  [[nodiscard]] bool mounted() const { return mounted_; }
  [[nodiscard]] std::string path() const { return directory_.path(); }

 private:
  TempDirectory directory_;
  bool mounted_ = false;
};

TEST_F(TotalFailure, FullShadow) {
  const FullDisk disk;
  if (!disk.mounted()) GTEST_SKIP() << "mounting a tmpfs needs root";
  Mounted mounted({.arguments = {"--shadow", disk.path(), "--shadow-reserve", "0"}});
  EXPECT_EQ(try_to_write(mounted / "well.bin", noise(3'000'000)), 0) << "B2 takes it";
  mounted.server().kill();
  EXPECT_EQ(try_to_write(mounted / "lost.bin", noise(3'000'000)), ENOSPC);
  expect_structured(mounted, "network_error");
  EXPECT_EQ(try_to_write(mounted / "small.txt", "fits"), 0) << "what fits is kept";
  EXPECT_EQ(xattr(mounted / "small.txt", "user.b2.storage"), "local");
  ASSERT_EQ(mounted.unmount(), 0);
}

}  // namespace
}  // namespace spillway
