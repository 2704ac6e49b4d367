#include "src/shadow_ledger.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <string>
#include <vector>

#include "tests/support/shadow_fixture.h"

namespace spillway {
namespace {

using ShadowLedgerTest = ShadowTest;

std::string names(const std::vector<LedgerEntry>& entries) {
  std::string all;
  for (const auto& entry : entries) all += entry.key + ":" + entry.id + " ";
  return all;
}

TEST_F(ShadowLedgerTest, TheLedgerKeepsUploadsOfEarlierRunsThatNoRecordNames) {
  const std::string odd("id \xff\n/..%", 10);
  for (const std::string& id : {std::string("one"), std::string("two"), std::string("three"), odd}) {
    ASSERT_TRUE(rig_.shadow->note_upload({.key = "key", .id = id}).ok());
  }
  ASSERT_TRUE(rig_.shadow->forget_upload("two").ok());
  EXPECT_TRUE(rig_.shadow->orphaned_uploads().empty()) << "this run's own are no orphans";
  auto draft = draft_of("tail");
  auto record = record_for("split", 10);
  record.storage = Storage::split;
  record.ranges = {{0, 4}};
  record.upload = UnfinishedUpload{.key = "key", .id = "three", .part_size = 5, .parts = {}};
  ASSERT_TRUE(rig_.shadow->publish(*draft, record).ok());
  rig_.power_cut(1);
  ASSERT_TRUE(rig_.open().ok());
  EXPECT_EQ(names(rig_.shadow->orphaned_uploads()), "key:" + odd + " key:one ");
  ASSERT_TRUE(rig_.shadow->forget_upload("one").ok());
  ASSERT_TRUE(rig_.shadow->forget_upload("never was").ok());
  EXPECT_EQ(names(rig_.shadow->orphaned_uploads()), "key:" + odd + " ");
}

TEST_F(ShadowLedgerTest, ANotedUploadSurvivesAPowerCutAtAnyCall) {
  for (std::uint64_t calls = 0; calls < 10; ++calls) {
    ShadowRig rig;
    ASSERT_TRUE(rig.open().ok());
    rig.disk.stop_after(calls);
    const bool noted = rig.shadow->note_upload({.key = "k", .id = "u"}).ok();
    rig.power_cut(calls % 3);
    ASSERT_TRUE(rig.open().ok());
    EXPECT_EQ(rig.log.count("shadow_damaged"), 0U);
    if (noted) {
      EXPECT_EQ(names(rig.shadow->orphaned_uploads()), "k:u ");
    }
  }
}

TEST_F(ShadowLedgerTest, ADamagedLedgerEntryIsSetAside) {
  rig_.kill();
  rig_.disk.put("ledger/abc", "nonsense");
  ASSERT_TRUE(rig_.open().ok());
  EXPECT_EQ(rig_.disk.content("lost+found/ledger-abc"), "nonsense");
  EXPECT_EQ(rig_.log.count("shadow_damaged"), 1U);
}

// Whatever read it is that finds no memory, for good.
TEST_F(ShadowLedgerTest, WhatCanNotBeReadForNowIsNoDamage) {
  bool opened = false;
  for (std::uint64_t nth = 1; nth < 20 && !opened; ++nth) {
    ShadowRig rig;
    ASSERT_TRUE(rig.open().ok());
    ASSERT_TRUE(rig.shadow->note_upload({.key = "k", .id = "u"}).ok());
    rig.kill();
    rig.disk.fail({.call = DiskCall::read,
                   .nth = nth,
                   .system_errno = ENOMEM,
                   .lasts = DiskFault::Lasts::for_ever});
    opened = rig.open().ok();
    EXPECT_EQ(rig.log.count("shadow_damaged"), 0U) << nth;
    if (opened) {
      EXPECT_GT(nth, 1U);
      EXPECT_EQ(names(rig.shadow->orphaned_uploads()), "k:u ");
    }
  }
  EXPECT_TRUE(opened);
}

}  // namespace
}  // namespace spillway
