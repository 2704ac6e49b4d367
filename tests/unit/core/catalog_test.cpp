#include "src/catalog.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/manual_executor.h"
#include "tests/support/memory_store.h"
#include "tests/support/store_calls.h"

namespace spillway {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Path path(std::string_view text) {
  return Path::parse(text).value();
}

class CatalogTest : public testing::Test {
 protected:
  CatalogTest() { make({}); }

  void make(const CatalogSettings& settings) {
    catalog_ = make_catalog(requests_, executor_, settings, [&](const Key& key) {
      const std::lock_guard held(mutex_);
      hidden_.push_back(key);
    });
  }

  // Another client's doings.
  void foreign_put(const Key& key, std::string_view text = "text", const MetadataMap& map = {}) {
    ASSERT_TRUE(put_text(store_, key, text, map).ok());
  }
  void foreign_delete(const Key& key) { ASSERT_TRUE(store_.delete_object(key, {}, {}).ok()); }
  // Our own.
  void own_put(const Key& key, std::string_view text = "text") {
    const auto stored = put_text(store_, key, text, {{"spillway-id", "own"}});
    ASSERT_TRUE(stored.ok());
    RemoteFile file;
    file.size = text.size();
    file.etag = stored->etag;
    file.version_id = stored->version_id;
    file.last_modified = stored->date;
    file.metadata.correlation_id = "own";
    catalog_->file_stored(path(key), file);
  }
  void own_delete(const Key& key) {
    foreign_delete(key);
    catalog_->file_removed(path(key));
  }

  RemoteEntry find(std::string_view text) {
    auto entry = catalog_->find(path(text));
    EXPECT_TRUE(entry.ok()) << text;
    return entry.ok() ? *entry : RemoteEntry();
  }
  bool is_file(std::string_view text) { return find(text).file.has_value(); }
  bool is_directory(std::string_view text) { return find(text).directory.has_value(); }
  bool is_nothing(std::string_view text) {
    const auto entry = find(text);
    return !entry.file && !entry.directory;
  }
  std::string names(std::string_view text) {
    const auto listing = catalog_->list(path(text));
    std::string all;
    for (const auto& name : listing.names) {
      all += (all.empty() ? "" : " ") + name.name + (name.is_directory ? "/" : "");
    }
    return all + (listing.error ? " error" : "");
  }
  int lists() const { return store_.calls(StoreVerb::list_objects); }
  int heads() const { return store_.calls(StoreVerb::head_object); }
  // What the calls of `work` cost.
  template <class Work>
  std::pair<int, int> cost(Work work) {
    const int lists_before = lists();
    const int heads_before = heads();
    work();
    return {lists() - lists_before, heads() - heads_before};
  }
  static constexpr std::pair<int, int> kFree{0, 0};

  void fail_all_with(ErrorCode code) {
    fault_ = Error{.code = code, .detail = "the test says so", .request_id = {}, .retry_after = {}};
  }

  ManualExecutor executor_;
  MemoryStore store_{executor_.clock()};
  Requests requests_{store_, executor_, {.reading = {}, .naming = {}, .disabled = {}}};
  std::optional<Error> fault_;
  std::mutex mutex_;
  std::vector<Key> hidden_;
  std::unique_ptr<Catalog> catalog_;
};

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
  auto listing = catalog_->list(path("d"));
  EXPECT_FALSE(listing.names[1].metadata_known);
  EXPECT_EQ(listing.names[1].file->size, 4U);
  ASSERT_TRUE(catalog_->learn({path("d/b"), path("d/c"), path("d/a")}).ok());
  EXPECT_EQ(heads(), 3);
  listing = catalog_->list(path("d"));
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
    const auto listing = catalog_->list(path("a"));
    EXPECT_EQ(listing.names.size(), 1U);
    EXPECT_EQ(listing.hidden_keys, 5U);
    EXPECT_EQ(names(""), "a/");
    executor_.step(seconds(5));
  }
  EXPECT_EQ(hidden_.size(), 6U);
}

TEST_F(CatalogTest, OneListForAllWhoAskAtOnce) {
  for (int i = 0; i < 20; ++i) foreign_put("d/" + std::to_string(i));
  std::atomic<int> asking = 0;
  std::atomic<bool> go = false;
  store_.fail_before([&](StoreVerb, const Key&, int) -> std::optional<Error> {
    while (!go) std::this_thread::yield();
    return std::nullopt;
  });
  std::vector<std::jthread> threads;
  for (int i = 0; i < 20; ++i) {
    threads.emplace_back([&, i] {
      ++asking;
      EXPECT_TRUE(is_file("d/" + std::to_string(i % 2)));
    });
  }
  while (asking < 20) std::this_thread::yield();
  std::this_thread::sleep_for(milliseconds(20));
  go = true;
  threads.clear();
  EXPECT_EQ(lists(), 1);
  EXPECT_EQ(heads(), 2);
}

TEST_F(CatalogTest, LearnsManyAtOnceAndNoMoreThanItMay) {
  std::vector<Path> files;
  for (int i = 0; i < 100; ++i) {
    foreign_put("d/" + std::to_string(i));
    files.push_back(path("d/" + std::to_string(i)));
  }
  make({.heads_at_once = 4});
  std::atomic<int> running = 0;
  std::atomic<int> most = 0;
  store_.fail_before([&](StoreVerb verb, const Key&, int) -> std::optional<Error> {
    if (verb != StoreVerb::head_object) return std::nullopt;
    most = std::max<int>(most, ++running);
    std::this_thread::sleep_for(milliseconds(1));
    --running;
    return std::nullopt;
  });
  names("d");
  EXPECT_TRUE(catalog_->learn(files).ok());
  EXPECT_EQ(heads(), 100);
  EXPECT_GT(most, 1);
  EXPECT_LE(most, 4);
  EXPECT_TRUE(catalog_->learn(files).ok());
  EXPECT_EQ(heads(), 100);
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

TEST_F(CatalogTest, LooksUpNamesOfLargeDirectoriesOneByOne) {
  for (int i = 10'000; i < 15'000; ++i) foreign_put("d/" + std::to_string(i));
  foreign_put("d/sub/x");
  foreign_put("d/sub-1");
  foreign_put("d/sub");
  EXPECT_TRUE(is_directory("d"));
  EXPECT_EQ(cost([&] { EXPECT_TRUE(is_directory("d/sub")); }), std::pair(6, 1));
  EXPECT_EQ(cost([&] { EXPECT_TRUE(is_file("d/14999")); }), std::pair(2, 1));
  EXPECT_EQ(cost([&] { EXPECT_TRUE(is_nothing("d/none")); }), std::pair(1, 0));
  EXPECT_EQ(cost([&] {
              EXPECT_TRUE(is_nothing("d/none"));
              EXPECT_TRUE(is_nothing("d/none/x"));
            }),
            kFree);
  names("d");
  EXPECT_EQ(cost([&] { EXPECT_TRUE(is_file("d/14998")); }), std::pair(0, 1));
}

TEST_F(CatalogTest, ListsEvenWhatIsTooLargeToKeep) {
  make({.largest_listing = 10});
  for (int i = 10; i < 40; ++i) foreign_put("d/" + std::to_string(i));
  own_put("d/own");
  for (int round = 1; round <= 2; ++round) {
    EXPECT_EQ(catalog_->list(path("d")).names.size(), 31U);
    EXPECT_EQ(lists(), round);
  }
  EXPECT_TRUE(is_file("d/39"));
  EXPECT_TRUE(is_nothing("d/no"));
}

TEST_F(CatalogTest, ForgetsTheDirectoryThatWasUsedLongestAgo) {
  make({.kept_names = 20});
  for (const std::string directory : {"a", "b", "c"}) {
    for (int i = 0; i < 8; ++i) foreign_put(directory + "/" + std::to_string(i));
  }
  names("a");
  names("b");
  names("c");
  EXPECT_EQ(cost([&] { names("c"); }), kFree);
  EXPECT_EQ(cost([&] { names("b"); }), kFree);
  EXPECT_EQ(cost([&] { names("a"); }), std::pair(1, 0));
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

TEST_F(CatalogTest, AnOutageIsAnErrorAndNeverASmallerTree) {
  foreign_put("f");
  foreign_put("d/g");
  is_file("f");
  names("d");
  store_.fail_before([&](StoreVerb, const Key&, int) { return fault_; });
  fail_all_with(ErrorCode::auth_error);
  EXPECT_TRUE(is_file("f"));
  EXPECT_EQ(names(""), "d/ f");
  EXPECT_GT(catalog_->valid_for(path("f")), Duration::zero());
  executor_.step(seconds(5));
  EXPECT_EQ(catalog_->find(path("f")).error().code, ErrorCode::auth_error);
  EXPECT_EQ(catalog_->find(path("none")).error().code, ErrorCode::auth_error);
  EXPECT_EQ(names(""), "d/ f error");
  EXPECT_EQ(names("never/seen"), " error");
  EXPECT_EQ(catalog_->valid_for(path("f")), Duration::zero());
  EXPECT_FALSE(catalog_->is_empty(path("d")).ok());
  ASSERT_TRUE(catalog_->recall(path("f")));
  EXPECT_TRUE(catalog_->recall(path("f"))->file);
  EXPECT_TRUE(catalog_->recall(path("d"))->directory);
  ASSERT_TRUE(catalog_->recall(path("none")));
  EXPECT_FALSE(catalog_->recall(path("none"))->file);
  EXPECT_FALSE(catalog_->recall(path("d/g")));
  EXPECT_FALSE(catalog_->recall(path("x/y")));
  fault_.reset();
  executor_.step(seconds(20));
  EXPECT_EQ(names(""), "d/ f");
}

TEST_F(CatalogTest, AListingThatBreaksOffGivesWhatCameAndAnError) {
  for (int i = 1'000; i < 3'000; ++i) foreign_put("d/" + std::to_string(i));
  foreign_put("d/9");
  int left = 1;
  store_.fail_before([&](StoreVerb verb, const Key&, int) -> std::optional<Error> {
    if (verb != StoreVerb::list_objects || left-- > 0) return std::nullopt;
    return Error{
        .code = ErrorCode::invalid_request, .detail = {}, .request_id = {}, .retry_after = {}};
  });
  const auto listing = catalog_->list(path("d"));
  EXPECT_EQ(listing.names.size(), 1'000U);
  ASSERT_TRUE(listing.error);
}

TEST_F(CatalogTest, SaysHowLongAnAnswerHolds) {
  foreign_put("f");
  EXPECT_EQ(catalog_->valid_for(path("f")), Duration::zero());
  find("f");
  find("none");
  executor_.step(seconds(2));
  EXPECT_EQ(catalog_->valid_for(path("f")), seconds(3));
  EXPECT_EQ(catalog_->valid_for(path("none")), seconds(3));
  EXPECT_EQ(catalog_->valid_for(path("none/x")), seconds(3));
}

TEST_F(CatalogTest, ATtlOfZeroAsksEachTime) {
  make({.ttl = Duration::zero()});
  foreign_put("f");
  EXPECT_EQ(cost([&] { is_file("f"); }), std::pair(1, 1));
  executor_.step(milliseconds(1));
  EXPECT_EQ(cost([&] { is_file("f"); }), std::pair(1, 0));
  EXPECT_EQ(catalog_->valid_for(path("f")), Duration::zero());
}

// Many threads change names of their own and look at them and at all.
TEST_F(CatalogTest, EachThreadSeesItsOwnChangesAtOnce) {
  make({.ttl = milliseconds(1), .kept_names = 30});
  std::vector<std::jthread> threads;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([&, i] {
      const std::string own = "d" + std::to_string(i % 2) + "/f" + std::to_string(i);
      for (int round = 0; round < 60; ++round) {
        own_put(own, std::to_string(round));
        EXPECT_TRUE(is_file(own));
        names("d0");
        executor_.step(milliseconds(round % 3));
        EXPECT_TRUE(is_file(own));
        own_delete(own);
        EXPECT_TRUE(is_nothing(own));
        names("");
      }
    });
  }
}

}  // namespace
}  // namespace spillway
