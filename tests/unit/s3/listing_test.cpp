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

}  // namespace
}  // namespace spillway::s3
