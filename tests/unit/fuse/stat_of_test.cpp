#include "fuse/stat_of.h"

#include <gtest/gtest.h>

#include <limits>

namespace spillway::kernel {
namespace {

using namespace std::chrono_literals;

Attributes example() {
  return {.kind = FileKind::regular,
          .size = 1025,
          .mtime = WallTime(1'700'000'000s + 123'456'789ns),
          .ctime = WallTime(1'700'000'001s),
          .permissions = 0644,
          .uid = 1000,
          .gid = 1001,
          .inode = 42};
}

TEST(StatOf, TellsWhatTheFileSystemSays) {
  const auto shown = stat_of(example(), {});
  EXPECT_EQ(shown.st_ino, 42U);
  EXPECT_EQ(shown.st_mode, static_cast<mode_t>(S_IFREG | 0644));
  EXPECT_EQ(shown.st_nlink, 1U);
  EXPECT_EQ(shown.st_uid, 1000U);
  EXPECT_EQ(shown.st_gid, 1001U);
  EXPECT_EQ(shown.st_size, 1025);
  EXPECT_EQ(shown.st_blocks, 3);
  EXPECT_EQ(shown.st_blksize, 1024 * 1024);
  EXPECT_EQ(shown.st_mtim.tv_sec, 1'700'000'000);
  EXPECT_EQ(shown.st_mtim.tv_nsec, 123'456'789);
  EXPECT_EQ(shown.st_ctim.tv_sec, 1'700'000'001);
  EXPECT_EQ(shown.st_atim.tv_sec, shown.st_mtim.tv_sec);
}

TEST(StatOf, KnowsEveryKind) {
  EXPECT_EQ(type_of(FileKind::regular), static_cast<mode_t>(S_IFREG));
  EXPECT_EQ(type_of(FileKind::directory), static_cast<mode_t>(S_IFDIR));
  EXPECT_EQ(type_of(FileKind::symlink), static_cast<mode_t>(S_IFLNK));
  EXPECT_EQ(type_of(FileKind::fifo), static_cast<mode_t>(S_IFIFO));
  EXPECT_EQ(type_of(FileKind::socket), static_cast<mode_t>(S_IFSOCK));
}

TEST(StatOf, ADirectoryHasTwoLinks) {
  auto attributes = example();
  attributes.kind = FileKind::directory;
  EXPECT_EQ(stat_of(attributes, {}).st_nlink, 2U);
}

TEST(StatOf, TheMountMaySayOtherwise) {
  const auto shown = stat_of(example(), {.uid = 5, .gid = 6, .umask = 0077U});
  EXPECT_EQ(shown.st_uid, 5U);
  EXPECT_EQ(shown.st_gid, 6U);
  EXPECT_EQ(shown.st_mode & 07777U, 0600U);
}

TEST(StatOf, NeverLetsPermissionsReachTheType) {
  auto attributes = example();
  attributes.permissions = 0xffffffffU;
  EXPECT_EQ(stat_of(attributes, {}).st_mode, static_cast<mode_t>(S_IFREG | 07777));
}

TEST(StatOf, TimesBefore1970AreWhole) {
  const auto time = timespec_of(WallTime(-1ns));
  EXPECT_EQ(time.tv_sec, -1);
  EXPECT_EQ(time.tv_nsec, 999'999'999);
  EXPECT_EQ(wall_time_of(time), WallTime(-1ns));
}

TEST(StatOf, TimesThatDoNotFitAreTheNearestThatDo) {
  const auto late = wall_time_of({.tv_sec = std::numeric_limits<time_t>::max(), .tv_nsec = 999});
  const auto early = wall_time_of({.tv_sec = std::numeric_limits<time_t>::min(), .tv_nsec = 0});
  EXPECT_GT(late, WallTime(9'000'000'000s));
  EXPECT_LT(early, WallTime(-9'000'000'000s));
}

TEST(StatOf, SecondsKeepFractions) { EXPECT_DOUBLE_EQ(seconds(1500ms), 1.5); }

}  // namespace
}  // namespace spillway::kernel
