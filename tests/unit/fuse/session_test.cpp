#include "fuse/session.h"

#include <gtest/gtest.h>

#include <string>

namespace spillway::kernel {
namespace {

MountSettings settings() {
  MountSettings out;
  out.source = "spillway:bucket";
  return out;
}

TEST(Session, IsAlwaysWithoutSetIdAndDevices) {
  EXPECT_EQ(option_text(settings()), "fsname=spillway:bucket,subtype=spillway,nosuid,nodev");
}

TEST(Session, TheKernelChecksPermissionsWhereOthersMayEnter) {
  auto open_to_all = settings();
  open_to_all.visibility = MountSettings::Visibility::everybody;
  EXPECT_TRUE(option_text(open_to_all).ends_with(",allow_other,default_permissions"));
  for (const std::string option : {"allow_other", "allow_root"}) {
    auto by_option = settings();
    by_option.options = {option};
    EXPECT_TRUE(option_text(by_option).ends_with("," + option + ",default_permissions"));
  }
}

TEST(Session, PassesOptionsOn) {
  auto with_options = settings();
  with_options.access = MountSettings::Access::read_only;
  with_options.options = {"noatime", "noexec"};
  EXPECT_TRUE(option_text(with_options).ends_with(",nodev,noatime,noexec,ro"));
}

TEST(Session, ASourceCannotBringOptions) {
  auto forged = settings();
  forged.source = "a,suid\\";
  EXPECT_TRUE(option_text(forged).starts_with("fsname=a\\,suid\\\\,subtype="));
}

TEST(Session, RefusesWhatWouldLoosenTheMount) {
  EXPECT_TRUE(check_options({}).ok());
  EXPECT_TRUE(check_options({"noatime", "allow_other", "sync"}).ok());
  for (const std::string option : {"suid", "dev", "fsname=x", "subtype=x", "max_read=1", "fd=3",
                                   "rootmode=0", "user_id=0", "group_id=0"}) {
    const auto checked = check_options({"noatime", option});
    ASSERT_FALSE(checked.ok()) << option;
    EXPECT_EQ(checked.error().code, ErrorCode::invalid_argument);
  }
}

TEST(Session, AnOptionCannotBringAnother) {
  EXPECT_FALSE(check_options({"noatime,suid"}).ok());
}

}  // namespace
}  // namespace spillway::kernel
