#include "src/tree_rename.h"

#include <gtest/gtest.h>

#include <string>

#include "src/metadata.h"

namespace spillway {
namespace {

Path path(const char* text) { return *Path::parse(text); }

std::string hash(std::string_view text) { return std::to_string(std::hash<std::string_view>{}(text)); }

TreeRename example() {
  TreeRename rename;
  rename.id = "id";
  rename.from = path("a/\xff");
  rename.to = path("b");
  rename.stage = TreeRename::Stage::moving;
  rename.target_was_there = true;
  rename.members = {{"a/\xff/x", "b/x", "v1", 5, TreeMember::End::removed, "u1"},
                    {"a/\xff/", "", "v2", 0, TreeMember::End::hidden, ""},
                    {"a/\xff//\n", "b//\n", "", 7, TreeMember::End::hidden_and_removed, "u3"}};
  rename.records = {"0001", "0002"};
  return rename;
}

TEST(TreeRenameTest, TheJournalGivesBackWhatItWasTold) {
  const auto read = tree_rename_from_text(to_text(example(), hash), hash);
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(*read, example());
}

TEST(TreeRenameTest, ATextThatWasCutOrChangedIsNone) {
  const std::string text = to_text(example(), hash);
  for (std::size_t size = 0; size < text.size(); ++size) {
    EXPECT_FALSE(tree_rename_from_text(text.substr(0, size), hash).has_value()) << size;
  }
  for (std::size_t at = 0; at < text.size(); ++at) {
    std::string changed = text;
    changed[at] = changed[at] == '1' ? '2' : '1';
    EXPECT_FALSE(tree_rename_from_text(changed, hash).has_value()) << at;
  }
  EXPECT_FALSE(tree_rename_from_text("[]\n" + hash("[]") + "\n", hash).has_value());
}

TEST(TreeRenameTest, KeysKeepWhatIsBelowTheDirectory) {
  EXPECT_EQ(moved_key("a/", path("a"), path("b/c")).value(), "b/c/");
  EXPECT_EQ(moved_key("a/x//y", path("a"), path("b/c")).value(), "b/c/x//y");
  const std::string deep = "a/" + std::string(1'022, 'x');
  EXPECT_EQ(moved_key(deep, path("a"), path("bb")).error().code, ErrorCode::name_too_long);
}

TEST(TreeRenameTest, OnlyWhatIsSurelyACopyMayBeTakenBack) {
  ObjectInfo source;
  source.size = 10;
  source.etag = "one";
  source.metadata = {{"mtime", "1"}};
  ObjectInfo copy = source;
  EXPECT_TRUE(is_copy_of(copy, source));
  copy.etag = "another";
  EXPECT_FALSE(is_copy_of(copy, source)) << "other bytes, for all that is known";
  copy = source;
  copy.metadata["mtime"] = "2";
  EXPECT_FALSE(is_copy_of(copy, source));
  copy = source;
  copy.size = 11;
  EXPECT_FALSE(is_copy_of(copy, source));
}

TEST(TreeRenameTest, AnUploadsIdTellsItsCopies) {
  Metadata ours;
  ours.correlation_id = "019a-id";
  ObjectInfo copy;
  copy.size = 10;
  copy.metadata = to_map(ours);
  TreeMember member;
  member.size = 10;
  EXPECT_FALSE(is_copy_of(copy, member)) << "of an upload without an id nothing is known";
  member.upload = "019a-id";
  EXPECT_TRUE(is_copy_of(copy, member));
  member.upload = "another";
  EXPECT_FALSE(is_copy_of(copy, member));
}

TEST(MovingTreesTest, NamesAreWhereTheirTreeIs) {
  MovingTrees trees;
  EXPECT_EQ(trees.place_of(path("a/x")), path("a/x"));
  trees.hide("1", path("b"), MovingTrees::Hides::all);
  trees.hide("2", path("c"), MovingTrees::Hides::below);
  EXPECT_EQ(trees.place_of(path("b")), std::nullopt);
  EXPECT_EQ(trees.place_of(path("b/x")), std::nullopt);
  EXPECT_EQ(trees.place_of(path("bb")), path("bb"));
  EXPECT_EQ(trees.place_of(path("c")), path("c"));
  EXPECT_EQ(trees.place_of(path("c/x")), std::nullopt);
  EXPECT_TRUE(trees.concern(path("c/x/y")));
  EXPECT_FALSE(trees.concern(path("d")));
  trees.show("1");
  trees.move("1", path("a"), path("b/d"));
  EXPECT_EQ(trees.place_of(path("a/x/y")), path("b/d/x/y"));
  EXPECT_EQ(trees.place_of(path("a")), path("b/d"));
  EXPECT_TRUE(trees.concern(Path()));
  trees.show("1");
  EXPECT_EQ(trees.place_of(path("a/x")), path("a/x"));
}

}  // namespace
}  // namespace spillway
