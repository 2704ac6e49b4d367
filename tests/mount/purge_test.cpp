// --delete=purge on a real mount: what rm and rmdir leave in the bucket.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "tests/support/mounted.h"

namespace spillway {
namespace {

namespace fs = std::filesystem;

class PurgedBucket : public testing::Test {
 protected:
  void SetUp() override {
    if (!can_mount()) GTEST_SKIP() << "/dev/fuse is not there, or not for this user";
  }
  static MountOptions purging() { return {.arguments = {"--delete", "purge"}}; }

  // The RELEASE of a file comes a moment after its close(), and takes the versions along.
  static bool is_empty(Mounted& mounted) {
    return eventually([&] { return mounted.server().versions().empty(); }) &&
           mounted.log("purge_incomplete").empty();
  }
};

TEST_F(PurgedBucket, HasNoVersionOfAFileThatWasRemoved) {
  Mounted mounted(purging());
  for (const char* content : {"first", "second", "third"}) {
    ASSERT_EQ(try_to_write(mounted / "file", content), 0);
  }
  ASSERT_EQ(mounted.server().versions().size(), 3U);
  shell("rm '" + (mounted / "file").string() + "'");
  EXPECT_TRUE(is_empty(mounted)) << mounted.server().versions() << mounted.log_text();
}

TEST_F(PurgedBucket, HasNothingOfATreeThatWasRemoved) {
  Mounted mounted(purging());
  fs::create_directories(mounted / "d/e");
  ASSERT_EQ(try_to_write(mounted / "d/e/file", "content"), 0);
  shell("rm -r '" + (mounted / "d").string() + "'");
  EXPECT_TRUE(is_empty(mounted)) << mounted.server().versions() << mounted.log_text();
}

TEST_F(PurgedBucket, KeepsARemovedFileForWhoHasItOpen) {
  Mounted mounted(purging());
  const std::string content = noise(3'000'000);
  ASSERT_EQ(try_to_write(mounted / "file", content), 0);
  const int descriptor = open((mounted / "file").c_str(), O_RDONLY);
  ASSERT_GE(descriptor, 0);
  ASSERT_EQ(unlink((mounted / "file").c_str()), 0);
  std::string read(content.size(), '\0');
  std::size_t done = 0;
  while (done < read.size()) {
    const auto got = pread(descriptor, read.data() + done, read.size() - done,
                           static_cast<off_t>(done));
    ASSERT_GT(got, 0);
    done += static_cast<std::size_t>(got);
  }
  EXPECT_TRUE(read == content);
  close(descriptor);
  EXPECT_TRUE(is_empty(mounted)) << mounted.server().versions() << mounted.log_text();
}

}  // namespace
}  // namespace spillway
