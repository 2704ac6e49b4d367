#include "fuse/mount_table.h"

#include <gtest/gtest.h>

namespace spillway::kernel {
namespace {

TEST(MountTable, ReadsTheKernelsLines) {
  const auto entries = parse_mountinfo(
      "22 27 0:20 / /sys rw,nosuid shared:7 - sysfs sysfs rw\n"
      "90 27 0:45 / /mnt/b2 rw,nosuid,nodev,relatime shared:9 master:3 - fuse.spillway "
      "spillway:bucket rw,user_id=0\n");
  ASSERT_EQ(entries.size(), 2U);
  EXPECT_EQ(entries[0].mountpoint, "/sys");
  EXPECT_EQ(entries[1].device, "0:45");
  EXPECT_EQ(entries[1].mountpoint, "/mnt/b2");
  EXPECT_EQ(entries[1].type, "fuse.spillway");
  EXPECT_EQ(entries[1].source, "spillway:bucket");
}

TEST(MountTable, UndoesTheEscapes) {
  const auto entries = parse_mountinfo("1 2 0:3 / /a\\040b\\134c rw - fuse.x s\\011t rw\n");
  ASSERT_EQ(entries.size(), 1U);
  EXPECT_EQ(entries[0].mountpoint, "/a b\\c");
  EXPECT_EQ(entries[0].source, "s\tt");
}

TEST(MountTable, LeavesOutWhatItDoesNotUnderstand) {
  EXPECT_TRUE(parse_mountinfo("").empty());
  EXPECT_TRUE(parse_mountinfo("nonsense\n\n - \n1 2 - a b\n1 2 3 4 5 6 - only\n").empty());
}

TEST(MountTable, KnowsThisMachinesMounts) {
  ASSERT_TRUE(mounted_at("/proc"));
  EXPECT_EQ(mounted_at("/proc")->type, "proc");
  EXPECT_FALSE(mounted_at("/no such place"));
}

}  // namespace
}  // namespace spillway::kernel
