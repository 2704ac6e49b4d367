#include "s3/http.h"

#include <gtest/gtest.h>

namespace spillway::s3 {
namespace {

TEST(Headers, FindsNamesWithoutRegardToCase) {
  const Headers headers{{"ETag", "1"}, {"Date", "2"}, {"etag", "3"}};
  EXPECT_EQ(headers.get("etag"), "1");
  EXPECT_EQ(headers.get("DATE"), "2");
  EXPECT_EQ(headers.get("dat"), "");
  EXPECT_EQ(headers.find("missing"), nullptr);
}

TEST(Headers, SetReplacesAllOfThatName) {
  Headers headers{{"ETag", "1"}, {"etag", "3"}};
  headers.set("eTag", "4");
  EXPECT_EQ(headers.get("etag"), "4");
  EXPECT_EQ(std::distance(headers.begin(), headers.end()), 1);
  headers.remove("ETAG");
  EXPECT_EQ(headers.begin(), headers.end());
}

}  // namespace
}  // namespace spillway::s3
