#include <gtest/gtest.h>

#include "src/metadata.h"

namespace spillway {
namespace {

TEST(ContentType, ComesFromTheEnding) {
  EXPECT_EQ(content_type_for("a.txt"), "text/plain");
  EXPECT_EQ(content_type_for("photo.JPG"), "image/jpeg");
  EXPECT_EQ(content_type_for("backup.tar.gz"), "application/gzip");
  EXPECT_EQ(content_type_for("7z.7z"), "application/x-7z-compressed");
  EXPECT_EQ(content_type_for("x.zst"), "application/zstd");
}

TEST(ContentType, SaysNothingWhereTheNameDoes) {
  for (const auto* name : {"", ".", "README", ".zip", "dir/.zip", "a.", "a.unknown", "txt", "a.b/txt"}) {
    EXPECT_EQ(content_type_for(name), "application/octet-stream") << name;
  }
}

}  // namespace
}  // namespace spillway
