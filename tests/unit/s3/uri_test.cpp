#include "s3/uri.h"

#include <gtest/gtest.h>

namespace spillway::s3 {
namespace {

TEST(Uri, EncodesEverythingButTheUnreserved) {
  EXPECT_EQ(percent_encode("AZaz09-._~", Slash::encode), "AZaz09-._~");
  EXPECT_EQ(percent_encode("a b+c&d%e#f?g", Slash::keep), "a%20b%2Bc%26d%25e%23f%3Fg");
  EXPECT_EQ(percent_encode("'\"()=*!$,;:@[]", Slash::keep),
            "%27%22%28%29%3D%2A%21%24%2C%3B%3A%40%5B%5D");
  EXPECT_EQ(percent_encode("\xF0\x9F\x98\x80", Slash::keep), "%F0%9F%98%80");
  EXPECT_EQ(percent_encode("a/b", Slash::keep), "a/b");
  EXPECT_EQ(percent_encode("a/b", Slash::encode), "a%2Fb");
}

TEST(Uri, DecodesWhatItEncoded) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  EXPECT_EQ(percent_decode(percent_encode(all, Slash::encode), Plus::space), all);
  EXPECT_EQ(percent_decode(percent_encode(all, Slash::keep), Plus::literal), all);
}

TEST(Uri, DecodesOnceAndRefusesHalfTriplets) {
  EXPECT_EQ(percent_decode("%2541", Plus::literal), "%41");
  EXPECT_EQ(percent_decode("a+b%2b", Plus::space), "a b+");
  EXPECT_EQ(percent_decode("a+b", Plus::literal), "a+b");
  for (const char* const text : {"%", "%4", "a%", "%4g", "%-1", "% 1"}) {
    EXPECT_EQ(percent_decode(text, Plus::literal), std::nullopt) << text;
  }
}

TEST(Uri, SortsTheCanonicalQueryByWhatIsEncoded) {
  Target target{"/b", {{"prefix", "J/ x"}, {"uploads", std::nullopt}, {"a", "2"}, {"a", "10"}}};
  EXPECT_EQ(target.canonical_query(), "a=10&a=2&prefix=J%2F%20x&uploads=");
  EXPECT_EQ(target.encoded(), "/b?prefix=J%2F%20x&uploads&a=2&a=10");
}

TEST(Uri, NeverNormalisesThePath) {
  EXPECT_EQ((Target{"/b/../a//./c", {}}).encoded(), "/b/../a//./c");
}

TEST(Uri, TakesTargetsApart) {
  const Target target{"/b/a b", {{"uploads", std::nullopt}, {"x", "1=2&3"}, {"y", ""}}};
  EXPECT_EQ(parse_target(target.encoded()), target);
  EXPECT_EQ(parse_target("/"), Target{});
  for (const char* const text : {"", "b", "http://x/", "/%", "/?%", "/?a=%g", "/#x"}) {
    EXPECT_EQ(parse_target(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace spillway::s3
