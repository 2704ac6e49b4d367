#include "s3/object_headers.h"

#include <gtest/gtest.h>

#include "tests/unit/s3/support.h"

namespace spillway::s3 {
namespace {

using testing::example_time;

TEST(ObjectHeaders, WritesTypeAndMetadata) {
  Headers headers;
  ASSERT_TRUE(add_object_headers(headers, "text/plain; charset=utf-8", {{"mtime", "1.5"}}).ok());
  EXPECT_EQ(headers.get("content-type"), "text/plain; charset=utf-8");
  EXPECT_EQ(headers.get("x-amz-meta-mtime"), "1.5");
  Headers none;
  ASSERT_TRUE(add_object_headers(none, "", {}).ok());
  EXPECT_EQ(none.begin(), none.end());
}

TEST(ObjectHeaders, RefusesWhatWouldArriveChanged) {
  for (const MetadataMap& metadata :
       {MetadataMap{{"a", "x\r\nx-amz-acl: public-read"}}, MetadataMap{{"a", "\xC3\xA9"}},
        MetadataMap{{"a", std::string(1, '\0')}}, MetadataMap{{"A", "x"}}, MetadataMap{{"", "x"}},
        MetadataMap{{"a b", "x"}}, MetadataMap{{"a:", "x"}}}) {
    Headers headers;
    const auto added = add_object_headers(headers, "", metadata);
    ASSERT_FALSE(added.ok());
    EXPECT_EQ(added.error().code, ErrorCode::invalid_request);
  }
  Headers headers;
  EXPECT_FALSE(add_object_headers(headers, "text/\nplain", {}).ok());
}

TEST(ObjectHeaders, ReadsAnObject) {
  const ObjectInfo object = object_from("k", {{"Content-Length", "5000000000"},
                                              {"ETag", "\"e\""},
                                              {"x-amz-version-id", "4_z1"},
                                              {"Last-Modified", "Fri, 24 May 2013 00:00:00 GMT"},
                                              {"Content-Type", "a/b"},
                                              {"X-Amz-Meta-MTime", "7"},
                                              {"x-amz-meta-mtime", "8"}});
  EXPECT_EQ(object.key, "k");
  EXPECT_EQ(object.size, 5'000'000'000U);
  EXPECT_EQ(object.etag, "e");
  EXPECT_EQ(object.version_id, "4_z1");
  EXPECT_EQ(object.last_modified, example_time());
  EXPECT_EQ(object.content_type, "a/b");
  EXPECT_EQ(object.metadata, (MetadataMap{{"mtime", "7"}}));
}

TEST(ObjectHeaders, TheVersionNullIsNone) {
  EXPECT_EQ(object_from("k", {{"x-amz-version-id", "null"}}).version_id, "");
}

TEST(ObjectHeaders, ReadsWhatWasStored) {
  const StoredObject stored =
      stored_from("k", {{"Date", "Fri, 24 May 2013 00:00:00 GMT"}, {"etag", "\"e\""}}, WallTime{});
  EXPECT_EQ(stored.etag, "e");
  EXPECT_EQ(stored.date, example_time());
  EXPECT_EQ(stored_from("k", {}, example_time()).date, example_time());
}

TEST(ObjectHeaders, ReadsNumbersStrictly) {
  EXPECT_EQ(content_length({{"content-length", "0"}}), 0U);
  for (const char* const text : {"", "-1", "+1", "1 ", "1x", "18446744073709551616"}) {
    EXPECT_EQ(content_length({{"content-length", text}}), std::nullopt) << text;
  }
}

TEST(ObjectHeaders, ReadsRangesStrictly) {
  const auto range = content_range({{"Content-Range", "bytes 5-9/100"}});
  ASSERT_TRUE(range);
  EXPECT_EQ(range->range, (ByteRange{5, 5}));
  EXPECT_EQ(range->total, 100U);
  for (const char* const text : {"", "bytes 5-9/*", "bytes */100", "bytes 9-5/100", "bytes 5-9/9",
                                 "bytes 5-9/100x", "5-9/100", "bytes 5-/100"}) {
    EXPECT_FALSE(content_range({{"Content-Range", text}})) << text;
  }
  EXPECT_EQ(range_text({5, 5}), "bytes=5-9");
}

TEST(ObjectHeaders, KnowsAnMd5) {
  EXPECT_TRUE(looks_like_md5("d41d8cd98f00b204e9800998ecf8427e"));
  EXPECT_FALSE(looks_like_md5("d41d8cd98f00b204e9800998ecf8427e-2"));
  EXPECT_FALSE(looks_like_md5("g41d8cd98f00b204e9800998ecf8427e"));
}

}  // namespace
}  // namespace spillway::s3
