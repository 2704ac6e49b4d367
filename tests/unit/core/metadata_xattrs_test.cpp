#include "src/metadata_xattrs.h"

#include <gtest/gtest.h>

namespace spillway {
namespace {

TEST(XattrsText, IsTheFormOfS3fs) {
  // {"user.a":"MQ==","user.b":""}
  const std::string text = "%7B%22user.a%22%3A%22MQ%3D%3D%22%2C%22user.b%22%3A%22%22%7D";
  const XattrMap xattrs{{"user.a", "1"}, {"user.b", ""}};
  EXPECT_EQ(xattrs_to_text(xattrs), text);
  EXPECT_EQ(xattrs_from_text(text), xattrs);
  EXPECT_EQ(xattrs_from_text("%7b%22user.a%22%3a%22MQ==%22%7d"), (XattrMap{{"user.a", "1"}}));
  EXPECT_EQ(xattrs_from_text("%7B%7D"), XattrMap());
}

TEST(XattrsText, CarriesAnyValueAndAnyUtf8Name) {
  std::string all;
  for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
  const XattrMap xattrs{{"user.\"quoted\\\"", all}, {"user.ü\n", "x"}};
  const auto text = xattrs_to_text(xattrs);
  for (const char c : text) EXPECT_TRUE(c > ' ' && c <= '~');
  EXPECT_EQ(xattrs_from_text(text), xattrs);
}

TEST(XattrsText, RefusesWhatIsNotOfThisForm) {
  for (const auto* text : {"", "x", "%", "%7", "%7B%2", "%zz", "%7B", "[]", "%5B%5D", "1", "null",
                           "%7B%22user.a%22%3A%7D", "%7B%22user.%FF%22%3A%22%22%7D"}) {
    EXPECT_FALSE(xattrs_from_text(text)) << text;
  }
  EXPECT_FALSE(xattrs_from_text(std::string(2'049, '[')));
  EXPECT_FALSE(xattrs_from_text(std::string(2'048, '[')));
}

TEST(XattrsText, LeavesOutWhatABucketMustNotHandOut) {
  const auto xattrs = xattrs_from_text(
      R"({"security.capability":"AQ==","system.posix_acl_access":"AQ==","trusted.x":"AQ==",)"
      R"("user.":"AQ==","user.b2.storage":"AQ==","user.n":1,"user.o":{"a":"b"},)"
      R"("user.bad":"A","user.ok":"AQ=="})");
  EXPECT_EQ(xattrs, (XattrMap{{"user.ok", "\x01"}}));
}

TEST(XattrsText, TheLastOfTwoEqualNamesWins) {
  EXPECT_EQ(xattrs_from_text(R"({"user.a":"MQ==","user.a":"Mg=="})"), (XattrMap{{"user.a", "2"}}));
}

TEST(CheckXattrName, NamesTheReason) {
  EXPECT_TRUE(check_xattr_name("user.x").ok());
  EXPECT_TRUE(check_xattr_name("user.b2x").ok());
  EXPECT_EQ(check_xattr_name("security.x").error().code, ErrorCode::not_supported);
  EXPECT_EQ(check_xattr_name("user.").error().code, ErrorCode::not_supported);
  EXPECT_EQ(check_xattr_name("user.b2.storage").error().code, ErrorCode::not_permitted);
  EXPECT_EQ(check_xattr_name("user.\xff").error().code, ErrorCode::invalid_argument);
}

TEST(CheckXattrs, HoldsTheLimitThatIsReadBack) {
  XattrMap xattrs{{"user.a", std::string(1'400, 'x')}};
  ASSERT_TRUE(check_xattrs(xattrs).ok());
  EXPECT_EQ(xattrs_from_text(xattrs_to_text(xattrs)), xattrs);
  xattrs["user.b"] = std::string(200, 'x');
  EXPECT_EQ(check_xattrs(xattrs).error().code, ErrorCode::attribute_too_large);
}

}  // namespace
}  // namespace spillway
