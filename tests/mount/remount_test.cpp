// What a mount learned of metadata is still known after an unmount: LISTs, and no HEAD.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>

#include "tests/support/mounted.h"

namespace spillway {
namespace {

namespace fs = std::filesystem;

class Remount : public testing::Test {
 protected:
  void SetUp() override {
    if (!can_mount()) GTEST_SKIP() << "/dev/fuse is not there, or not for this user";
  }
  static void remount(Mounted& mounted) {
    ASSERT_EQ(mounted.unmount(), 0);
    mounted.mount();
    mounted.server().reset_requests();
  }
  // As somebody else did it, with a directory in between that has no marker.
  static void put_foreign(Mounted& mounted, int files) {
    TempDirectory place;
    write_file(place / "file", "content");
    for (int i = 0; i < files; ++i) {
      const auto name = "theirs/implied/" + std::to_string(i);
      const auto put =
          mounted.command({"put", "--shadow", place / "shadow", place / "file", name});
      ASSERT_EQ(put.exit_code, 0) << put.errors;
    }
  }
  static std::string listing(const Mounted& mounted) {
    return shell("cd " + mounted.root().string() +
                 " && find . -mindepth 1 -printf '%p %s %m %U %T@\\n' | sort");
  }
};

TEST_F(Remount, CostsListsAndNoHead) {
  Mounted mounted;
  TempDirectory source;
  for (const auto* directory : {"a", "a/b", "c"}) {
    fs::create_directory(source / directory);
    for (int i = 0; i < 5; ++i) {
      const auto file = source / directory / std::to_string(i);
      write_file(file, std::string("content of ") + directory);
      fs::permissions(file, fs::perms(0640));
    }
  }
  const std::string copy =
      "rsync -a --stats " + source.path().string() + "/ " + mounted.root().string() + "/ours/";
  shell(copy);
  put_foreign(mounted, 3);
  // The first look at what others stored costs its HEADs.
  ASSERT_TRUE(eventually([&] { return listing(mounted).contains("theirs/implied/2"); }));
  const std::string before = listing(mounted);

  remount(mounted);
  EXPECT_EQ(listing(mounted), before);
  const auto after_remount = mounted.server().requests();
  EXPECT_FALSE(after_remount.contains("HeadObject")) << after_remount.at("HeadObject");
  EXPECT_TRUE(after_remount.contains("ListObjectsV2"));

  remount(mounted);
  EXPECT_TRUE(shell(copy).contains("Number of regular files transferred: 0"));
  const auto second_copy = mounted.server().requests();
  EXPECT_FALSE(second_copy.contains("HeadObject"));
  EXPECT_FALSE(second_copy.contains("PutObject"));
  EXPECT_FALSE(second_copy.contains("CopyObject"));
  EXPECT_TRUE(mounted.log("attribute_cache_failed").empty());
}

// readdir gives attributes along with the names: of directories they must be the markers' too.
TEST_F(Remount, DirectoriesOfAListingHaveTheirOwnAttributes) {
  Mounted mounted;
  shell("cd " + mounted.root().string() +
        " && mkdir -m 700 top top/a top/b && touch -d @1600000000 top/a top/b");
  for (int round = 0; round < 2; ++round) {
    const auto text = shell("ls -l --time-style=+%s " + (mounted / "top").string());
    EXPECT_TRUE(text.contains(" 1600000000 a\n")) << text;
    EXPECT_TRUE(text.contains(" 1600000000 b\n")) << text;
    EXPECT_EQ(text.find("drwxr-xr-x"), std::string::npos) << text;
    ASSERT_EQ(mounted.unmount(), 0);
    // The second round without what the first one learned.
    fs::remove(mounted.shadow() / "attributes.sqlite");
    mounted.mount();
  }
}

TEST_F(Remount, WorksWithoutTheCacheAndWithADamagedOne) {
  Mounted mounted;
  shell("mkdir " + (mounted / "d").string() + " && chmod 750 " + (mounted / "d").string() +
        " && echo x > " + (mounted / "d/f").string() + " && touch -d @1600000000 " +
        (mounted / "d/f").string());
  const std::string before = listing(mounted);
  const fs::path cache = mounted.shadow() / "attributes.sqlite";
  ASSERT_EQ(mounted.unmount(), 0);
  ASSERT_TRUE(fs::exists(cache));
  fs::remove(cache);
  mounted.mount();
  EXPECT_EQ(listing(mounted), before);
  EXPECT_TRUE(mounted.log("attribute_cache_failed").empty());

  ASSERT_EQ(mounted.unmount(), 0);
  write_file(cache, std::string(10'000, 'x'));
  mounted.mount();
  EXPECT_EQ(listing(mounted), before);
  EXPECT_EQ(mounted.log("attribute_cache_failed").size(), 1U);
  EXPECT_EQ(mounted.log("recovered_after_crash").size(), 0U);
  const auto verified = mounted.command({"shadow", "verify", mounted.shadow()});
  EXPECT_EQ(verified.exit_code, 0) << verified.errors;
  EXPECT_EQ(verified.output, "");
}

}  // namespace
}  // namespace spillway
