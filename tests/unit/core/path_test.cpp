#include "src/path.h"

#include <gtest/gtest.h>

#include <string>

#include "src/utf8.h"

namespace spillway {
namespace {

using namespace std::string_literals;

Path path(std::string_view text) { return Path::parse(text).value(); }

TEST(PathParse, TakesWhatCanBeWalked) {
  for (const auto* text : {"a", "a/b", "a b/ü", ".hidden", "...", "a/..b", "-", "\x01", "\xff"}) {
    const auto parsed = Path::parse(text);
    ASSERT_TRUE(parsed) << text;
    EXPECT_EQ(parsed->text(), text);
  }
  EXPECT_TRUE(path("").is_root());
}

TEST(PathParse, RefusesWhatCannot) {
  for (const auto& text : {"/"s, "/a"s, "a/"s, "a//b"s, "."s, ".."s, "a/../b"s, "./a"s, "a/."s,
                           "a/.."s, "a\0b"s, "a/\0"s}) {
    EXPECT_FALSE(Path::parse(text)) << text;
  }
}

TEST(PathParse, ShowsSegmentsUpToTheKernelsLimit) {
  EXPECT_TRUE(Path::parse("d/" + std::string(255, 'x')));
  EXPECT_FALSE(Path::parse("d/" + std::string(256, 'x')));
}

TEST(PathChild, AppendsOneSegment) {
  EXPECT_EQ(Path().child("a")->text(), "a");
  EXPECT_EQ(path("a").child("b")->text(), "a/b");
  for (const auto& name : {""s, "."s, ".."s, "b/c"s, "/"s, "\0"s, std::string(256, 'x')}) {
    EXPECT_FALSE(path("a").child(name)) << name;
  }
}

TEST(PathParts, NameParentAndPrefix) {
  EXPECT_EQ(path("a/b/c").name(), "c");
  EXPECT_EQ(path("a").name(), "a");
  EXPECT_EQ(Path().name(), "");
  EXPECT_EQ(path("a/b/c").parent(), path("a/b"));
  EXPECT_EQ(path("a").parent(), Path());
  EXPECT_EQ(Path().parent(), Path());
  EXPECT_EQ(path("a/b").prefix(), "a/b/");
  EXPECT_EQ(Path().prefix(), "");
}

TEST(PathWithin, ComparesSegmentsNotCharacters) {
  EXPECT_TRUE(path("foo/bar").is_within(path("foo")));
  EXPECT_TRUE(path("foo").is_within(path("foo")));
  EXPECT_TRUE(path("foo").is_within(Path()));
  EXPECT_TRUE(Path().is_within(Path()));
  EXPECT_FALSE(path("foo-bar").is_within(path("foo")));
  EXPECT_FALSE(path("foo").is_within(path("foo/bar")));
  EXPECT_FALSE(Path().is_within(path("foo")));
}

TEST(PathRebased, MovesWithItsAncestor) {
  EXPECT_EQ(path("a/b/c").rebased(path("a"), path("x/y")), path("x/y/b/c"));
  EXPECT_EQ(path("a").rebased(path("a"), path("x")), path("x"));
  EXPECT_EQ(path("a/b").rebased(path("a"), Path()), path("b"));
  EXPECT_EQ(path("a/b").rebased(Path(), path("x")), path("x/a/b"));
  EXPECT_EQ(Path().rebased(Path(), path("x")), path("x"));
}

TEST(CheckCreatable, TakesUpToB2sLimits) {
  EXPECT_TRUE(check_creatable(path("a/ü/日本")).ok());
  EXPECT_TRUE(check_creatable(path(std::string(250, 'x'))).ok());
  const auto error = check_creatable(path("d/" + std::string(251, 'x')));
  ASSERT_FALSE(error.ok());
  EXPECT_EQ(error.error().code, ErrorCode::name_too_long);
}

TEST(CheckCreatable, CountsTheWholeKey) {
  const std::string segment(249, 'x');
  const std::string four = segment + "/" + segment + "/" + segment + "/" + segment + "/";
  EXPECT_TRUE(check_creatable(path(four + std::string(24, 'y'))).ok());
  const auto error = check_creatable(path(four + std::string(25, 'y')));
  ASSERT_FALSE(error.ok());
  EXPECT_EQ(error.error().code, ErrorCode::name_too_long);
}

TEST(CheckCreatable, RefusesBytesThatB2Refuses) {
  for (const auto* text : {"a\nb", "\x1f", "a\x7f", "\xff", "\xc0\xaf", "\xed\xa0\x80", ""}) {
    const auto error = check_creatable(path(text));
    ASSERT_FALSE(error.ok()) << text;
    EXPECT_EQ(error.error().code, ErrorCode::invalid_argument);
  }
}

TEST(Utf8, IsStrict) {
  EXPECT_TRUE(is_utf8(""));
  EXPECT_TRUE(is_utf8("a\u00fc\u20ac\U0001f600\U0010ffff"));
  for (const auto* text : {"\x80", "\xc1\xbf", "\xe0\x80\x80", "\xe2\x82", "\xed\xbf\xbf",
                           "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "a\xe2x"}) {
    EXPECT_FALSE(is_utf8(text));
  }
  EXPECT_EQ(first_character("\u20ac!").code, U'\u20ac');
  EXPECT_EQ(first_character("\u20ac!").size, 3U);
}

}  // namespace
}  // namespace spillway
