#include "src/shadow_space.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/shadow_fixture.h"

namespace spillway {
namespace {

ShadowSettings limited(std::uint64_t limit, std::uint64_t reserve) {
  return {.identity = "endpoint/bucket", .limit_bytes = limit, .reserve_bytes = reserve};
}

TEST(ShadowSpace, TheLimitCountsDraftsAndFilesAndSaysSo) {
  ShadowRig rig(limited(10'000, 0));
  ASSERT_TRUE(rig.open().ok());
  ASSERT_TRUE(rig.publish("a", std::string(6'000, 'x')).ok());
  auto draft = rig.shadow->create_draft().value();
  ASSERT_TRUE(draft->write(0, bytes(std::string(4'000, 'y'))).ok());
  ASSERT_TRUE(draft->write(1'000, bytes(std::string(3'000, 'z'))).ok());  // no byte more
  const auto refused = draft->write(4'000, bytes("!"));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::local_error);
  EXPECT_EQ(refused.error().system_errno, ENOSPC);
  EXPECT_NE(refused.error().detail.find("--shadow-limit"), std::string::npos);
  EXPECT_NE(refused.error().detail.find("/memory"), std::string::npos);
  ASSERT_TRUE(draft->truncate(3'999).ok());
  EXPECT_TRUE(draft->write(3'999, bytes("!")).ok());
  ASSERT_TRUE(rig.shadow->remove(rig.id_at("a")).ok());
  EXPECT_TRUE(draft->write(4'000, bytes(std::string(6'000, 'w'))).ok());
  draft.reset();
  EXPECT_TRUE(rig.publish("b", std::string(10'000, 'v')).ok());
}

TEST(ShadowSpace, TheLimitHoldsAfterARestart) {
  ShadowRig rig(limited(10'000, 0));
  ASSERT_TRUE(rig.open().ok());
  ASSERT_TRUE(rig.publish("a", std::string(6'000, 'x')).ok());
  rig.power_cut(1);
  ASSERT_TRUE(rig.open().ok());
  EXPECT_FALSE(rig.publish("b", std::string(6'000, 'x')).ok());
  EXPECT_TRUE(rig.publish("b", std::string(4'000, 'x')).ok());
}

TEST(ShadowSpace, HolesCountOnceTheyAreAFilesBytes) {
  ShadowRig rig(limited(10'000, 0));
  ASSERT_TRUE(rig.open().ok());
  auto draft = rig.shadow->create_draft().value();
  ASSERT_TRUE(draft->write(50'000, bytes("end")).ok());
  ShadowRecord record;
  record.path = path_of("sparse");
  record.size = 50'003;
  EXPECT_EQ(rig.shadow->publish(*draft, record).error().system_errno, ENOSPC);
  record.storage = Storage::split;
  record.ranges = {{50'000, 3}};
  EXPECT_TRUE(rig.shadow->publish(*draft, record).ok());
  EXPECT_TRUE(rig.publish("a", std::string(9'997, 'x')).ok());
}

TEST(ShadowSpace, TheReserveStaysFreeAndIsThereForTheJournal) {
  constexpr std::uint64_t kReserve = 1ULL << 20U;
  ShadowRig rig(limited(0, kReserve));
  rig.disk.set_capacity(4ULL << 20U);
  ASSERT_TRUE(rig.open().ok());
  auto draft = rig.shadow->create_draft().value();
  std::uint64_t written = 0;
  Result<> result;
  while (true) {
    result = draft->write(written, bytes(std::string(65'536, 'x')));
    if (!result) break;
    written += 65'536;
  }
  EXPECT_EQ(result.error().system_errno, ENOSPC);
  EXPECT_NE(result.error().detail.find("--shadow-reserve"), std::string::npos);
  EXPECT_NE(result.error().detail.find("/memory"), std::string::npos);
  EXPECT_GT(written, 2ULL << 20U);
  EXPECT_GE(rig.disk.space()->available, kReserve);
  ShadowRecord record;
  record.path = path_of("large");
  record.size = written;
  EXPECT_TRUE(rig.shadow->publish(*draft, record).ok());
  EXPECT_FALSE(rig.publish("b", std::string(100'000, 'x')).ok());
}

TEST(ShadowSpace, TheDiskIsAskedForItsSpaceSeldom) {
  ShadowRig rig(limited(0, 1'000));
  ASSERT_TRUE(rig.open().ok());
  const auto before = rig.disk.calls(DiskCall::space);
  for (int i = 0; i < 500; ++i) ASSERT_TRUE(rig.publish("f", std::string(4'000, 'x')).ok());
  EXPECT_LE(rig.disk.calls(DiskCall::space) - before, 1U);
}

}  // namespace
}  // namespace spillway
