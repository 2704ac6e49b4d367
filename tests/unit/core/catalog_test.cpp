#include "src/catalog.h"

#include <gtest/gtest.h>

#include <atomic>
#include <optional>
#include <string>

#include "tests/unit/core/catalog_fixture.h"

namespace spillway {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST_F(CatalogTest, FindsFilesWithTheirMetadata) {
  foreign_put("a/f", "hello", {{"mtime", "1700000000"}, {"uid", "7"}});
  const auto file = find("a/f").file;
  ASSERT_TRUE(file);
  EXPECT_EQ(file->size, 5U);
  EXPECT_EQ(file->metadata.uid, 7U);
  EXPECT_EQ(file->metadata.mtime, WallTime(seconds(1'700'000'000)));
  EXPECT_FALSE(file->version_id.empty());
  EXPECT_TRUE(is_directory("a"));
  EXPECT_TRUE(is_directory(""));
  EXPECT_TRUE(is_nothing("b"));
}

TEST_F(CatalogTest, AnswersFromOneListingForItsLife) {
  foreign_put("f");
  foreign_put("g");
  EXPECT_EQ(cost([&] { is_file("f"); }), std::pair(1, 1));
  EXPECT_EQ(cost([&] { is_file("g"); }), std::pair(0, 1));
  EXPECT_EQ(cost([&] {
              is_file("f");
              is_nothing("h");
              names("");
            }),
            kFree);
  executor_.step(seconds(5));
  EXPECT_EQ(cost([&] { is_file("f"); }), std::pair(1, 0));
}

TEST_F(CatalogTest, WhatIsBelowNothingCostsNothing) {
  EXPECT_TRUE(is_nothing("a"));
  EXPECT_EQ(cost([&] {
              EXPECT_TRUE(is_nothing("a/b"));
              EXPECT_TRUE(is_nothing("a/b/c/d"));
              EXPECT_EQ(names("a/b"), "");
            }),
            kFree);
}

TEST_F(CatalogTest, ListsNamesInOrderWithWhatIsKnown) {
  for (const auto* key : {"d/", "d/b", "d/a/x", "d/c", "d/\xff", "e"}) foreign_put(key);
  EXPECT_EQ(names("d"), "a/ b c \xff");
  auto listing = catalog_->list(path("d"), {});
  EXPECT_FALSE(listing.names[1].metadata_known);
  EXPECT_EQ(listing.names[1].file->size, 4U);
  ASSERT_TRUE(catalog_->learn({path("d/b"), path("d/c"), path("d/a")}).ok());
  EXPECT_EQ(heads(), 3);
  listing = catalog_->list(path("d"), {});
  EXPECT_TRUE(listing.names[0].metadata_known);
  EXPECT_TRUE(listing.names[1].metadata_known);
  EXPECT_FALSE(listing.names[3].metadata_known);
  EXPECT_EQ(lists(), 1);
}

TEST_F(CatalogTest, ListsAllPages) {
  std::string expected;
  for (int i = 1'000; i < 3'500; ++i) {
    foreign_put("d/" + std::to_string(i));
    expected += (i == 1'000 ? "" : " ") + std::to_string(i);
  }
  EXPECT_EQ(names("d"), expected);
  EXPECT_EQ(lists(), 3);
}

TEST_F(CatalogTest, ForeignChangesShowAfterTheTtl) {
  foreign_put("f", "one");
  EXPECT_EQ(find("f").file->size, 3U);
  foreign_put("f", "three");
  foreign_put("g");
  executor_.step(seconds(5));
  EXPECT_EQ(find("f").file->size, 5U);
  EXPECT_TRUE(is_file("g"));
  foreign_delete("f");
  executor_.step(seconds(5));
  EXPECT_TRUE(is_nothing("f"));
}

TEST_F(CatalogTest, ForeignChangesOfMetadataAloneShowToo) {
  foreign_put("f", "same", {{"uid", "1"}});
  EXPECT_EQ(find("f").file->metadata.uid, 1U);
  executor_.step(seconds(10));
  foreign_put("f", "same", {{"uid", "2"}});
  executor_.step(seconds(10));
  EXPECT_EQ(find("f").file->metadata.uid, 2U);
}

TEST_F(CatalogTest, OwnChangesCostNothingAndShowAtOnce) {
  names("");
  EXPECT_EQ(cost([&] { own_put("f"); }), kFree);
  EXPECT_EQ(cost([&] {
              EXPECT_EQ(find("f").file->metadata.correlation_id, "own");
              EXPECT_EQ(names(""), "f");
            }),
            kFree);
  own_delete("f");
  EXPECT_EQ(cost([&] {
              EXPECT_TRUE(is_nothing("f"));
              EXPECT_EQ(names(""), "");
            }),
            kFree);
}

TEST_F(CatalogTest, OwnMetadataSurvivesListings) {
  own_put("f");
  executor_.step(seconds(5));
  EXPECT_EQ(cost([&] { EXPECT_EQ(find("f").file->metadata.correlation_id, "own"); }),
            std::pair(1, 0));
  executor_.step(seconds(5));
  EXPECT_EQ(cost([&] { is_file("f"); }), std::pair(1, 0));
}

TEST_F(CatalogTest, AVersionOfAnotherTimeIsNotOurs) {
  own_put("f");
  executor_.step(seconds(10));
  foreign_put("f", "text", {{"spillway-id", "foreign"}});
  executor_.step(seconds(10));
  EXPECT_EQ(find("f").file->metadata.correlation_id, "foreign");
}

TEST_F(CatalogTest, AListingUnderWayCantUndoAnOwnChange) {
  foreign_put("gone");
  std::atomic<int> left = 1;
  store_.fail_after([&](StoreVerb verb, const Key&, int) -> std::optional<Error> {
    if (verb == StoreVerb::list_objects && left-- == 1) {
      own_put("d/new");
      own_delete("gone");
    }
    return std::nullopt;
  });
  EXPECT_EQ(names(""), "d/");
  EXPECT_TRUE(is_file("d/new"));
  EXPECT_TRUE(is_nothing("gone"));
}

TEST_F(CatalogTest, AHeadUnderWayCantUndoAnOwnChange) {
  foreign_put("f", "foreign");
  std::atomic<int> left = 1;
  store_.fail_after([&](StoreVerb verb, const Key&, int) -> std::optional<Error> {
    if (verb == StoreVerb::head_object && left-- == 1) own_put("f", "ours");
    return std::nullopt;
  });
  EXPECT_EQ(find("f").file->metadata.correlation_id, "own");
}

TEST_F(CatalogTest, StoringAFileMakesItsDirectories) {
  is_nothing("a");
  own_put("a/b/c");
  EXPECT_EQ(cost([&] {
              EXPECT_TRUE(is_directory("a"));
              EXPECT_TRUE(is_directory("a/b"));
              EXPECT_EQ(names("a"), "b/");
              EXPECT_EQ(names("a/b"), "c");
              EXPECT_TRUE(is_nothing("a/b/d"));
            }),
            kFree);
}

TEST_F(CatalogTest, DirectoriesWithoutMarkerGoWithTheirLastFile) {
  own_put("a/b/c");
  own_put("d/e");
  own_delete("a/b/c");
  EXPECT_TRUE(is_nothing("a/b"));
  EXPECT_TRUE(is_nothing("a"));
  EXPECT_EQ(names(""), "d/");
}

TEST_F(CatalogTest, DirectoriesWithMarkerStay) {
  foreign_put("a/", "");
  ASSERT_TRUE(put_text(store_, "a/", "").ok());
  catalog_->directory_stored(path("a"), {.has_marker = true, .metadata = {}});
  own_put("a/f");
  own_delete("a/f");
  EXPECT_EQ(cost([&] { EXPECT_TRUE(find("a").directory->has_marker); }), kFree);
}

TEST_F(CatalogTest, ANewDirectoryIsKnownToBeEmpty) {
  is_nothing("d");
  foreign_put("d/", "");
  catalog_->directory_stored(path("d"), {.has_marker = true, .metadata = {}});
  EXPECT_EQ(cost([&] {
              EXPECT_TRUE(is_nothing("d/f"));
              EXPECT_EQ(names("d"), "");
              EXPECT_TRUE(is_directory("d"));
            }),
            kFree);
  foreign_delete("d/");
  catalog_->directory_removed(path("d"));
  EXPECT_EQ(cost([&] { EXPECT_TRUE(is_nothing("d")); }), kFree);
}

TEST_F(CatalogTest, LearnsMarkersOfDirectories) {
  foreign_put("d/", "some bytes", {{"mode", std::to_string(0040700)}});
  foreign_put("e/f");
  EXPECT_EQ(find("d").directory->metadata.permissions, 0700U);
  EXPECT_TRUE(find("d").directory->has_marker);
  EXPECT_FALSE(find("e").directory->has_marker);
  EXPECT_EQ(heads(), 2);
  executor_.step(seconds(5));
  names("d");
  find("d");
  find("e");
  EXPECT_EQ(heads(), 2);
  foreign_put("d/", "some bytes", {{"mode", std::to_string(0040711)}});
  executor_.step(seconds(5));
  names("d");
  EXPECT_EQ(find("d").directory->metadata.permissions, 0711U);
}

TEST_F(CatalogTest, ADirectoryHidesAFileOfItsNameAsLongAsItIsThere) {
  foreign_put("a", "file");
  foreign_put("a/b");
  EXPECT_TRUE(is_directory("a"));
  EXPECT_FALSE(find("a").file);
  EXPECT_EQ(names(""), "a/");
  own_delete("a/b");
  EXPECT_EQ(find("a").file->size, 4U);
  EXPECT_EQ(names(""), "a");
}

TEST_F(CatalogTest, KeysThatCantBePathsAreHiddenCountedAndNamedOnce) {
  const std::string long_name(256, 'x');
  for (const auto& key :
       {std::string("a//b"), std::string("a/./b"), std::string("a/.."), std::string("a/n\0l", 5),
        "a/" + long_name, std::string("/root"), std::string("a/ok")}) {
    foreign_put(key);
  }
  for (int round = 0; round < 2; ++round) {
    const auto listing = catalog_->list(path("a"), {});
    EXPECT_EQ(listing.names.size(), 1U);
    EXPECT_EQ(listing.hidden_keys, 5U);
    EXPECT_EQ(names(""), "a/");
    executor_.step(seconds(5));
  }
  EXPECT_EQ(hidden_.size(), 6U);
}

TEST_F(CatalogTest, LearningDropsWhatIsGoneAndTellsTheFirstFailure) {
  foreign_put("f");
  foreign_put("g");
  names("");
  foreign_delete("f");
  EXPECT_TRUE(catalog_->learn({path("f")}).ok());
  EXPECT_EQ(names(""), "g");
  store_.fail_before([&](StoreVerb, const Key&, int) { return fault_; });
  fail_all_with(ErrorCode::invalid_request);
  EXPECT_EQ(catalog_->learn({path("g")}).error().code, ErrorCode::invalid_request);
}

TEST_F(CatalogTest, TellsWhetherADirectoryIsEmpty) {
  foreign_put("a/", "");
  foreign_put("b/", "");
  foreign_put("b/c");
  EXPECT_TRUE(*catalog_->is_empty(path("a")));
  EXPECT_FALSE(*catalog_->is_empty(path("b")));
  EXPECT_TRUE(*catalog_->is_empty(path("none")));
  EXPECT_FALSE(*catalog_->is_empty(Path()));
  own_delete("b/c");
  EXPECT_TRUE(*catalog_->is_empty(path("b")));
}

TEST_F(CatalogTest, CountsOwnChangesMadeWhileItAsksWhetherADirectoryIsEmpty) {
  foreign_put("a/x");
  std::atomic<int> number = 0;
  store_.fail_after([&](StoreVerb verb, const Key&, int) -> std::optional<Error> {
    if (verb != StoreVerb::list_objects) return std::nullopt;
    if (++number == 1) own_delete("a/x");
    if (number == 2) own_put("b/y");
    return std::nullopt;
  });
  EXPECT_TRUE(*catalog_->is_empty(path("a")));
  EXPECT_FALSE(*catalog_->is_empty(path("b")));
}

}  // namespace
}  // namespace spillway
