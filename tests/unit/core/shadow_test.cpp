#include "src/shadow.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/shadow_fixture.h"

namespace spillway {
namespace {

TEST_F(ShadowTest, AWholeFileLiesUnderItsOwnPath) {
  const auto record = publish("dir/sub/file", "text");
  EXPECT_FALSE(record.id.empty());
  EXPECT_GT(record.sequence, 0U);
  EXPECT_EQ(rig_.shadow->location_of(record), "/memory/files/dir/sub/file");
  EXPECT_EQ(rig_.disk.content("files/dir/sub/file"), "text");
  EXPECT_EQ(rig_.shadow->usage().files, 1U);
  EXPECT_EQ(rig_.shadow->usage().bytes, 4U);
  reopen();
  EXPECT_EQ(text_at("dir/sub/file"), "text");
  EXPECT_EQ(place_of("dir/sub/file"), "/memory/files/dir/sub/file");
  EXPECT_EQ(rig_.shadow->usage().bytes, 4U);
  EXPECT_EQ(rig_.shadow->recovery().files, 1U);
}

TEST_F(ShadowTest, FindAndWithin) {
  for (const auto* path : {"a/x", "a.b", "a/b/y", "ab", "z"}) publish(path, path);
  publish("a/x", "newer");
  const auto texts = [&](std::string_view directory) {
    std::string all;
    const Path path = directory.empty() ? Path() : path_of(directory);
    for (const auto& record : rig_.shadow->within(path)) all += record.path.text() + " ";
    return all;
  };
  EXPECT_EQ(texts("a"), "a/b/y a/x ");
  EXPECT_EQ(texts("a/b"), "a/b/y ");
  EXPECT_EQ(texts("z"), "z ");
  EXPECT_EQ(texts(""), "a.b a/b/y ab z a/x ");
  EXPECT_EQ(texts("none"), "");
  EXPECT_FALSE(rig_.shadow->find(path_of("a")).has_value());
  EXPECT_FALSE(rig_.shadow->find(Path()).has_value());
}

TEST_F(ShadowTest, ASplitFilesRangesLieApart) {
  auto draft = rig_.shadow->create_draft().value();
  ASSERT_TRUE(draft->write(100, bytes("tail")).ok());
  auto record = record_for("video", 104);
  record.storage = Storage::split;
  record.ranges = {{100, 4}};
  record.upload = UnfinishedUpload{.key = "video", .id = "upload", .part_size = 100,
                                   .parts = {{1, {0, 100}, "etag", ""}}};
  ASSERT_TRUE(rig_.shadow->publish(*draft, record).ok());
  EXPECT_EQ(rig_.shadow->usage().bytes, 4U);
  reopen();
  EXPECT_EQ(rig_.shadow->recovery().splits, 1U);
  EXPECT_TRUE(place_of("video").starts_with("/memory/parts/"));
  const auto found = *rig_.shadow->find(path_of("video"));
  EXPECT_EQ(found.upload, record.upload);
  const auto file = rig_.shadow->open_data(found).value();
  std::string tail(4, '\0');
  EXPECT_EQ(*file->read_at(100, std::as_writable_bytes(std::span(tail))), 4U);
  EXPECT_EQ(tail, "tail");
}

TEST_F(ShadowTest, WhatIsNoFileLiesApart) {
  for (const FileKind kind : {FileKind::symlink, FileKind::directory, FileKind::fifo}) {
    auto draft = draft_of("target");
    auto record = record_for("thing", 6);
    record.metadata.kind = kind;
    ASSERT_TRUE(rig_.shadow->publish(*draft, record).ok());
    EXPECT_TRUE(place_of("thing").starts_with("/memory/parts/"));
    reopen();
    EXPECT_TRUE(place_of("thing").starts_with("/memory/parts/"));
    EXPECT_EQ(text_at("thing"), "target");
  }
}

TEST_F(ShadowTest, AFileWhereADirectoryIsNeededStaysUnderItsId) {
  publish("a", "file");
  publish("a/b", "below");
  EXPECT_EQ(place_of("a"), "/memory/files/a");
  EXPECT_TRUE(place_of("a/b").starts_with("/memory/parts/"));
  EXPECT_EQ(text_at("a/b"), "below");
  publish("c/d", "below");
  publish("c", "file");
  EXPECT_TRUE(place_of("c").starts_with("/memory/parts/"));
  reopen();
  EXPECT_EQ(text_at("a"), "file");
  EXPECT_EQ(text_at("a/b"), "below");
  EXPECT_EQ(text_at("c"), "file");
  EXPECT_EQ(text_at("c/d"), "below");
}

TEST_F(ShadowTest, AFileThatIsNotOursIsNeitherReplacedNorRemoved) {
  rig_.disk.put("files/a", "a person's");
  publish("a", "ours");
  EXPECT_EQ(rig_.disk.content("files/a"), "a person's");
  EXPECT_EQ(text_at("a"), "ours");
  reopen();
  EXPECT_EQ(rig_.shadow->recovery().unknown, 1U);
  EXPECT_EQ(rig_.log.count("shadow_unknown_files"), 1U);
  EXPECT_EQ(rig_.disk.content("files/a"), "a person's");
  EXPECT_EQ(text_at("a"), "ours");
  ASSERT_TRUE(rig_.shadow->remove(rig_.id_at("a")).ok());
  EXPECT_EQ(rig_.disk.content("files/a"), "a person's");
}

TEST_F(ShadowTest, ReplacingRemovesTheOldDataAndKeepsItReadableForWhoHasItOpen) {
  const auto old = publish("a", "old");
  const auto file = rig_.shadow->open_data(old).value();
  const auto fresh = publish("a", "newer");
  EXPECT_GT(fresh.sequence, old.sequence);
  EXPECT_EQ(rig_.shadow->usage().files, 1U);
  EXPECT_EQ(rig_.shadow->usage().bytes, 5U);
  std::string text(3, '\0');
  EXPECT_EQ(*file->read_at(0, std::as_writable_bytes(std::span(text))), 3U);
  EXPECT_EQ(text, "old");
  EXPECT_EQ(rig_.shadow->open_data(old).error().code, ErrorCode::stale);
  EXPECT_EQ(rig_.shadow->remove(old.id).error().code, ErrorCode::stale);
  EXPECT_EQ(rig_.shadow->update(old).error().code, ErrorCode::stale);
  EXPECT_EQ(rig_.shadow->rename(old.id, path_of("b")).error().code, ErrorCode::stale);
  EXPECT_EQ(text_at("a"), "newer");
}

TEST_F(ShadowTest, NothingIsLeftOnceAllIsRemoved) {
  publish("a/b/c", "1");
  publish("a/b/c", "2");
  publish("a/d", "3");
  ASSERT_TRUE(rig_.shadow->rename(rig_.id_at("a/d"), path_of("e/f")).ok());
  for (const auto& record : rig_.shadow->within(Path())) {
    ASSERT_TRUE(rig_.shadow->remove(record.id).ok());
  }
  EXPECT_EQ(rig_.shadow->usage().bytes, 0U);
  ASSERT_TRUE(rig_.shadow->close_cleanly().ok());
  EXPECT_EQ(rig_.disk.files(), (std::vector<std::string>{"clean", "lock", "spillway.json"}));
  EXPECT_TRUE(rig_.disk.list("files")->empty());
}

TEST_F(ShadowTest, RenameKeepsTheIdAndReplacesTheTarget) {
  const auto record = publish("a", "moved");
  publish("d/b", "replaced");
  const auto renamed = rig_.shadow->rename(record.id, path_of("d/b"));
  ASSERT_TRUE(renamed.ok());
  EXPECT_EQ(renamed->id, record.id);
  EXPECT_EQ(renamed->path.text(), "d/b");
  EXPECT_EQ(place_of("d/b"), "/memory/files/d/b");
  EXPECT_EQ(place_of("a"), "NO RECORD");
  EXPECT_EQ(rig_.shadow->usage().files, 1U);
  reopen();
  EXPECT_EQ(text_at("d/b"), "moved");
  EXPECT_EQ(place_of("a"), "NO RECORD");
}

TEST_F(ShadowTest, UpdateChangesWhatIsKnownOfAFileAndNotTheFile) {
  auto record = publish("a", "text");
  record.metadata.permissions = 0640;
  record.reason.detail = "changed";
  record.seen = Seen::absent;
  record.path = path_of("elsewhere");
  record.size = 77;
  record.sequence = 99;
  ASSERT_TRUE(rig_.shadow->update(record).ok());
  reopen();
  const auto found = rig_.shadow->find(path_of("a"));
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->metadata.permissions, 0640U);
  EXPECT_EQ(found->reason.detail, "changed");
  EXPECT_EQ(found->seen, Seen::absent);
  EXPECT_EQ(found->size, 4U);
  EXPECT_EQ(text_at("a"), "text");
}

// --- drafts

TEST_F(ShadowTest, ADraftIsReadWrittenAndCut) {
  auto draft = rig_.shadow->create_draft().value();
  ASSERT_TRUE(draft->write(2, bytes("cdef")).ok());
  ASSERT_TRUE(draft->write(0, bytes("ab")).ok());
  std::string text(10, '.');
  EXPECT_EQ(*draft->read(1, std::as_writable_bytes(std::span(text))), 5U);
  EXPECT_EQ(text.substr(0, 5), "bcdef");
  ASSERT_TRUE(draft->truncate(3).ok());
  ASSERT_TRUE(rig_.shadow->publish(*draft, record_for("a", 3)).ok());
  EXPECT_EQ(text_at("a"), "abc");
}

TEST_F(ShadowTest, ADraftGoesWithItsObject) {
  draft_of("text").reset();
  rig_.kill();
  EXPECT_EQ(rig_.disk.files(), (std::vector<std::string>{"lock", "spillway.json"}));
}

TEST_F(ShadowTest, APublishedDraftCantBeChanged) {
  auto draft = draft_of("text");
  ASSERT_TRUE(rig_.shadow->publish(*draft, record_for("a", 4)).ok());
  EXPECT_EQ(draft->write(0, bytes("x")).error().code, ErrorCode::bad_handle);
  EXPECT_EQ(draft->truncate(0).error().code, ErrorCode::bad_handle);
  EXPECT_EQ(rig_.shadow->publish(*draft, record_for("b", 4)).error().code, ErrorCode::bad_handle);
  draft.reset();
  EXPECT_EQ(text_at("a"), "text");
}

TEST_F(ShadowTest, AShortFileIsNeverPublished) {
  auto draft = draft_of("text");
  for (const std::uint64_t size : {0U, 3U, 5U}) {
    EXPECT_EQ(rig_.shadow->publish(*draft, record_for("a", size)).error().code,
              ErrorCode::invalid_argument);
  }
  auto split = record_for("a", 100);
  split.storage = Storage::split;
  split.ranges = {{0, 5}};
  EXPECT_EQ(rig_.shadow->publish(*draft, split).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(rig_.shadow->publish(*draft, record_for("a", 4))->path.text(), "a");
}

TEST_F(ShadowTest, ADraftCanBePublishedAgainAfterAFault) {
  auto draft = draft_of("text");
  rig_.disk.fail({.call = DiskCall::write, .nth = 1, .system_errno = ENOSPC, .lasts = DiskFault::Lasts::once});
  EXPECT_EQ(rig_.shadow->publish(*draft, record_for("a", 4)).error().system_errno, ENOSPC);
  ASSERT_TRUE(draft->write(4, bytes("more")).ok());
  ASSERT_TRUE(rig_.shadow->publish(*draft, record_for("a", 8)).ok());
  reopen();
  EXPECT_EQ(text_at("a"), "textmore");
}

TEST_F(ShadowTest, ADraftWhoseSyncFailedIsNeverPublished) {
  auto draft = draft_of("text");
  rig_.disk.fail({.call = DiskCall::sync, .nth = 1, .system_errno = EIO, .lasts = DiskFault::Lasts::once});
  EXPECT_FALSE(rig_.shadow->publish(*draft, record_for("a", 4)).ok());
  EXPECT_FALSE(rig_.shadow->publish(*draft, record_for("a", 4)).ok());
  EXPECT_FALSE(rig_.shadow->find(path_of("a")).has_value());
}

// The record may be on the disk although it was not acknowledged: its bytes must stay what they are.
TEST_F(ShadowTest, ADraftThatMayBeNamedIsFrozen) {
  auto draft = draft_of("text");
  rig_.disk.fail({.call = DiskCall::sync_directory, .nth = 2, .system_errno = EIO,
                  .lasts = DiskFault::Lasts::for_ever});
  EXPECT_FALSE(rig_.shadow->publish(*draft, record_for("a", 4)).ok());
  rig_.disk.heal();
  EXPECT_EQ(draft->write(0, bytes("x")).error().system_errno, EIO);
  EXPECT_EQ(draft->truncate(0).error().system_errno, EIO);
  ASSERT_TRUE(rig_.shadow->publish(*draft, record_for("a", 4)).ok());
  reopen();
  EXPECT_EQ(text_at("a"), "text");
}

TEST_F(ShadowTest, CopiesAFileToADraft) {
  const std::string text = some_content(1, 3'000'000);
  const auto record = publish("a", text);
  auto draft = rig_.shadow->copy_to_draft(record);
  ASSERT_TRUE(draft.ok()) << draft.error().detail;
  ASSERT_TRUE((*draft)->write(0, bytes("changed")).ok());
  EXPECT_EQ(text_at("a"), text);
  ASSERT_TRUE(rig_.shadow->publish(**draft, record_for("a", text.size())).ok());
  EXPECT_EQ(text_at("a"), "changed" + text.substr(7));
}

// --- many at once

TEST_F(ShadowTest, ManyThreadsPublishRenameReadAndRemove) {
  constexpr int kThreads = 8;
  constexpr int kRounds = 40;
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      const std::string own = "own/" + std::to_string(t);
      for (int i = 0; i < kRounds; ++i) {
        const std::string text = some_content(static_cast<std::uint64_t>(t * 1'000 + i), 5'000);
        const auto record = rig_.publish(own, text);
        const auto shared = rig_.publish("shared", text);
        if (!record || !shared || rig_.content(*record).value() != text) ++wrong;
        const auto now = rig_.shadow->find(path_of("shared"));
        // Others may have replaced it: then it is stale, but never another version's bytes.
        if (const auto file = rig_.content(*shared); file && *file != text) ++wrong;
        if (now && now->size != 5'000) ++wrong;
        if (i % 5 == 4) (void)rig_.shadow->rename(record->id, path_of("shared"));
        if (i % 7 == 6) (void)rig_.shadow->remove(shared->id);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  const auto before = rig_.state();
  ASSERT_TRUE(before.ok()) << before.error().detail;
  reopen();
  EXPECT_EQ(rig_.state().value(), *before);
  EXPECT_EQ(rig_.shadow->recovery().damaged, 0U);
}

}  // namespace
}  // namespace spillway
