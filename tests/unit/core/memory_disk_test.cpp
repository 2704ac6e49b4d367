// The disk that the shadow is tested on loses what was not synced, and nothing else.
#include "tests/support/memory_disk.h"

#include <gtest/gtest.h>

#include <set>
#include <span>
#include <string>

namespace spillway {
namespace {

std::span<const std::byte> bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

class MemoryDiskTest : public ::testing::Test {
 protected:
  std::unique_ptr<DiskFile> write(const std::string& name, std::string_view text) {
    auto file = disk_.create(name).value();
    EXPECT_TRUE(file->write_at(0, bytes(text)).ok());
    return file;
  }

  MemoryDisk disk_;
};

TEST_F(MemoryDiskTest, BytesNeedASyncAndNamesTheirDirectorys) {
  ASSERT_TRUE(write("both", "text")->sync().ok());
  ASSERT_TRUE(disk_.sync_directory("").ok());
  ASSERT_TRUE(write("bytes only", "text")->sync().ok());
  (void)write("nothing", "text");
  disk_.power_cut(0);
  EXPECT_EQ(disk_.files(), std::vector<std::string>{"both"});
  EXPECT_EQ(disk_.content("both"), "text");
}

TEST_F(MemoryDiskTest, ANameWithoutBytesIsAnEmptyFile) {
  (void)write("a", "text");
  ASSERT_TRUE(disk_.sync_directory("").ok());
  disk_.power_cut(0);
  EXPECT_EQ(disk_.content("a"), "");
}

TEST_F(MemoryDiskTest, SeedOneKeepsEverything) {
  ASSERT_TRUE(disk_.make_directory("d").ok());
  (void)write("d/a", std::string(10'000, 'x'));
  disk_.power_cut(1);
  EXPECT_EQ(disk_.content("d/a"), std::string(10'000, 'x'));
}

TEST_F(MemoryDiskTest, UnsyncedBlocksAreLostKeptOrTorn) {
  std::set<std::string> seen;
  for (std::uint64_t seed = 2; seed < 200; ++seed) {
    MemoryDisk disk;
    auto file = disk.create("a").value();
    ASSERT_TRUE(file->write_at(0, bytes(std::string(8'192, 'o'))).ok());
    ASSERT_TRUE(file->sync().ok());
    ASSERT_TRUE(disk.sync_directory("").ok());
    ASSERT_TRUE(file->write_at(0, bytes(std::string(8'192, 'n'))).ok());
    disk.power_cut(seed);
    const std::string left = *disk.content("a");
    ASSERT_EQ(left.size(), 8'192U);
    std::string pattern;
    for (const char c : left) {
      if (pattern.empty() || pattern.back() != c) pattern += c;
    }
    seen.insert(pattern);
  }
  for (const auto* pattern : {"o", "n", "on", "no", "nono"}) EXPECT_TRUE(seen.contains(pattern));
}

TEST_F(MemoryDiskTest, ARenameIsOneChange) {
  ASSERT_TRUE(disk_.make_directory("x").ok());
  ASSERT_TRUE(disk_.make_directory("y").ok());
  ASSERT_TRUE(disk_.sync_directory("").ok());
  ASSERT_TRUE(write("x/a", "text")->sync().ok());
  ASSERT_TRUE(disk_.sync_directory("x").ok());
  ASSERT_TRUE(disk_.rename("x/a", "y/b").ok());
  disk_.power_cut(0);
  EXPECT_EQ(disk_.files(), std::vector<std::string>{"x/a"});
  for (const std::string synced : {"x", "y"}) {
    ASSERT_TRUE(disk_.rename("x/a", "y/b").ok());
    ASSERT_TRUE(disk_.sync_directory(synced).ok());
    disk_.power_cut(0);
    EXPECT_EQ(disk_.files(), std::vector<std::string>{"y/b"});
    ASSERT_TRUE(disk_.rename("y/b", "x/a").ok());
    ASSERT_TRUE(disk_.sync_directory("x").ok());
  }
}

TEST_F(MemoryDiskTest, WhatLiesInADirectoryThatIsLostIsLost) {
  ASSERT_TRUE(disk_.make_directory("d").ok());
  ASSERT_TRUE(write("d/a", "text")->sync().ok());
  ASSERT_TRUE(disk_.sync_directory("d").ok());
  disk_.power_cut(0);
  EXPECT_TRUE(disk_.files().empty());
}

TEST_F(MemoryDiskTest, ARemovedNameComesBackUnlessSynced) {
  ASSERT_TRUE(write("a", "text")->sync().ok());
  ASSERT_TRUE(disk_.sync_directory("").ok());
  ASSERT_TRUE(disk_.remove("a").ok());
  disk_.power_cut(0);
  EXPECT_EQ(disk_.content("a"), "text");
  ASSERT_TRUE(disk_.remove("a").ok());
  ASSERT_TRUE(disk_.sync_directory("").ok());
  disk_.power_cut(0);
  EXPECT_TRUE(disk_.files().empty());
}

TEST_F(MemoryDiskTest, FaultsComeAtTheirCallOnceOrForEver) {
  disk_.fail({.call = DiskCall::create, .nth = 2, .system_errno = ENOSPC, .lasts = DiskFault::Lasts::once});
  EXPECT_TRUE(disk_.create("a").ok());
  EXPECT_EQ(disk_.create("b").error().system_errno, ENOSPC);
  EXPECT_TRUE(disk_.create("b").ok());
  disk_.fail({.call = {}, .nth = 1, .system_errno = EIO, .lasts = DiskFault::Lasts::for_ever});
  EXPECT_FALSE(disk_.space().ok());
  EXPECT_FALSE(disk_.list("").ok());
  disk_.heal();
  EXPECT_TRUE(disk_.list("").ok());
  EXPECT_EQ(disk_.calls(DiskCall::create), 3U);
}

TEST_F(MemoryDiskTest, AFailedSyncIsFinal) {
  auto file = write("a", "text");
  disk_.fail({.call = DiskCall::sync, .nth = 1, .system_errno = EIO, .lasts = DiskFault::Lasts::once});
  EXPECT_FALSE(file->sync().ok());
  EXPECT_FALSE(file->sync().ok());
  ASSERT_TRUE(disk_.sync_directory("").ok());
  disk_.power_cut(0);
  EXPECT_EQ(disk_.content("a"), "");
}

TEST_F(MemoryDiskTest, AMachineThatIsOffDoesNothing) {
  disk_.stop_after(1);
  auto file = disk_.create("a").value();
  EXPECT_FALSE(file->write_at(0, bytes("text")).ok());
  EXPECT_FALSE(disk_.create("b").ok());
  disk_.power_cut(1);
  EXPECT_EQ(disk_.content("a"), "");
  EXPECT_FALSE(file->write_at(0, bytes("text")).ok()) << "open files end with the process";
}

TEST_F(MemoryDiskTest, CapacityIsABound) {
  disk_.set_capacity(3 * 4'096);
  auto file = disk_.create("a").value();
  EXPECT_TRUE(file->write_at(0, bytes(std::string(8'192, 'x'))).ok());
  EXPECT_EQ(disk_.space()->available, 4'096U);
  const auto full = file->write_at(8'192, bytes(std::string(8'192, 'x')));
  ASSERT_FALSE(full.ok());
  EXPECT_EQ(full.error().system_errno, ENOSPC);
  ASSERT_TRUE(file->truncate(0).ok());
  EXPECT_EQ(disk_.space()->available, 3 * 4'096U);
}

TEST_F(MemoryDiskTest, LocksGoWithTheProcess) {
  EXPECT_TRUE(disk_.lock("lock").ok());
  EXPECT_EQ(disk_.lock("lock").error().code, ErrorCode::exists);
  disk_.process_ends();
  EXPECT_TRUE(disk_.lock("lock").ok());
}

}  // namespace
}  // namespace spillway
