#include "src/shadow_tools.h"

#include <gtest/gtest.h>

#include <span>
#include <string>

#include "s3/hash.h"
#include "tests/support/shadow_rig.h"

namespace spillway {
namespace {

std::span<const std::byte> bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

class ShadowToolsTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(rig_.open().ok()); }

  ShadowRecord add(std::string_view path, std::string_view text, const ShadowRecord& pattern) {
    auto draft = rig_.shadow->create_draft().value();
    EXPECT_TRUE(draft->write(pattern.ranges.empty() ? 0 : pattern.ranges[0].offset, bytes(text)).ok());
    ShadowRecord record = pattern;
    record.path = path_of(path);
    if (record.storage == Storage::local) record.size = text.size();
    auto published = rig_.shadow->publish(*draft, record);
    EXPECT_TRUE(published.ok()) << published.error().detail;
    return *published;
  }

  static std::string name_of(const MemoryDisk& disk, const std::string& location) {
    return location.substr(disk.absolute("").size() + 1);
  }

  ShadowRig rig_;
};

TEST_F(ShadowToolsTest, ListsBesideTheMountThatHoldsTheLock) {
  const auto a = add("dir/a", "one", {});
  add("b", "two", {});
  const auto content = ShadowTools(rig_.disk, rig_.hashing()).list();
  ASSERT_TRUE(content.ok()) << content.error().detail;
  ASSERT_EQ(content->items.size(), 2U);
  EXPECT_EQ(content->items[0].record.id, a.id);
  EXPECT_EQ(content->items[0].location, rig_.shadow->location_of(a));
  EXPECT_EQ(content->items[0].state, DataState::sound);
  EXPECT_EQ(content->items[1].record.path.text(), "b");
  EXPECT_TRUE(content->damaged.empty());
}

TEST_F(ShadowToolsTest, ChangesNothing) {
  add("a", "one", {});
  rig_.disk.put("journal/0000000000000099", "nonsense");
  const auto files = rig_.disk.files();
  ShadowTools tools(rig_.disk, rig_.hashing());
  ASSERT_TRUE(tools.list().ok());
  ASSERT_TRUE(tools.verify().ok());
  EXPECT_EQ(rig_.disk.files(), files);
}

TEST_F(ShadowToolsTest, TellsDamagedRecordsAndWhatWasSetAside) {
  rig_.disk.put("journal/0000000000000099", "nonsense");
  rig_.disk.put("lost+found/x.data", "x");
  const auto content = ShadowTools(rig_.disk, rig_.hashing()).list();
  ASSERT_TRUE(content.ok());
  ASSERT_EQ(content->damaged.size(), 1U);
  EXPECT_EQ(content->damaged[0], rig_.disk.absolute("journal/0000000000000099"));
  ASSERT_EQ(content->lost_and_found.size(), 1U);
}

TEST_F(ShadowToolsTest, NoShadowIsAnError) {
  MemoryDisk empty;
  const auto content = ShadowTools(empty, rig_.hashing()).list();
  ASSERT_FALSE(content.ok());
  EXPECT_EQ(content.error().system_errno, ENOENT);
}

TEST_F(ShadowToolsTest, VerifyFindsChangedMissingAndShortData) {
  ShadowRecord checked;
  checked.metadata.sha256 = s3::to_hex(s3::sha256("right"));
  const auto good = add("good", "right", checked);
  const auto changed = add("changed", "right", checked);
  const auto missing = add("missing", "right", checked);
  const auto shorter = add("shorter", "right", checked);
  const auto unknown = add("unknown", "bytes", {});
  rig_.disk.put("files/changed", "wrong");
  rig_.disk.take_away("files/missing");
  rig_.disk.put("files/shorter", "rig");
  const auto content = ShadowTools(rig_.disk, rig_.hashing()).verify();
  ASSERT_TRUE(content.ok());
  std::map<std::string, DataState> states;
  for (const auto& item : content->items) {
    states[item.record.path.text()] = item.state;
    EXPECT_EQ(item.detail.empty(), item.state == DataState::sound);
    EXPECT_EQ(item.has_checksum, item.record.path.text() == "good" || item.record.path.text() == "changed");
  }
  EXPECT_EQ(states, (std::map<std::string, DataState>{{"good", DataState::sound},
                                                      {"changed", DataState::wrong_checksum},
                                                      {"missing", DataState::missing},
                                                      {"shorter", DataState::missing},
                                                      {"unknown", DataState::sound}}));
}

TEST_F(ShadowToolsTest, ExportCopiesWholeFilesAndRangesAndReplacesNothing) {
  const std::string large = some_content(1, 2'500'000);
  add("dir/sub/large", large, {});
  ShadowRecord split;
  split.storage = Storage::split;
  split.size = 20;
  split.ranges = {{10, 4}};
  add("tail", "tail", split);
  ShadowRecord link;
  link.metadata.kind = FileKind::symlink;
  add("link", "target", link);
  ShadowRecord directory;
  directory.metadata.kind = FileKind::directory;
  add("empty", "", directory);
  add("taken", "ours", {});
  MemoryDisk target;
  target.put("taken", "theirs");

  const auto files = ShadowTools(rig_.disk, rig_.hashing()).export_to(target);
  ASSERT_TRUE(files.ok());
  std::map<std::string, ExportedFile::Outcome> outcomes;
  for (const auto& file : *files) outcomes[name_of(target, file.name)] = file.outcome;
  using Outcome = ExportedFile::Outcome;
  EXPECT_EQ(outcomes, (std::map<std::string, Outcome>{{"dir/sub/large", Outcome::whole},
                                                      {"tail.partial", Outcome::ranges_only},
                                                      {"link", Outcome::skipped},
                                                      {"empty", Outcome::whole},
                                                      {"taken", Outcome::failed}}));
  EXPECT_EQ(target.content("dir/sub/large"), large);
  EXPECT_EQ(target.content("tail.partial"), std::string(10, '\0') + "tail");
  EXPECT_EQ(target.content("taken"), "theirs");
  EXPECT_TRUE(target.make_directory("empty/below").ok());
}

TEST_F(ShadowToolsTest, AFailingDiskFailsOneFileAndNotTheOthers) {
  add("a", "aaa", {});
  add("b", "bbb", {});
  MemoryDisk target;
  target.fail({.call = DiskCall::write, .nth = 1, .system_errno = ENOSPC, .lasts = DiskFault::Lasts::once});
  const auto files = ShadowTools(rig_.disk, rig_.hashing()).export_to(target);
  ASSERT_TRUE(files.ok());
  ASSERT_EQ(files->size(), 2U);
  EXPECT_EQ((*files)[0].outcome, ExportedFile::Outcome::failed);
  EXPECT_FALSE((*files)[0].detail.empty());
  EXPECT_EQ((*files)[1].outcome, ExportedFile::Outcome::whole);
  EXPECT_EQ(target.files(), std::vector<std::string>{"b"});
}

}  // namespace
}  // namespace spillway
