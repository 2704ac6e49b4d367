// The disk that forgets, by itself: that it keeps what was synced and loses what was not. On it the
// tests of power loss stand.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

#include "tests/support/forgetful_disk.h"
#include "tests/support/mounted.h"

namespace spillway {
namespace {

namespace fs = std::filesystem;

class ForgetfulDiskTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!can_mount()) GTEST_SKIP() << "/dev/fuse is not there, or not for this user";
    disk_ = std::make_unique<ForgetfulDisk>();
    ASSERT_EQ(mkdir(path("one").c_str(), 0700), 0);
    ASSERT_EQ(mkdir(path("two").c_str(), 0700), 0);
    sync("");
  }

  [[nodiscard]] std::string path(const std::string& name) const { return *disk_ / name; }
  void put(const std::string& name, const std::string& content) const {
    ASSERT_EQ(try_to_write(path(name), content), 0) << name;
  }
  void put_durably(const std::string& name, const std::string& content) const {
    put(name, content);
    sync(name);
    sync(fs::path(name).parent_path());
  }
  void sync(const std::string& name) const {
    const int descriptor = open(path(name).c_str(), O_RDONLY | O_CLOEXEC);
    ASSERT_GE(descriptor, 0) << name;
    EXPECT_EQ(fsync(descriptor), 0) << name;
    close(descriptor);
  }
  void rename(const std::string& from, const std::string& to) const {
    ASSERT_EQ(std::rename(path(from).c_str(), path(to).c_str()), 0) << from << " " << to;
  }
  void lose_power(std::uint64_t seed = 0) const {
    disk_->cut_power(seed);
    disk_->restore_power();
  }
  [[nodiscard]] std::string text(const std::string& name) const { return read_file(path(name)); }
  [[nodiscard]] bool is_there(const std::string& name) const { return fs::exists(path(name)); }
  [[nodiscard]] const ForgetfulDisk& disk() const { return *disk_; }

 private:
  std::unique_ptr<ForgetfulDisk> disk_;
};

TEST_F(ForgetfulDiskTest, BytesThatWereNotSyncedAreGone) {
  put_durably("one/file", "synced");
  put("one/file", "not synced");
  put_durably("one/longer", "synced");
  ASSERT_EQ(truncate(path("one/longer").c_str(), 2), 0);
  EXPECT_EQ(text("one/file"), "not synced");
  lose_power();
  EXPECT_EQ(text("one/file"), "synced");
  EXPECT_EQ(text("one/longer"), "synced");
}

TEST_F(ForgetfulDiskTest, ASyncedFileWithoutASyncedNameIsGone) {
  put("one/nameless", "synced");
  sync("one/nameless");
  put("one/hollow", "not synced");
  sync("one");
  put("one/late", "synced");
  sync("one/late");
  lose_power();
  EXPECT_EQ(text("one/nameless"), "synced");
  EXPECT_TRUE(is_there("one/hollow"));
  EXPECT_EQ(text("one/hollow"), "");
  EXPECT_FALSE(is_there("one/late"));
}

TEST_F(ForgetfulDiskTest, ADirectoryWithoutASyncedNameIsGoneWithAllInIt) {
  ASSERT_EQ(mkdir(path("new").c_str(), 0700), 0);
  put_durably("new/file", "synced");
  lose_power();
  EXPECT_FALSE(is_there("new"));
}

TEST_F(ForgetfulDiskTest, ARenameIsDoneOrNot) {
  for (const char* name : {"back", "by-source", "by-target"}) {
    put_durably("one/" + std::string(name), name);
  }
  rename("one/by-source", "two/by-source");
  sync("one");
  rename("one/by-target", "two/by-target");
  sync("two");
  rename("one/back", "two/back");
  lose_power();
  EXPECT_EQ(text("one/back"), "back");
  EXPECT_FALSE(is_there("two/back"));
  for (const std::string name : {"by-source", "by-target"}) {
    EXPECT_FALSE(is_there("one/" + name));
    EXPECT_EQ(text("two/" + name), name);
  }
}

TEST_F(ForgetfulDiskTest, ARemovalThatWasNotSyncedIsUndone) {
  put_durably("one/back", "back");
  put_durably("one/gone", "gone");
  ASSERT_EQ(unlink(path("one/gone").c_str()), 0);
  sync("one");
  ASSERT_EQ(unlink(path("one/back").c_str()), 0);
  lose_power();
  EXPECT_EQ(text("one/back"), "back");
  EXPECT_FALSE(is_there("one/gone"));
}

TEST_F(ForgetfulDiskTest, WithoutPowerNothingWorksAndOldFilesStayBroken) {
  put_durably("one/file", "synced");
  const int file = open(path("one/file").c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_GE(file, 0);
  disk().cut_power_after(1);
  EXPECT_EQ(fsync(file), 0) << "the last one that is answered";
  EXPECT_FALSE(disk().has_power());
  EXPECT_EQ(try_to_write(path("one/other"), "x"), EIO);
  disk().restore_power();
  EXPECT_EQ(write(file, "x", 1), -1);
  EXPECT_EQ(fsync(file), -1);
  close(file);
  EXPECT_EQ(text("one/file"), "synced");
}

TEST_F(ForgetfulDiskTest, SkippedSyncsAreAnsweredAndDoNothing) {
  disk().skip_syncs("2");
  put_durably("one/first", "first");  // without its name
  put("one/second", "second");
  sync("one/second");
  lose_power();
  EXPECT_FALSE(is_there("one/first"));
  disk().skip_syncs("files");
  put_durably("one/third", "third");
  disk().skip_syncs("directories");
  put_durably("one/fourth", "fourth");
  lose_power();
  EXPECT_TRUE(is_there("one/third"));
  EXPECT_EQ(text("one/third"), "");
  EXPECT_FALSE(is_there("one/fourth"));
}

// With a seed each block and each name goes its own way.
TEST_F(ForgetfulDiskTest, ALossByChanceLosesSome) {
  constexpr std::size_t kBlock = 4096;
  constexpr std::size_t kBlocks = 64;
  put_durably("one/file", std::string(kBlocks * kBlock, 'a'));
  put("one/file", std::string(kBlocks * kBlock, 'b'));
  for (std::size_t number = 0; number < kBlocks; ++number)
    put("two/" + std::to_string(number), "x");
  lose_power(7);
  const std::string left = text("one/file");
  ASSERT_EQ(left.size(), kBlocks * kBlock);
  const auto kept = static_cast<std::size_t>(std::ranges::count(left, 'b'));
  EXPECT_EQ(kept % kBlock, 0U);
  EXPECT_GT(kept, 0U);
  EXPECT_LT(kept, left.size());
  const auto names = std::distance(fs::directory_iterator(path("two")), {});
  EXPECT_GT(names, 0);
  EXPECT_LT(names, static_cast<std::ptrdiff_t>(kBlocks));
}

}  // namespace
}  // namespace spillway
