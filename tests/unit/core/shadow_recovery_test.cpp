#include "src/shadow_recovery.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/shadow_fixture.h"

namespace spillway {
namespace {

using ShadowRecoveryTest = ShadowTest;

// --- starts and ends

TEST_F(ShadowRecoveryTest, TellsACleanEndFromACrash) {
  EXPECT_FALSE(rig_.shadow->recovery().after_crash) << "a new shadow";
  ASSERT_TRUE(rig_.shadow->close_cleanly().ok());
  reopen();
  EXPECT_FALSE(rig_.shadow->recovery().after_crash);
  reopen();
  EXPECT_TRUE(rig_.shadow->recovery().after_crash);
  ASSERT_TRUE(rig_.shadow->close_cleanly().ok());
  ASSERT_TRUE(rig_.shadow->close_cleanly().ok());
  rig_.kill();
  ASSERT_TRUE(rig_.open().ok());
  EXPECT_FALSE(rig_.shadow->recovery().after_crash);
}

TEST_F(ShadowRecoveryTest, TwoNeverShareOne) {
  const auto second = open_shadow(rig_.disk, rig_.settings, rig_.executor(), rig_.hashing(), rig_.log);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, ErrorCode::exists);
}

TEST_F(ShadowRecoveryTest, AnotherBucketsShadowIsRefusedAndLeftAlone) {
  publish("a", "text");
  ASSERT_TRUE(rig_.shadow->close_cleanly().ok());
  rig_.kill();
  const auto files = rig_.disk.files();
  rig_.settings.identity = "endpoint/another";
  const auto opened = rig_.open();
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code, ErrorCode::not_permitted);
  EXPECT_NE(opened.error().detail.find("endpoint/bucket"), std::string::npos);
  EXPECT_EQ(rig_.disk.files(), files);
}

TEST_F(ShadowRecoveryTest, ADamagedMarkIsSetAside) {
  publish("a", "text");
  rig_.kill();
  rig_.disk.put("spillway.json", "{\"iden");
  ASSERT_TRUE(rig_.open().ok());
  EXPECT_EQ(text_at("a"), "text");
  EXPECT_EQ(rig_.disk.content("lost+found/spillway.json"), "{\"iden");
  EXPECT_EQ(rig_.log.count("shadow_damaged"), 1U);
}

TEST_F(ShadowRecoveryTest, AFullDiskStopsNoStart) {
  publish("a/b", "text");
  rig_.power_cut(0);
  rig_.disk.set_capacity(1);
  const auto opened = rig_.open();
  ASSERT_TRUE(opened.ok()) << opened.error().detail;
  EXPECT_EQ(text_at("a/b"), "text");
}

// --- damage

TEST_F(ShadowRecoveryTest, DamagedRecordsAreSetAsideAndTheOthersStay) {
  publish("whole", "text");
  const auto record = publish("hurt", "data");
  const std::string name = "journal/" + record.id;
  const std::string good = *rig_.disk.content(name);
  for (const std::size_t at : {std::size_t{0}, good.size() / 3, good.size() / 2, good.size() - 1}) {
    SCOPED_TRACE(at);
    ShadowRig rig;
    ASSERT_TRUE(rig.open().ok());
    ASSERT_TRUE(rig.publish("whole", "text").ok());
    const auto hurt = *rig.publish("hurt", "data");
    rig.kill();
    std::string text = *rig.disk.content("journal/" + hurt.id);
    text[at] = static_cast<char>(text[at] ^ 1);
    rig.disk.put("journal/" + hurt.id, text);
    ASSERT_TRUE(rig.open().ok());
    EXPECT_EQ(rig.shadow->recovery().damaged, 1U);
    EXPECT_EQ(rig.log.count("shadow_damaged"), 1U);
    EXPECT_EQ(rig.log.last("shadow_damaged")["name"], "journal/" + hurt.id);
    EXPECT_EQ(rig.disk.content("lost+found/" + hurt.id + ".record"), text);
    EXPECT_FALSE(rig.shadow->find(path_of("hurt")).has_value());
    EXPECT_EQ(rig.disk.content("files/hurt"), "data") << "its data stays where a person finds it";
    EXPECT_EQ(rig.content(*rig.shadow->find(path_of("whole"))).value(), "text");
    ASSERT_TRUE(rig.publish("hurt", "again").ok());
    rig.kill();
    ASSERT_TRUE(rig.open().ok());
    EXPECT_EQ(rig.log.count("shadow_damaged"), 1U);
    EXPECT_EQ(rig.content(*rig.shadow->find(path_of("hurt"))).value(), "again");
  }
}

TEST_F(ShadowRecoveryTest, RecordsWithoutTheirDataAreSetAside) {
  const auto missing = publish("missing", "data");
  const auto cut = publish("cut", "data");
  publish("whole", "data");
  rig_.kill();
  rig_.disk.take_away("files/missing");
  rig_.disk.put("files/cut", "da");
  ASSERT_TRUE(rig_.open().ok());
  EXPECT_EQ(rig_.shadow->recovery().damaged, 2U);
  EXPECT_EQ(rig_.log.count("shadow_damaged"), 2U);
  EXPECT_TRUE(rig_.disk.content("lost+found/" + missing.id + ".record").has_value());
  EXPECT_TRUE(rig_.disk.content("lost+found/" + cut.id + ".record").has_value());
  EXPECT_EQ(rig_.disk.content("lost+found/" + cut.id + ".data"), "da");
  EXPECT_EQ(rig_.shadow->usage().files, 1U);
  reopen();
  EXPECT_EQ(rig_.shadow->recovery().damaged, 0U);
}

TEST_F(ShadowRecoveryTest, AnInterruptedWriteIsKeptWhenItHasBytes) {
  auto written = draft_of("never acknowledged");
  auto empty = rig_.shadow->create_draft();
  rig_.disk.stop_after(0);  // the process ends before it could tidy up
  written.reset();
  empty = fail(ErrorCode::stale, "");
  rig_.kill();
  ASSERT_TRUE(rig_.open().ok());
  EXPECT_EQ(rig_.shadow->recovery().interrupted, 1U);
  EXPECT_EQ(rig_.log.count("shadow_interrupted_write"), 1U);
  std::size_t kept = 0;
  for (const auto& name : rig_.disk.files()) {
    EXPECT_FALSE(name.starts_with("drafts/"));
    if (name.starts_with("lost+found/")) {
      ++kept;
      EXPECT_EQ(rig_.disk.content(name), "never acknowledged");
    }
  }
  EXPECT_EQ(kept, 1U);
}

TEST_F(ShadowRecoveryTest, NothingInLostAndFoundIsReplaced) {
  for (int round = 0; round < 3; ++round) {
    rig_.kill();
    rig_.disk.put("journal/0000000000000abc", "nonsense " + std::to_string(round));
    ASSERT_TRUE(rig_.open().ok());
  }
  EXPECT_EQ(rig_.disk.content("lost+found/0000000000000abc.record"), "nonsense 0");
  EXPECT_EQ(rig_.disk.content("lost+found/0000000000000abc.record.1"), "nonsense 1");
  EXPECT_EQ(rig_.disk.content("lost+found/0000000000000abc.record.2"), "nonsense 2");
}

}  // namespace
}  // namespace spillway
