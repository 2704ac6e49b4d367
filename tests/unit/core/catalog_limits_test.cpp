// The catalog when much is asked of it, or B2 can't be asked.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/core/catalog_fixture.h"

namespace spillway {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

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
    const auto listing = catalog_->list(path("d"), {});
    EXPECT_EQ(listing.names.size(), 31U);
    EXPECT_FALSE(listing.next);
    EXPECT_EQ(lists(), round);
  }
  EXPECT_TRUE(is_file("d/39"));
  EXPECT_TRUE(is_nothing("d/no"));
}

TEST_F(CatalogTest, ReadsALargeDirectoryInStretches) {
  make({.largest_listing = 2'000});
  for (int i = 10'000; i < 15'500; ++i) foreign_put("d/" + std::to_string(i));
  const auto first = catalog_->list(path("d"), {});
  EXPECT_EQ(first.names.size(), 1'999U);  // the last one may still be a directory as well
  ASSERT_TRUE(first.next);
  EXPECT_EQ(lists(), 2);
  own_put("d/00000");  // before what comes
  own_put("d/12000-1");
  own_delete("d/12500");
  const auto second = catalog_->list(path("d"), *first.next);
  EXPECT_EQ(second.names.front().name, "11999");
  EXPECT_EQ(second.names[1].name, "12000");
  EXPECT_EQ(second.names[2].name, "12000-1");
  ASSERT_TRUE(catalog_->learn({path("d/12001"), path("d/12002")}).ok());
  EXPECT_EQ(heads(), 2);
  ASSERT_TRUE(second.next);
  const auto third = catalog_->list(path("d"), *second.next);
  EXPECT_EQ(third.names.back().name, "15499");
  EXPECT_FALSE(third.next);
  EXPECT_EQ(first.names.size() + second.names.size() + third.names.size(), 5'500U);
}

TEST_F(CatalogTest, ANameThatIsBothIsADirectoryInTheStretchThatShowsIt) {
  make({.largest_listing = 1'000});
  foreign_put("a");
  for (int i = 1'000; i < 2'100; ++i) foreign_put("a-" + std::to_string(i));
  foreign_put("a/x");
  foreign_put("b");
  std::vector<std::string> files;
  std::vector<std::string> directories;
  for (std::optional<ListPosition> from = ListPosition(); from;) {
    auto listing = catalog_->list(Path(), *from);
    ASSERT_FALSE(listing.error);
    for (const auto& name : listing.names) {
      (name.is_directory ? directories : files).push_back(name.name);
    }
    from = std::move(listing.next);
  }
  EXPECT_EQ(directories, std::vector<std::string>{"a"});
  EXPECT_EQ(files.size(), 1'101U);
  EXPECT_EQ(files.back(), "b");
}

TEST_F(CatalogTest, AStretchThatBreaksOffEndsWithAnErrorAndRepeatsNothing) {
  make({.largest_listing = 1'000});
  for (int i = 1'000; i < 4'000; ++i) foreign_put("d/" + std::to_string(i));
  const auto first = catalog_->list(path("d"), {});
  ASSERT_TRUE(first.next);
  store_.fail_before([&](StoreVerb, const Key&, int) { return fault_; });
  fail_all_with(ErrorCode::auth_error);
  const auto second = catalog_->list(path("d"), *first.next);
  EXPECT_TRUE(second.error);
  EXPECT_FALSE(second.next);
  EXPECT_LE(second.names.size(), 1U);
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
  const auto listing = catalog_->list(path("d"), {});
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
