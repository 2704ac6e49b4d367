#include <atomic>
#include <thread>

#include "tests/contract/contract.h"

namespace spillway {

namespace {

class ObjectContract : public ContractTest {};
RUN_ON_ALL_STORES(ObjectContract);

std::string all_bytes() {
  std::string bytes;
  for (int value = 0; value < 256; ++value) bytes += static_cast<char>(value);
  return bytes;
}

}  // namespace

TEST_P(ObjectContract, TheBucketIsThere) {
  EXPECT_TRUE(succeeded(store().verify_bucket({})));
}

TEST_P(ObjectContract, GetGivesWhatPutStored) {
  const std::string bytes = all_bytes();
  ASSERT_TRUE(succeeded(put_text(store(), key("bytes"), bytes)));
  const auto read = get_text(store(), key("bytes"));
  ASSERT_TRUE(succeeded(read));
  EXPECT_EQ(*read, bytes);
}

TEST_P(ObjectContract, APayloadOfManyPiecesIsOneObject) {
  const std::string bytes = random_bytes(100'000);
  Payload payload;
  for (std::size_t offset = 0; offset < bytes.size(); offset += 9'999) {
    payload.pieces.push_back(
        std::as_bytes(std::span(std::string_view(bytes).substr(offset, 9'999))));
  }
  ASSERT_TRUE(succeeded(store().put_object({key("pieces"), payload, "", {}}, {})));
  const auto read = get_text(store(), key("pieces"));
  ASSERT_TRUE(succeeded(read));
  EXPECT_EQ(*read, bytes);
}

TEST_P(ObjectContract, ALargeObjectComesBackWhole) {
  const std::string bytes = random_bytes(9'000'001);
  ASSERT_TRUE(succeeded(put_text(store(), key("large"), bytes)));
  const auto read = get_text(store(), key("large"));
  ASSERT_TRUE(succeeded(read));
  EXPECT_TRUE(*read == bytes);
}

TEST_P(ObjectContract, AnObjectMayBeEmpty) {
  ASSERT_TRUE(succeeded(put_text(store(), key("empty"), "")));
  const auto info = store().head_object(key("empty"), "", {});
  ASSERT_TRUE(succeeded(info));
  EXPECT_EQ(info->size, 0U);
  const auto read = get_text(store(), key("empty"));
  ASSERT_TRUE(succeeded(read));
  EXPECT_EQ(*read, "");
}

TEST_P(ObjectContract, TheEtagOfAPutIsItsMd5) {
  const auto stored = put_text(store(), key("hello"), "hello");
  ASSERT_TRUE(succeeded(stored));
  EXPECT_EQ(stored->etag, "5d41402abc4b2a76b9719d911017c592");
  EXPECT_EQ(stored->key, key("hello"));
}

TEST_P(ObjectContract, PutHeadGetAndListAgree) {
  const auto stored = put_text(store(), key("same"), "content");
  const auto head = store().head_object(key("same"), "", {});
  GetRequest request;
  request.key = key("same");
  const auto got = store().get_object(request, [](auto) { return Result<>(); }, {});
  const auto listing = store().list_objects({key("same"), "", "", "", 10}, {});
  ASSERT_TRUE(succeeded(stored));
  ASSERT_TRUE(succeeded(head));
  ASSERT_TRUE(succeeded(got));
  ASSERT_TRUE(succeeded(listing));
  ASSERT_EQ(listing->objects.size(), 1U);
  for (const ObjectInfo& info : {*head, *got, listing->objects[0]}) {
    EXPECT_EQ(info.key, key("same"));
    EXPECT_EQ(info.etag, stored->etag);
    EXPECT_EQ(info.size, 7U);
  }
  EXPECT_EQ(head->version_id, stored->version_id);
  EXPECT_EQ(got->version_id, stored->version_id);
  EXPECT_EQ(head->last_modified, got->last_modified);
  const auto distance = std::chrono::abs(head->last_modified - listing->objects[0].last_modified);
  EXPECT_LT(distance, std::chrono::seconds(2));
}

TEST_P(ObjectContract, PutReplacesTheObject) {
  ASSERT_TRUE(succeeded(put_text(store(), key("twice"), "first, and longer")));
  ASSERT_TRUE(succeeded(put_text(store(), key("twice"), "second")));
  const auto read = get_text(store(), key("twice"));
  ASSERT_TRUE(succeeded(read));
  EXPECT_EQ(*read, "second");
}

TEST_P(ObjectContract, MetadataAndTypeAreKept) {
  const MetadataMap metadata = {{"mtime", "1700000000.123456789"},
                                {"mode", "33188"},
                                {"xattr", "%7B%22user.a%22%3A%22YQ==%22%7D"},
                                {"text", "a b  c, \"d\"; e=f"}};
  ASSERT_TRUE(
      succeeded(store().put_object({key("meta"), payload_of("x"), "image/x-odd", metadata}, {})));
  const auto info = store().head_object(key("meta"), "", {});
  ASSERT_TRUE(succeeded(info));
  EXPECT_EQ(info->metadata.at("mtime"), "1700000000.123456789");
  EXPECT_EQ(info->metadata.at("mode"), "33188");
  EXPECT_EQ(info->metadata.at("xattr"), metadata.at("xattr"));
  EXPECT_EQ(info->metadata.at("text"), metadata.at("text"));
  EXPECT_EQ(info->content_type, "image/x-odd");
}

TEST_P(ObjectContract, WhatIsNotThereIsNotFound) {
  EXPECT_TRUE(failed_with(store().head_object(key("none"), "", {}), ErrorCode::not_found));
  bool sunk = false;
  GetRequest request;
  request.key = key("none");
  const auto sink = [&](auto) {
    sunk = true;
    return Result<>();
  };
  EXPECT_TRUE(failed_with(store().get_object(request, sink, {}), ErrorCode::not_found));
  EXPECT_FALSE(sunk);
}

TEST_P(ObjectContract, DeletedIsNotFound) {
  ASSERT_TRUE(succeeded(put_text(store(), key("gone"), "x")));
  ASSERT_TRUE(succeeded(store().delete_object(key("gone"), "", {})));
  EXPECT_TRUE(failed_with(store().head_object(key("gone"), "", {}), ErrorCode::not_found));
  EXPECT_TRUE(failed_with(get_text(store(), key("gone")), ErrorCode::not_found));
  const auto listing = store().list_objects({key("gone"), "", "", "", 10}, {});
  ASSERT_TRUE(succeeded(listing));
  EXPECT_TRUE(listing->objects.empty());
}

TEST_P(ObjectContract, DeletingWhatNeverWasIsNoError) {
  EXPECT_TRUE(succeeded(store().delete_object(key("never"), "", {})));
}

TEST_P(ObjectContract, ACopyKeepsBytesAndMetadata) {
  ASSERT_TRUE(succeeded(put_text(store(), key("from"), "copied", {{"mtime", "5"}})));
  const auto stored = store().copy_object({key("from"), "", key("to"), std::nullopt, ""}, {});
  ASSERT_TRUE(succeeded(stored));
  const auto info = store().head_object(key("to"), "", {});
  ASSERT_TRUE(succeeded(info));
  EXPECT_EQ(info->metadata.at("mtime"), "5");
  EXPECT_EQ(info->content_type, "text/plain");
  EXPECT_EQ(info->etag, stored->etag);
  EXPECT_EQ(get_text(store(), key("to")).value(), "copied");
}

TEST_P(ObjectContract, ACopyOntoItselfReplacesMetadata) {
  ASSERT_TRUE(succeeded(put_text(store(), key("self"), "same", {{"mtime", "5"}, {"mode", "1"}})));
  const CopyRequest request = {key("self"), "", key("self"), MetadataMap{{"mtime", "6"}}, "text/y"};
  ASSERT_TRUE(succeeded(store().copy_object(request, {})));
  const auto info = store().head_object(key("self"), "", {});
  ASSERT_TRUE(succeeded(info));
  EXPECT_EQ(info->metadata.at("mtime"), "6");
  EXPECT_FALSE(info->metadata.contains("mode"));
  EXPECT_EQ(info->content_type, "text/y");
  EXPECT_EQ(get_text(store(), key("self")).value(), "same");
}

TEST_P(ObjectContract, ACopyOfNothingIsNotFound) {
  EXPECT_TRUE(failed_with(store().copy_object({key("none"), "", key("to"), std::nullopt, ""}, {}),
                          ErrorCode::not_found));
}

TEST_P(ObjectContract, RangesGiveExactlyTheirBytes) {
  ASSERT_TRUE(succeeded(put_text(store(), key("digits"), "0123456789")));
  const std::vector<std::pair<ByteRange, std::string>> cases = {
      {{0, 1}, "0"},  {{0, 10}, "0123456789"},    {{3, 4}, "3456"}, {{9, 1}, "9"},
      {{8, 5}, "89"}, {{0, 1'000}, "0123456789"}, {{10, 1}, ""},    {{50, 5}, ""}};
  for (const auto& [range, expected] : cases) {
    SCOPED_TRACE(std::to_string(range.offset) + "+" + std::to_string(range.size));
    GetRequest request;
    request.key = key("digits");
    request.range = range;
    const auto read = get_text(store(), request);
    ASSERT_TRUE(succeeded(read));
    EXPECT_EQ(*read, expected);
  }
}

TEST_P(ObjectContract, ARangeTellsTheWholeSize) {
  ASSERT_TRUE(succeeded(put_text(store(), key("digits"), "0123456789")));
  for (const std::uint64_t offset : {2U, 10U}) {
    GetRequest request;
    request.key = key("digits");
    request.range = ByteRange{offset, 3};
    const auto info = store().get_object(request, [](auto) { return Result<>(); }, {});
    ASSERT_TRUE(succeeded(info));
    EXPECT_EQ(info->size, 10U);
  }
}

TEST_P(ObjectContract, IfMatchHoldsOnToOneVersion) {
  const auto first = put_text(store(), key("match"), "first");
  ASSERT_TRUE(succeeded(first));
  GetRequest request;
  request.key = key("match");
  request.if_match = first->etag;
  request.range = ByteRange{1, 2};
  EXPECT_EQ(get_text(store(), request).value(), "ir");
  ASSERT_TRUE(succeeded(put_text(store(), key("match"), "other")));
  const auto read = get_text(store(), request);
  EXPECT_TRUE(failed_with(read, ErrorCode::stale, Cause::version_changed));
}

TEST_P(ObjectContract, ASinkThatStopsDecidesTheResult) {
  const std::string bytes = random_bytes(3'000'000);
  ASSERT_TRUE(succeeded(put_text(store(), key("stop"), bytes)));
  int pieces = 0;
  GetRequest request;
  request.key = key("stop");
  const ByteSink sink = [&](std::span<const std::byte>) -> Result<> {
    ++pieces;
    return fail(ErrorCode::local_error, "enough");
  };
  const auto result = store().get_object(request, sink, {});
  ASSERT_TRUE(failed_with(result, ErrorCode::local_error));
  EXPECT_EQ(result.error().detail, "enough");
  EXPECT_EQ(pieces, 1);
  EXPECT_TRUE(get_text(store(), key("stop")).value() == bytes);
}

TEST_P(ObjectContract, ACancelledCallIsInterrupted) {
  std::stop_source stop;
  stop.request_stop();
  CallOptions options;
  options.cancel = stop.get_token();
  const auto result = store().put_object({key("cancelled"), payload_of("x"), "", {}}, options);
  EXPECT_TRUE(failed_with(result, ErrorCode::interrupted));
  EXPECT_TRUE(failed_with(store().head_object(key("cancelled"), "", {}), ErrorCode::not_found));
}

TEST_P(ObjectContract, ManyThreadsMayCallAtOnce) {
  std::atomic<int> good = 0;
  {
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < 8; ++thread) {
      threads.emplace_back([&, thread] {
        for (int round = 0; round < 10; ++round) {
          const std::string text = std::to_string(thread) + "-" + std::to_string(round);
          const Key name = key("parallel-" + text);
          if (!put_text(store(), name, text)) continue;
          const auto read = get_text(store(), name);
          if (read && *read == text) ++good;
        }
      });
    }
  }
  EXPECT_EQ(good, 80);
}

}  // namespace spillway
