#include "tests/contract/contract.h"

namespace spillway {

namespace {

class ListingContract : public ContractTest {};
RUN_ON_ALL_STORES(ListingContract);

std::vector<std::string> keys_of(const Listing& listing) {
  std::vector<std::string> keys;
  for (const ObjectInfo& object : listing.objects) keys.push_back(object.key);
  return keys;
}

}  // namespace

TEST_P(ListingContract, AnEmptyPrefixGivesAnEmptyPage) {
  const auto listing = store().list_objects({key("nothing/"), "/", "", "", 1'000}, {});
  ASSERT_TRUE(succeeded(listing));
  EXPECT_TRUE(listing->objects.empty());
  EXPECT_TRUE(listing->prefixes.empty());
  EXPECT_TRUE(listing->next_token.empty());
}

TEST_P(ListingContract, PagesAddUpToEverythingInOrder) {
  std::vector<std::string> names;
  for (const char* name : {"B", "a", "a1", "a10", "a2", "b-", "b0", "\xC3\xA9"}) {
    names.push_back(key(name));
    ASSERT_TRUE(succeeded(put_text(store(), names.back(), name)));
  }
  for (const int page : {1, 2, 3, 8, 1'000}) {
    SCOPED_TRACE(page);
    ListRequest request;
    request.prefix = prefix();
    request.max_keys = page;
    const auto listing = list_all(store(), request);
    ASSERT_TRUE(succeeded(listing));
    EXPECT_EQ(keys_of(*listing), names);
  }
}

TEST_P(ListingContract, APageHoldsNoMoreThanAskedFor) {
  for (const char* name : {"a", "b", "c"}) {
    ASSERT_TRUE(succeeded(put_text(store(), key(name), "x")));
  }
  const auto first = store().list_objects({prefix(), "", "", "", 2}, {});
  ASSERT_TRUE(succeeded(first));
  EXPECT_EQ(first->objects.size(), 2U);
  ASSERT_FALSE(first->next_token.empty());
  const auto second = store().list_objects({prefix(), "", first->next_token, "", 2}, {});
  ASSERT_TRUE(succeeded(second));
  EXPECT_EQ(keys_of(*second), std::vector{key("c")});
  EXPECT_TRUE(second->next_token.empty());
}

TEST_P(ListingContract, ADelimiterFoldsWhatIsBelow) {
  for (const char* name : {"a.txt", "b/1", "b/2", "b/c/3", "d", "e/4"}) {
    ASSERT_TRUE(succeeded(put_text(store(), key(name), "x")));
  }
  for (const int page : {1, 2, 1'000}) {
    SCOPED_TRACE(page);
    const auto listing = list_all(store(), {prefix(), "/", "", "", page});
    ASSERT_TRUE(succeeded(listing));
    EXPECT_EQ(keys_of(*listing), (std::vector{key("a.txt"), key("d")}));
    EXPECT_EQ(listing->prefixes, (std::vector{key("b/"), key("e/")}));
  }
  const auto below = list_all(store(), {key("b/"), "/", "", "", 1'000});
  ASSERT_TRUE(succeeded(below));
  EXPECT_EQ(keys_of(*below), (std::vector{key("b/1"), key("b/2")}));
  EXPECT_EQ(below->prefixes, std::vector{key("b/c/")});
}

TEST_P(ListingContract, StartAfterLeavesOutTheKeyItself) {
  for (const char* name : {"a", "b", "c"}) {
    ASSERT_TRUE(succeeded(put_text(store(), key(name), "x")));
  }
  const auto listing = list_all(store(), {prefix(), "", "", key("a"), 1});
  ASSERT_TRUE(succeeded(listing));
  EXPECT_EQ(keys_of(*listing), (std::vector{key("b"), key("c")}));
}

TEST_P(ListingContract, SizesAndTimesAreThoseOfTheObjects) {
  const auto stored = put_text(store(), key("object"), "12345");
  ASSERT_TRUE(succeeded(stored));
  const auto listing = store().list_objects({prefix(), "", "", "", 10}, {});
  ASSERT_TRUE(succeeded(listing));
  ASSERT_EQ(listing->objects.size(), 1U);
  EXPECT_EQ(listing->objects[0].size, 5U);
  EXPECT_EQ(listing->objects[0].etag, stored->etag);
  const auto distance = std::chrono::abs(listing->objects[0].last_modified - stored->date);
  EXPECT_LE(distance, std::chrono::seconds(2));
}

TEST_P(ListingContract, DeletedAndUnfinishedIsNotListed) {
  ASSERT_TRUE(succeeded(put_text(store(), key("deleted/a"), "x")));
  ASSERT_TRUE(succeeded(store().delete_object(key("deleted/a"), "", {})));
  ASSERT_TRUE(succeeded(store().create_upload(key("unfinished"), "", {}, {})));
  ASSERT_TRUE(succeeded(put_text(store(), key("there"), "x")));
  const auto listing = store().list_objects({prefix(), "/", "", "", 10}, {});
  ASSERT_TRUE(succeeded(listing));
  EXPECT_EQ(keys_of(*listing), std::vector{key("there")});
  EXPECT_TRUE(listing->prefixes.empty() || traits().keys_are_paths);
}

}  // namespace spillway
