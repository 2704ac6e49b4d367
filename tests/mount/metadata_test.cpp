// Metadata of what is stored already: durable when the call returns, one version for many changes.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>

#include "tests/support/mounted.h"

namespace spillway {
namespace {

namespace fs = std::filesystem;

class StoredMetadata : public testing::Test {
 protected:
  void SetUp() override {
    if (!can_mount()) GTEST_SKIP() << "/dev/fuse is not there, or not for this user";
  }
  static std::string look(const fs::path& path) {
    return shell("stat -c '%a %u:%g %Y %s' " + path.string());
  }
  // Nothing waits to go to B2.
  static bool is_settled(const fs::path& root) { return xattr(root, "user.b2.pending_files") == "0"; }
  // Versions of this key that are in the bucket, hide markers among them.
  static std::size_t versions_of(const Mounted& mounted, const std::string& key) {
    std::size_t count = 0;
    for (const auto& version : const_cast<Mounted&>(mounted).server().versions()) {
      count += version.at("key") == key ? 1U : 0U;
    }
    return count;
  }
  static int count(Mounted& mounted, const std::string& kind) {
    const auto requests = mounted.server().requests();
    const auto found = requests.find(kind);
    return found == requests.end() ? 0 : found->second;
  }
};

TEST_F(StoredMetadata, ManyChangesAreOneCopy) {
  Mounted mounted;
  const auto file = mounted / "file";
  ASSERT_EQ(try_to_write(file, noise(1000)), 0);
  mounted.server().reset_requests();
  shell("chmod 640 " + file.string() + " && chown 12:34 " + file.string() +
        " && touch -c -d @1500000000 " + file.string() + " && setfattr -n user.mood -v fine " +
        file.string());
  EXPECT_EQ(look(file), "640 12:34 1500000000 1000\n");
  EXPECT_EQ(xattr(file, "user.mood"), "fine");
  ASSERT_TRUE(eventually([&] { return is_settled(mounted.root()); }));
  EXPECT_EQ(count(mounted, "CopyObject"), 1);
  EXPECT_EQ(versions_of(mounted, "file"), 1U);
  EXPECT_EQ(look(file), "640 12:34 1500000000 1000\n");
  EXPECT_EQ(read_file(file), noise(1000));
}

TEST_F(StoredMetadata, OfADirectoryCostsOneMarker) {
  Mounted mounted;
  const auto directory = mounted / "directory";
  fs::create_directory(directory);
  mounted.server().reset_requests();
  shell("chmod 700 " + directory.string() + " && chown 12:34 " + directory.string() +
        " && touch -d @1500000000 " + directory.string());
  ASSERT_TRUE(eventually([&] { return is_settled(mounted.root()); }));
  EXPECT_EQ(count(mounted, "PutObject"), 1);
  EXPECT_EQ(versions_of(mounted, "directory/"), 1U);
  EXPECT_TRUE(look(directory).starts_with("700 12:34 1500000000"));
}

TEST_F(StoredMetadata, IsThereAfterKillAndRemount) {
  Mounted mounted;
  const auto file = mounted / "file";
  ASSERT_EQ(try_to_write(file, noise(1000)), 0);
  shell("chmod 600 " + file.string() + " && touch -d @1500000000 " + file.string());
  mounted.process().send_signal(SIGKILL);
  static_cast<void>(mounted.process().wait());
  shell("fusermount3 -u -z " + mounted.root().string());
  mounted.mount();
  EXPECT_EQ(look(file).substr(0, 3), "600");
  ASSERT_TRUE(eventually([&] { return is_settled(mounted.root()); }));
  EXPECT_TRUE(look(file).starts_with("600 ")) << look(file);
  EXPECT_TRUE(look(file).ends_with("1500000000 1000\n")) << look(file);
  EXPECT_EQ(versions_of(mounted, "file"), 1U);
}

TEST_F(StoredMetadata, ChangedInAnOutageGoesToB2AfterIt) {
  Mounted mounted;
  const auto file = mounted / "file";
  ASSERT_EQ(try_to_write(file, noise(1000)), 0);
  mounted.server().kill();
  shell("chmod 600 " + file.string());
  EXPECT_EQ(look(file).substr(0, 3), "600");
  EXPECT_TRUE(eventually([&] { return !mounted.log("metadata_waits").empty(); }));
  EXPECT_EQ(xattr(file, "user.b2.storage"), "b2");
  mounted.server().start();
  ASSERT_TRUE(eventually([&] { return is_settled(mounted.root()); }, std::chrono::seconds(40)));
  EXPECT_EQ(look(file).substr(0, 3), "600");
  EXPECT_EQ(versions_of(mounted, "file"), 1U);
}

TEST_F(StoredMetadata, CloseAndUnmountAreBarriers) {
  Mounted mounted;
  const auto file = mounted / "file";
  ASSERT_EQ(try_to_write(file, "x"), 0);
  mounted.server().reset_requests();
  shell("touch -d @1400000000 " + file.string());  // opens it for writing, and closes
  EXPECT_EQ(count(mounted, "CopyObject"), 1);
  shell("chmod 600 " + file.string());
  EXPECT_EQ(mounted.unmount(), 0);
  EXPECT_EQ(count(mounted, "CopyObject"), 2);
  EXPECT_EQ(versions_of(mounted, "file"), 1U);
  mounted.mount();
  EXPECT_TRUE(look(file).starts_with("600 ")) << look(file);
}

TEST_F(StoredMetadata, GoesAlongWithARename) {
  Mounted mounted;
  ASSERT_EQ(try_to_write(mounted / "file", "x"), 0);
  shell("cd " + mounted.root().string() + " && chmod 600 file && mv file other");
  ASSERT_TRUE(eventually([&] { return is_settled(mounted.root()); }));
  EXPECT_TRUE(look(mounted / "other").starts_with("600 "));
  EXPECT_EQ(mounted.unmount(), 0);
  mounted.mount();
  EXPECT_TRUE(look(mounted / "other").starts_with("600 "));
}

}  // namespace
}  // namespace spillway
