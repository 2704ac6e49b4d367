// Trees, as cp, rsync, mv and rm make and unmake them.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "tests/support/mounted.h"

namespace spillway {
namespace {

namespace fs = std::filesystem;

class Tree : public testing::Test {
 protected:
  void SetUp() override {
    if (!can_mount()) GTEST_SKIP() << "/dev/fuse is not there, or not for this user";
    for (int directory = 0; directory < 3; ++directory) {
      const fs::path place = source_ / ("d" + std::to_string(directory));
      fs::create_directories(place / "below");
      for (int file = 0; file < 5; ++file) {
        const auto seed = static_cast<std::uint64_t>(directory * 10 + file);
        write_file(place / ("f" + std::to_string(file)), noise(10'000 * seed, seed));
        write_file(place / "below" / ("g" + std::to_string(file)), noise(100, seed));
      }
    }
  }
  static constexpr int kFiles = 3 * 5 * 2;

  [[nodiscard]] std::string source() const { return source_.path().string(); }
  static void expect_equal(const std::string& one, const std::string& other) {
    EXPECT_EQ(shell("diff -r '" + one + "' '" + other + "' && echo same"), "same\n");
  }

 private:
  TempDirectory source_;
};

TEST_F(Tree, CpTree) {
  Mounted mounted;
  const std::string copy = mounted / "copy";
  mounted.server().reset_requests();
  shell("cp -r '" + source() + "' '" + copy + "'");
  auto requests = mounted.server().requests();
  EXPECT_LE(requests["PutObject"], kFiles + 7) << "a file, and a marker a directory";
  EXPECT_EQ(requests["HeadObject"], 0);
  EXPECT_EQ(requests["CopyObject"], 0);
  expect_equal(source(), copy);
  mounted.unmount();
  mounted.mount();
  expect_equal(source(), copy);
}

TEST_F(Tree, RsyncTwiceSendsNothing) {
  Mounted mounted;
  const std::string copy = mounted / "copy";
  const std::string rsync = "rsync -a --stats '" + source() + "/' '" + copy + "/'";
  shell(rsync);
  expect_equal(source(), copy);
  // The directories' times are still on their way.
  ASSERT_TRUE(eventually([&] { return xattr(mounted.root(), "user.b2.pending_files") == "0"; }));
  mounted.server().reset_requests();
  const std::string second = shell(rsync);
  EXPECT_TRUE(second.contains("Number of regular files transferred: 0")) << second;
  auto requests = mounted.server().requests();
  EXPECT_EQ(requests["PutObject"], 0);
  EXPECT_EQ(requests["CopyObject"], 0);
}

TEST_F(Tree, RsyncLeavesOneVersionAFile) {
  Mounted mounted;
  shell("rsync -a '" + source() + "/' '" + (mounted / "copy").string() + "/'");
  int files = 0;
  for (const auto& version : mounted.server().versions()) {
    const auto key = version.at("key").get<std::string>();
    EXPECT_EQ(version.at("hide_marker"), false) << key;
    if (!key.ends_with('/')) ++files;
  }
  EXPECT_EQ(files, kFiles);
}

TEST_F(Tree, MoveFile) {
  Mounted mounted;
  const std::string content = noise(40'000);
  ASSERT_EQ(try_to_write(mounted / "from.bin", content), 0);
  shell("mkdir '" + (mounted / "below").string() + "'");
  shell("mv '" + (mounted / "from.bin").string() + "' '" + (mounted / "below/to.bin").string() +
        "'");
  EXPECT_FALSE(fs::exists(mounted / "from.bin"));
  EXPECT_EQ(read_file(mounted / "below/to.bin"), content);
  EXPECT_EQ(xattr(mounted / "below/to.bin", "user.b2.location"), "below/to.bin");
  mounted.unmount();
  mounted.mount();
  EXPECT_FALSE(fs::exists(mounted / "from.bin"));
  EXPECT_EQ(read_file(mounted / "below/to.bin"), content);
}

TEST_F(Tree, RemoveTree) {
  Mounted mounted;
  shell("cp -r '" + source() + "' '" + (mounted / "copy").string() + "'");
  shell("rm -r '" + (mounted / "copy").string() + "'");
  EXPECT_TRUE(fs::is_empty(mounted.root()));
  mounted.unmount();
  mounted.mount();
  EXPECT_TRUE(fs::is_empty(mounted.root()));
}

TEST_F(Tree, ListingShowsWhatCpWrote) {
  Mounted mounted;
  shell("cp -r '" + source() + "' '" + (mounted / "copy").string() + "'");
  const std::string list = shell("ls -lR '" + (mounted / "copy").string() + "' | grep -c '^-rw'");
  EXPECT_EQ(list, std::to_string(kFiles) + "\n");
  shell("df '" + mounted.root().string() + "'");
  EXPECT_EQ(shell("rmdir '" + (mounted / "copy/d0").string() + "' 2>/dev/null || echo full"),
            "full\n");
}

}  // namespace
}  // namespace spillway
