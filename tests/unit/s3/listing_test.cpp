#include "s3/listing.h"

#include <gtest/gtest.h>

namespace spillway::s3 {
namespace {

ListPage page_of(const std::vector<std::string>& keys, std::vector<std::string> prefixes = {}) {
  ListPage page;
  for (const auto& key : keys) {
    page.listing.objects.emplace_back();
    page.listing.objects.back().key = key;
  }
  page.listing.prefixes = std::move(prefixes);
  return page;
}

ListRequest request_of(std::string prefix, std::string delimiter = "") {
  ListRequest request;
  request.prefix = std::move(prefix);
  request.delimiter = std::move(delimiter);
  return request;
}

TEST(Listing, AcceptsWhatRises) {
  EXPECT_TRUE(check_page(request_of(""), page_of({})).ok());
  EXPECT_TRUE(check_page(request_of("d/", "/"),
                         page_of({"d/", "d/a", "d/a.b", "d/\xC3\xA9"}, {"d/a/", "d/b/"}))
                  .ok());
}

TEST(Listing, RefusesKeysThatDoNotRiseOrLackThePrefix) {
  EXPECT_FALSE(check_page(request_of(""), page_of({"b", "a"})).ok());
  EXPECT_FALSE(check_page(request_of(""), page_of({"a", "a"})).ok());
  EXPECT_FALSE(check_page(request_of("d/"), page_of({"d/a", "e"})).ok());
  auto request = request_of("");
  request.start_after = "b";
  EXPECT_FALSE(check_page(request, page_of({"b"})).ok());
  EXPECT_TRUE(check_page(request, page_of({"b!"})).ok());
}

TEST(Listing, RefusesPrefixesThatAreNone) {
  EXPECT_FALSE(check_page(request_of("", ""), page_of({}, {"a/"})).ok());
  EXPECT_FALSE(check_page(request_of("", "/"), page_of({}, {"a"})).ok());
  EXPECT_FALSE(check_page(request_of("d/", "/"), page_of({}, {"d/"})).ok());
  EXPECT_FALSE(check_page(request_of("d/", "/"), page_of({}, {"e/f/"})).ok());
  EXPECT_FALSE(check_page(request_of("", "/"), page_of({}, {"b/", "a/"})).ok());
}

TEST(Listing, RefusesTokensThatLeadNowhere) {
  auto request = request_of("");
  request.continuation_token = "t";
  auto page = page_of({"a"});
  page.truncated = true;
  EXPECT_FALSE(check_page(request, page).ok()) << "no token";
  page.listing.next_token = "t";
  EXPECT_FALSE(check_page(request, page).ok()) << "the same token";
  page.listing.next_token = "u";
  EXPECT_TRUE(check_page(request, page).ok());
  page.listing.objects.clear();
  EXPECT_FALSE(check_page(request, page).ok()) << "nothing on the page";
}

TEST(Listing, PartsRiseFromTheMarkerOn) {
  PartsPage page{{{3, "a", 1}, {5, "b", 1}}, false, 0};
  EXPECT_TRUE(check_page(2, page).ok());
  EXPECT_FALSE(check_page(3, page).ok());
  page.truncated = true;
  EXPECT_FALSE(check_page(2, page).ok());
  page.next_marker = 5;
  EXPECT_TRUE(check_page(2, page).ok());
  EXPECT_FALSE(check_page(5, PartsPage{{}, true, 5}).ok());
}

TEST(Listing, UploadMarkersLeadOn) {
  UploadsPage asked{{}, true, "b", "i"};
  UploadsPage page{{{"b", "j", {}}}, true, "b", "j"};
  EXPECT_TRUE(check_page("", asked, page).ok());
  EXPECT_FALSE(check_page("c", asked, page).ok());
  EXPECT_FALSE(check_page("", page, page).ok());
  page.next_key_marker = "a";
  EXPECT_FALSE(check_page("", asked, page).ok());
  EXPECT_FALSE(check_page("", asked, UploadsPage{{}, true, "c", "k"}).ok());
  EXPECT_TRUE(check_page("", asked, UploadsPage{}).ok());
}

ListedVersion version(const Key& key, const VersionId& id, int seconds, bool is_latest = false,
                      bool is_hide_marker = false) {
  return {key, {id, is_hide_marker}, is_latest, WallTime(std::chrono::seconds(seconds))};
}

TEST(Listing, VersionMarkersLeadOn) {
  const VersionsPage asked{{}, true, "b", "2"};
  VersionsPage page{{version("b", "1", 1)}, true, "b", "1"};
  EXPECT_TRUE(check_page("b", asked, page).ok());
  EXPECT_FALSE(check_page("b", page, page).ok()) << "the same markers";
  page.next_version_id_marker.clear();
  EXPECT_FALSE(check_page("b", asked, page).ok()) << "the rest of the key would be passed over";
  page.next_key_marker = "a";
  EXPECT_FALSE(check_page("b", asked, page).ok()) << "backwards";
  page.next_key_marker = "b/c";
  EXPECT_TRUE(check_page("b", asked, page).ok());
  EXPECT_FALSE(check_page("b", asked, VersionsPage{{}, true, "c", "1"}).ok()) << "an empty page";
  EXPECT_TRUE(check_page("b", asked, VersionsPage{}).ok());
}

TEST(Listing, VersionsHaveThePrefixAndRise) {
  EXPECT_TRUE(check_page("b", {}, {{version("b", "2", 2), version("b", "1", 1),
                                    version("bc", "1", 1)}, false, "", ""}).ok());
  EXPECT_TRUE(check_page("b", {}, {{version("b", "3", 3, true, true),
                                    version("bc", "4", 3, true, true), version("b", "1", 1)},
                                   false, "", ""}).ok())
      << "all markers first, as some servers have it";
  EXPECT_FALSE(check_page("b", {}, {{version("a", "1", 1)}, false, "", ""}).ok());
  EXPECT_FALSE(
      check_page("b", {}, {{version("bc", "1", 1), version("b", "1", 1)}, false, "", ""}).ok());
  const VersionsPage asked{{}, true, "bc", "2"};
  EXPECT_FALSE(check_page("b", asked, {{version("b", "1", 1)}, false, "", ""}).ok());
}

TEST(Listing, AHistoryBeginsWithTheLatestVersion) {
  const auto sorted = newest_first({version("k", "5", 9, true, true),
                                    version("k", "3", 4, false, true), version("k", "4", 9),
                                    version("k", "2", 4), version("k", "1", 1)});
  ASSERT_TRUE(sorted.ok());
  EXPECT_EQ(*sorted, (std::vector<ObjectVersion>{
                         {"5", true}, {"4", false}, {"3", true}, {"2", false}, {"1", false}}));
  EXPECT_TRUE(newest_first({}).ok());
  EXPECT_FALSE(newest_first({version("k", "2", 2), version("k", "1", 1)}).ok());
  EXPECT_FALSE(newest_first({version("k", "2", 2, true), version("k", "1", 1, true)}).ok());
}

}  // namespace
}  // namespace spillway::s3
