#include "fuse/preflight.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace spillway::kernel {
namespace {

TEST(Preflight, ReadsFuseConf) {
  EXPECT_TRUE(allows_other("user_allow_other\n"));
  EXPECT_TRUE(allows_other("# a comment\nmount_max = 1000\n  user_allow_other  # yes\n"));
  EXPECT_FALSE(allows_other(""));
  EXPECT_FALSE(allows_other("#user_allow_other\n"));
  EXPECT_FALSE(allows_other("user_allow_others\n"));
  EXPECT_FALSE(allows_other("user_allow_other = 1\n"));
}

TEST(Preflight, SaysWhatToDoAboutAMissingMountpoint) {
  const auto checked = check_mountpoint("/no such place");
  ASSERT_FALSE(checked.ok());
  EXPECT_EQ(checked.error().code, ErrorCode::local_error);
  EXPECT_EQ(checked.error().system_errno, ENOENT);
  EXPECT_EQ(checked.error().detail, "/no such place does not exist: create the directory first");
}

TEST(Preflight, RefusesWhatIsNoDirectory) {
  EXPECT_EQ(check_mountpoint("/proc/self/status").error().system_errno, ENOTDIR);
}

TEST(Preflight, GivesTheRealPath) {
  const auto checked = check_mountpoint(testing::TempDir() + "/./");
  ASSERT_TRUE(checked.ok()) << checked.error().detail;
  EXPECT_EQ(checked->front(), '/');
  EXPECT_NE(checked->back(), '/');
}

}  // namespace
}  // namespace spillway::kernel
