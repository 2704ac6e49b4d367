// B2 is well: what is written is in B2 when close() returns, under the user's own names, and every
// file says so.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/support/mounted.h"

namespace spillway {
namespace {

class HappyPath : public testing::Test {
 protected:
  void SetUp() override {
    if (!can_mount()) GTEST_SKIP() << "/dev/fuse is not there, or not for this user";
  }
};

TEST_F(HappyPath, HappyPathStoresInB2WithKey) {
  Mounted mounted;
  shell("mkdir '" + (mounted / "music").string() + "'");
  const std::string content = noise(100'000);
  ASSERT_EQ(try_to_write(mounted / "music/song.mp3", content), 0);

  const auto attributes = b2_xattrs(mounted / "music/song.mp3");
  EXPECT_EQ(attributes.at("storage"), "b2");
  EXPECT_EQ(attributes.at("location"), "music/song.mp3");
  EXPECT_EQ(attributes.at("fallback_from_b2"), "false");
  EXPECT_EQ(attributes.at("size"), "100000");
  EXPECT_EQ(attributes.at("content_type"), "audio/mpeg");
  EXPECT_FALSE(attributes.at("version_id").empty());
  EXPECT_FALSE(attributes.contains("error_code"));

  const auto result = nlohmann::json::parse(attributes.at("result"));
  EXPECT_EQ(result.at("storage"), "b2");
  EXPECT_EQ(result.at("track").at("name"), "song.mp3");
  EXPECT_EQ(result.at("track").at("size"), 100'000);
  EXPECT_EQ(read_file(mounted / "music/song.mp3"), content);

  const auto uploads = mounted.log("upload");
  const auto line = std::ranges::find_if(
      uploads, [](const auto& entry) { return entry.at("location") == "music/song.mp3"; });
  ASSERT_NE(line, uploads.end());
  EXPECT_EQ(line->at("level"), "info");
  EXPECT_EQ(line->at("storage"), "b2");
  EXPECT_EQ(line->at("bytes"), 100'000);
  EXPECT_EQ(line->at("correlation_id"), attributes.at("correlation_id"));
}

TEST_F(HappyPath, HelloTxtRoundTrip) {
  Mounted mounted;
  shell("mkdir '" + (mounted / "test").string() + "'");
  ASSERT_EQ(try_to_write(mounted / "test/hello.txt", "hello"), 0);
  mounted.unmount();
  mounted.mount();  // what comes back comes from B2
  EXPECT_EQ(read_file(mounted / "test/hello.txt"), "hello");
  EXPECT_EQ(xattr(mounted / "test/hello.txt", "user.b2.storage"), "b2");
}

TEST_F(HappyPath, LargeFileGoesInParts) {
  Mounted mounted({.arguments = {"--part-size", "5MiB"}});
  const std::string content = noise(17'000'001);
  ASSERT_EQ(try_to_write(mounted / "large.bin", content), 0);
  EXPECT_EQ(xattr(mounted / "large.bin", "user.b2.storage"), "b2");
  EXPECT_EQ(mounted.server().requests()["UploadPart"], 4);
  EXPECT_TRUE(mounted.server().uploads().empty());
  mounted.unmount();
  mounted.mount();
  EXPECT_EQ(read_file(mounted / "large.bin"), content);
  EXPECT_TRUE(std::filesystem::is_empty(mounted.shadow() / "files"));
}

// A shell flushes before the first byte and after each command: nothing may empty the file, and
// no version but the last stays.
TEST_F(HappyPath, EarlyShellFlush) {
  Mounted mounted;
  const std::string file = (mounted / "lines.txt").string();
  shell("echo before > '" + file + "'");
  shell("{ echo a; echo b; } > '" + file + "'");
  EXPECT_EQ(read_file(file), "a\nb\n");
  EXPECT_EQ(xattr(file, "user.b2.storage"), "b2");
  int versions = 0;
  for (const auto& version : mounted.server().versions()) {
    if (version.at("key") == "lines.txt") ++versions;
  }
  EXPECT_EQ(versions, 2) << "the first content, which the user replaced, and the second";
}

TEST_F(HappyPath, EmptyFile) {
  Mounted mounted;
  shell(": > '" + (mounted / "empty").string() + "'");
  EXPECT_TRUE(eventually([&] { return xattr(mounted / "empty", "user.b2.storage") == "b2"; }));
  EXPECT_EQ(std::filesystem::file_size(mounted / "empty"), 0U);
}

TEST_F(HappyPath, NamesThatNeedEscaping) {
  Mounted mounted;
  for (const std::string name : {"a b", "a+b", "a&b", "100%", "a#b", "what?", "it's", "say \"x\"",
                                 "smile😀", "ü=ö;,:@!$()*~"}) {
    ASSERT_EQ(try_to_write(mounted / name, name), 0) << name;
    EXPECT_EQ(xattr(mounted / name, "user.b2.location"), name);
  }
  mounted.unmount();
  mounted.mount();
  for (const auto& entry : std::filesystem::directory_iterator(mounted.root())) {
    EXPECT_EQ(read_file(entry.path()), entry.path().filename().string());
  }
}

}  // namespace
}  // namespace spillway
