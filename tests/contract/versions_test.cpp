#include <ranges>
#include <set>

#include "tests/contract/contract.h"

namespace spillway {

namespace {

class VersionContract : public ContractTest {
 protected:
  void SetUp() override {
    ContractTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    if (!traits().keeps_versions) GTEST_SKIP() << "this server keeps no versions";
    first_ = put_text(store(), key("v"), "first", {{"n", "1"}});
    second_ = put_text(store(), key("v"), "second", {{"n", "2"}});
    ASSERT_TRUE(succeeded(first_));
    ASSERT_TRUE(succeeded(second_));
  }

  [[nodiscard]] Result<std::string> content_of(const VersionId& id) {
    GetRequest request;
    request.key = key("v");
    request.version_id = id;
    return get_text(store(), request);
  }

  Result<StoredObject> first_ = fail(ErrorCode::not_found, "");
  Result<StoredObject> second_ = fail(ErrorCode::not_found, "");
};

RUN_ON_ALL_STORES(VersionContract);

}  // namespace

TEST_P(VersionContract, EveryVersionHasItsOwnId) {
  EXPECT_FALSE(first_->version_id.empty());
  EXPECT_NE(first_->version_id, second_->version_id);
}

TEST_P(VersionContract, OlderVersionsCanBeRead) {
  EXPECT_EQ(content_of(first_->version_id).value(), "first");
  EXPECT_EQ(content_of(second_->version_id).value(), "second");
  EXPECT_EQ(content_of("").value(), "second");
  const auto info = store().head_object(key("v"), first_->version_id, {});
  ASSERT_TRUE(succeeded(info));
  EXPECT_EQ(info->metadata.at("n"), "1");
  EXPECT_EQ(info->version_id, first_->version_id);
}

TEST_P(VersionContract, DeletingHidesAndKeepsTheVersions) {
  ASSERT_TRUE(succeeded(store().delete_object(key("v"), "", {})));
  EXPECT_TRUE(failed_with(content_of(""), ErrorCode::not_found));
  EXPECT_EQ(content_of(first_->version_id).value(), "first");
  EXPECT_EQ(content_of(second_->version_id).value(), "second");
}

TEST_P(VersionContract, AHiddenKeyCanBeWrittenAnew) {
  ASSERT_TRUE(succeeded(store().delete_object(key("v"), "", {})));
  ASSERT_TRUE(succeeded(put_text(store(), key("v"), "third")));
  EXPECT_EQ(content_of("").value(), "third");
}

TEST_P(VersionContract, DeletingTheNewestVersionUncoversTheOneBefore) {
  ASSERT_TRUE(succeeded(store().delete_object(key("v"), second_->version_id, {})));
  EXPECT_EQ(content_of("").value(), "first");
  EXPECT_TRUE(failed_with(content_of(second_->version_id), ErrorCode::not_found));
}

TEST_P(VersionContract, DeletingAnOldVersionLeavesTheNewest) {
  ASSERT_TRUE(succeeded(store().delete_object(key("v"), first_->version_id, {})));
  EXPECT_EQ(content_of("").value(), "second");
  EXPECT_TRUE(failed_with(content_of(first_->version_id), ErrorCode::not_found));
}

TEST_P(VersionContract, DeletingAVersionTwiceIsNoError) {
  if (!traits().forgets_versions) GTEST_SKIP() << "this server refuses ids it does not know";
  ASSERT_TRUE(succeeded(store().delete_object(key("v"), first_->version_id, {})));
  EXPECT_TRUE(succeeded(store().delete_object(key("v"), first_->version_id, {})));
}

TEST_P(VersionContract, ListsTheHistoryOfOneKeyAlone) {
  ASSERT_TRUE(succeeded(put_text(store(), key("v2"), "another")));
  ASSERT_TRUE(succeeded(store().delete_object(key("v"), "", {})));
  const auto versions = store().list_versions(key("v"), {});
  ASSERT_TRUE(succeeded(versions));
  ASSERT_EQ(versions->size(), 3U);
  EXPECT_TRUE((*versions)[0].is_hide_marker);
  EXPECT_EQ((*versions)[1], (ObjectVersion{second_->version_id, false}));
  EXPECT_EQ((*versions)[2], (ObjectVersion{first_->version_id, false}));
  const auto none = store().list_versions(key("w"), {});
  ASSERT_TRUE(succeeded(none));
  EXPECT_TRUE(none->empty());
}

TEST_P(VersionContract, NothingIsLeftOnceEveryVersionWasDeleted) {
  ASSERT_TRUE(succeeded(store().delete_object(key("v"), "", {})));
  auto versions = store().list_versions(key("v"), {});
  ASSERT_TRUE(succeeded(versions));
  for (const ObjectVersion& version : *versions | std::views::reverse) {
    EXPECT_TRUE(failed_with(content_of(""), ErrorCode::not_found));
    ASSERT_TRUE(succeeded(store().delete_object(key("v"), version.version_id, {})));
  }
  versions = store().list_versions(key("v"), {});
  ASSERT_TRUE(succeeded(versions));
  EXPECT_TRUE(versions->empty());
}

TEST_P(VersionContract, AHistoryMayHaveManyPages) {
  constexpr std::size_t kMoreThanAPage = 1'010;
  std::vector<VersionId> stored{second_->version_id, first_->version_id};
  while (stored.size() < kMoreThanAPage) {
    const auto put = put_text(store(), key("v"), "x");
    ASSERT_TRUE(succeeded(put));
    stored.insert(stored.begin(), put->version_id);
  }
  const auto versions = store().list_versions(key("v"), {});
  ASSERT_TRUE(succeeded(versions));
  std::vector<VersionId> listed;
  for (const ObjectVersion& version : *versions) listed.push_back(version.version_id);
  EXPECT_EQ(listed.front(), stored.front());
  EXPECT_EQ(std::set(listed.begin(), listed.end()), std::set(stored.begin(), stored.end()));
  EXPECT_EQ(listed.size(), stored.size());
}

TEST_P(VersionContract, AnOldVersionCanBeCopied) {
  const CopyRequest request = {key("v"), first_->version_id, key("copy"), std::nullopt, ""};
  ASSERT_TRUE(succeeded(store().copy_object(request, {})));
  EXPECT_EQ(get_text(store(), key("copy")).value(), "first");
}

TEST_P(VersionContract, IfMatchAndVersionMayMeet) {
  GetRequest request;
  request.key = key("v");
  request.version_id = first_->version_id;
  request.if_match = first_->etag;
  EXPECT_EQ(get_text(store(), request).value(), "first");
}

}  // namespace spillway
