#include <algorithm>

#include "tests/contract/contract.h"

namespace spillway {

namespace {

class UploadContract : public ContractTest {
 protected:
  void SetUp() override {
    ContractTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    auto id = store().create_upload(key("up"), "video/x", {{"mtime", "7"}}, {});
    ASSERT_TRUE(succeeded(id));
    id_ = *id;
  }

  Result<UploadedPart> part(PartNumber number, std::string_view bytes) {
    return put_part(store(), key("up"), id_, number, bytes);
  }
  Result<StoredObject> complete(const std::vector<UploadedPart>& parts) {
    return store().complete_upload(key("up"), id_, parts, {});
  }
  [[nodiscard]] bool listed() {
    const auto uploads = store().list_uploads(prefix(), {});
    return uploads && std::ranges::count(*uploads, id_, &UnfinishedUploadInfo::id) == 1;
  }

  UploadId id_;
  const std::string full_ = random_bytes(kSmallestPart, 1);
  const std::string other_ = random_bytes(kSmallestPart, 2);
};

RUN_ON_ALL_STORES(UploadContract);

}  // namespace

TEST_P(UploadContract, PartsBecomeOneObject) {
  const auto second = part(2, "tail");
  const auto first = part(1, full_);
  ASSERT_TRUE(succeeded(first));
  ASSERT_TRUE(succeeded(second));
  EXPECT_EQ(first->number, 1);
  EXPECT_EQ(first->size, kSmallestPart);
  const auto stored = complete({*first, *second});
  ASSERT_TRUE(succeeded(stored));
  const auto info = store().head_object(key("up"), "", {});
  ASSERT_TRUE(succeeded(info));
  EXPECT_EQ(info->size, kSmallestPart + 4);
  EXPECT_EQ(info->etag, stored->etag);
  EXPECT_EQ(info->version_id, stored->version_id);
  EXPECT_EQ(info->metadata.at("mtime"), "7");
  EXPECT_EQ(info->content_type, "video/x");
  EXPECT_TRUE(get_text(store(), key("up")).value() == full_ + "tail");
  EXPECT_FALSE(listed());
}

TEST_P(UploadContract, RangesCrossTheBoundsOfParts) {
  const auto first = part(1, full_);
  const auto second = part(2, other_);
  ASSERT_TRUE(succeeded(first));
  ASSERT_TRUE(succeeded(second));
  ASSERT_TRUE(succeeded(complete({*first, *second})));
  GetRequest request;
  request.key = key("up");
  request.range = ByteRange{kSmallestPart - 3, 6};
  EXPECT_EQ(get_text(store(), request).value(),
            full_.substr(kSmallestPart - 3) + other_.substr(0, 3));
}

TEST_P(UploadContract, NothingShowsBeforeComplete) {
  ASSERT_TRUE(succeeded(put_text(store(), key("up"), "old")));
  const auto first = part(1, "new");
  ASSERT_TRUE(succeeded(first));
  EXPECT_EQ(get_text(store(), key("up")).value(), "old");
  ASSERT_TRUE(succeeded(complete({*first})));
  EXPECT_EQ(get_text(store(), key("up")).value(), "new");
}

TEST_P(UploadContract, APartSentAgainReplacesTheFirst) {
  ASSERT_TRUE(succeeded(part(1, "wrong")));
  const auto right = part(1, "right");
  ASSERT_TRUE(succeeded(right));
  const auto parts = store().list_parts(key("up"), id_, {});
  ASSERT_TRUE(succeeded(parts));
  EXPECT_EQ(*parts, std::vector{*right});
  ASSERT_TRUE(succeeded(complete({*right})));
  EXPECT_EQ(get_text(store(), key("up")).value(), "right");
}

TEST_P(UploadContract, PartsAreListedInOrder) {
  const auto none = store().list_parts(key("up"), id_, {});
  ASSERT_TRUE(succeeded(none));
  EXPECT_TRUE(none->empty());
  std::vector<UploadedPart> sent;
  for (const PartNumber number : {3, 1, 2}) {
    const auto uploaded = part(number, std::string(static_cast<std::size_t>(number), 'x'));
    ASSERT_TRUE(succeeded(uploaded));
    sent.push_back(*uploaded);
  }
  std::ranges::sort(sent, {}, &UploadedPart::number);
  const auto parts = store().list_parts(key("up"), id_, {});
  ASSERT_TRUE(succeeded(parts));
  EXPECT_EQ(*parts, sent);
}

TEST_P(UploadContract, APartMayBeCopied) {
  ASSERT_TRUE(succeeded(put_text(store(), key("source"), full_ + other_)));
  const auto first =
      store().upload_part_copy(key("up"), id_, 1, key("source"), "", {3, kSmallestPart}, {});
  ASSERT_TRUE(succeeded(first));
  EXPECT_EQ(first->size, kSmallestPart);
  const auto second = part(2, "tail");
  ASSERT_TRUE(succeeded(second));
  ASSERT_TRUE(succeeded(complete({*first, *second})));
  const auto read = get_text(store(), key("up"));
  EXPECT_TRUE(read.value() == (full_ + other_).substr(3, kSmallestPart) + "tail");
}

TEST_P(UploadContract, APartMayBeCopiedFromAnOldVersion) {
  if (!traits().keeps_versions) GTEST_SKIP() << "this server keeps no versions";
  const auto old = put_text(store(), key("source"), "the old version");
  ASSERT_TRUE(succeeded(old));
  ASSERT_TRUE(succeeded(put_text(store(), key("source"), "new")));
  const auto copied =
      store().upload_part_copy(key("up"), id_, 1, key("source"), old->version_id, {4, 3}, {});
  ASSERT_TRUE(succeeded(copied));
  ASSERT_TRUE(succeeded(complete({*copied})));
  EXPECT_EQ(get_text(store(), key("up")).value(), "old");
}

TEST_P(UploadContract, AnAbortedUploadIsGone) {
  const auto first = part(1, "x");
  ASSERT_TRUE(succeeded(first));
  EXPECT_TRUE(listed());
  ASSERT_TRUE(succeeded(store().abort_upload(key("up"), id_, {})));
  EXPECT_FALSE(listed());
  EXPECT_TRUE(failed_with(part(2, "y"), ErrorCode::not_found, Cause::upload_gone));
  EXPECT_TRUE(failed_with(store().list_parts(key("up"), id_, {}), ErrorCode::not_found,
                          Cause::upload_gone));
  EXPECT_TRUE(failed_with(complete({*first}), ErrorCode::not_found, Cause::upload_gone));
  EXPECT_TRUE(succeeded(store().abort_upload(key("up"), id_, {})));
}

// Servers differ: the upload is gone, or the same answer is given once more. Never a new object.
TEST_P(UploadContract, CompletingTwiceDoesNoHarm) {
  const auto first = part(1, "once");
  ASSERT_TRUE(succeeded(first));
  const auto stored = complete({*first});
  ASSERT_TRUE(succeeded(stored));
  const auto again = complete({*first});
  if (again) {
    EXPECT_EQ(again->etag, stored->etag);
  } else {
    EXPECT_TRUE(failed_with(again, ErrorCode::not_found, Cause::upload_gone));
  }
  const auto info = store().head_object(key("up"), "", {});
  ASSERT_TRUE(succeeded(info));
  EXPECT_EQ(info->version_id, stored->version_id);
}

TEST_P(UploadContract, UploadsAreListedByPrefix) {
  const auto beside = store().create_upload(key("other/up"), "", {}, {});
  ASSERT_TRUE(succeeded(beside));
  const auto all = store().list_uploads(prefix(), {});
  const auto below = store().list_uploads(key("other/"), {});
  ASSERT_TRUE(succeeded(all));
  ASSERT_TRUE(succeeded(below));
  EXPECT_EQ(all->size(), 2U);
  ASSERT_EQ(below->size(), 1U);
  EXPECT_EQ(below->front().id, *beside);
  EXPECT_EQ(below->front().key, key("other/up"));
}

TEST_P(UploadContract, OneKeyMayHaveSeveralUploads) {
  const auto beside = store().create_upload(key("up"), "", {}, {});
  ASSERT_TRUE(succeeded(beside));
  EXPECT_NE(*beside, id_);
  const auto uploads = store().list_uploads(key("up"), {});
  ASSERT_TRUE(succeeded(uploads));
  EXPECT_EQ(uploads->size(), 2U);
}

TEST_P(UploadContract, OnlyTheLastPartMayBeSmall) {
  const auto first = part(1, "small");
  const auto second = part(2, "small");
  ASSERT_TRUE(succeeded(first));
  ASSERT_TRUE(succeeded(second));
  EXPECT_TRUE(failed_with(complete({*first, *second}), ErrorCode::invalid_request));
  EXPECT_TRUE(failed_with(store().head_object(key("up"), "", {}), ErrorCode::not_found));
}

TEST_P(UploadContract, AWrongEtagIsRefused) {
  auto first = part(1, "x");
  ASSERT_TRUE(succeeded(first));
  first->etag = "00000000000000000000000000000000";
  EXPECT_TRUE(failed_with(complete({*first}), ErrorCode::invalid_request));
  EXPECT_TRUE(listed());
}

TEST_P(UploadContract, AnUploadThatNeverWasIsGone) {
  const auto never = store().upload_part(key("never"), id_, 1, payload_of("x"), {});
  EXPECT_TRUE(failed_with(never, ErrorCode::not_found, Cause::upload_gone));
}

}  // namespace spillway
