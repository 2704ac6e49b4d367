#include "fuse/inodes.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace spillway::kernel {
namespace {

// Stands for an open file; only its address matters.
struct FakeFile {
  int dummy = 0;
};

class InodesTest : public testing::Test {
 protected:
  NodeId directory(NodeId parent, std::string_view name) {
    return inodes_.remember(parent, name, FileKind::directory, ++last_number_);
  }
  NodeId file(NodeId parent, std::string_view name) {
    return inodes_.remember(parent, name, FileKind::regular, ++last_number_);
  }
  std::string path_of(NodeId node) {
    const auto place = inodes_.locate(node);
    return place ? place->path.text() : "unknown";
  }
  bool is_named(NodeId node) { return inodes_.locate(node)->named; }
  std::shared_ptr<FileHandle> open_handle() {
    auto* fake = new FakeFile;
    return {reinterpret_cast<FileHandle*>(fake), [this](FileHandle* handle) {
              ++released_;
              delete reinterpret_cast<FakeFile*>(handle);
            }};
  }

  std::unique_ptr<Executor> executor_ = make_thread_executor(1);
  Inodes inodes_{*executor_};
  std::uint64_t last_number_ = 100;
  int released_ = 0;
};

TEST_F(InodesTest, KnowsTheRootFromTheStart) {
  EXPECT_EQ(path_of(kRootNode), "");
  EXPECT_TRUE(is_named(kRootNode));
  EXPECT_EQ(inodes_.find(Path()), kRootNode);
  EXPECT_EQ(inodes_.size(), 1U);
}

TEST_F(InodesTest, GivesOneNumberForANameHoweverOftenItIsFound) {
  const NodeId first = file(kRootNode, "a");
  EXPECT_EQ(file(kRootNode, "a"), first);
  EXPECT_EQ(path_of(first), "a");
  EXPECT_EQ(inodes_.size(), 2U);
}

TEST_F(InodesTest, TellsEqualNamesInDifferentDirectoriesApart) {
  const NodeId one = file(directory(kRootNode, "x"), "same");
  const NodeId other = file(directory(kRootNode, "y"), "same");
  EXPECT_NE(one, other);
  EXPECT_EQ(path_of(one), "x/same");
  EXPECT_EQ(path_of(other), "y/same");
}

TEST_F(InodesTest, DoesNotKnowOtherNumbers) {
  EXPECT_FALSE(inodes_.locate(4711));
  EXPECT_FALSE(inodes_.child_path(4711, "a"));
  inodes_.forget(4711, 1);
  inodes_.removed(kRootNode, "never seen");
  EXPECT_EQ(inodes_.size(), 1U);
}

TEST_F(InodesTest, ForgetsWhenEveryLookupIsTakenBack) {
  const NodeId node = file(kRootNode, "a");
  EXPECT_EQ(file(kRootNode, "a"), node);
  inodes_.forget(node, 1);
  EXPECT_EQ(path_of(node), "a");
  inodes_.forget(node, 1);
  EXPECT_FALSE(inodes_.locate(node));
  EXPECT_FALSE(inodes_.find(*Path::parse("a")));
  EXPECT_EQ(inodes_.size(), 1U);
}

TEST_F(InodesTest, NeverUsesANumberAgain) {
  const NodeId first = file(kRootNode, "a");
  inodes_.forget(first, 1);
  EXPECT_NE(file(kRootNode, "a"), first);
}

TEST_F(InodesTest, ForgivesMoreForgetsThanLookups) {
  const NodeId node = file(kRootNode, "a");
  inodes_.forget(node, 100);
  inodes_.forget(node, 1);
  inodes_.forget(kRootNode, 100);
  EXPECT_EQ(path_of(kRootNode), "");
}

TEST_F(InodesTest, KeepsADirectoryForWhatLiesBelowItWhateverTheOrderOfForgets) {
  const NodeId top = directory(kRootNode, "top");
  const NodeId middle = directory(top, "middle");
  const NodeId leaf = file(middle, "leaf");
  inodes_.forget(top, 1);
  inodes_.forget(middle, 1);
  EXPECT_EQ(path_of(leaf), "top/middle/leaf");
  inodes_.forget(leaf, 1);
  EXPECT_EQ(inodes_.size(), 1U);
}

TEST_F(InodesTest, FindsANodeByItsPath) {
  const NodeId top = directory(kRootNode, "top");
  const NodeId leaf = file(top, "leaf");
  EXPECT_EQ(inodes_.find(*Path::parse("top")), top);
  EXPECT_EQ(inodes_.find(*Path::parse("top/leaf")), leaf);
  EXPECT_FALSE(inodes_.find(*Path::parse("top/lea")));
  EXPECT_FALSE(inodes_.find(*Path::parse("top/leaf/below")));
  EXPECT_FALSE(inodes_.find(*Path::parse("leaf")));
}

TEST_F(InodesTest, MovesAFile) {
  const NodeId node = file(kRootNode, "old");
  const NodeId target = directory(kRootNode, "target");
  inodes_.renamed(kRootNode, "old", target, "new");
  EXPECT_EQ(path_of(node), "target/new");
  EXPECT_FALSE(inodes_.find(*Path::parse("old")));
  EXPECT_EQ(inodes_.find(*Path::parse("target/new")), node);
}

TEST_F(InodesTest, MovesADirectoryWithAllThatLiesBelow) {
  const NodeId top = directory(kRootNode, "top");
  const NodeId leaf = file(directory(top, "middle"), "leaf");
  const NodeId elsewhere = directory(kRootNode, "elsewhere");
  inodes_.renamed(kRootNode, "top", elsewhere, "moved");
  EXPECT_EQ(path_of(leaf), "elsewhere/moved/middle/leaf");
  EXPECT_EQ(inodes_.find(*Path::parse("elsewhere/moved/middle/leaf")), leaf);
  EXPECT_FALSE(inodes_.find(*Path::parse("top/middle/leaf")));
}

TEST_F(InodesTest, CountsChildrenAnewWhenTheyMove) {
  const NodeId from = directory(kRootNode, "from");
  const NodeId to = directory(kRootNode, "to");
  const NodeId node = file(from, "a");
  inodes_.renamed(from, "a", to, "a");
  inodes_.forget(from, 1);
  EXPECT_FALSE(inodes_.locate(from));
  inodes_.forget(to, 1);
  EXPECT_EQ(path_of(node), "to/a");
  inodes_.forget(node, 1);
  EXPECT_EQ(inodes_.size(), 1U);
}

TEST_F(InodesTest, MovingOntoAnotherFileTakesItsName) {
  const NodeId winner = file(kRootNode, "new");
  const NodeId loser = file(kRootNode, "old");
  inodes_.renamed(kRootNode, "new", kRootNode, "old");
  EXPECT_EQ(path_of(winner), "old");
  EXPECT_TRUE(is_named(winner));
  EXPECT_FALSE(is_named(loser));
  EXPECT_EQ(inodes_.find(*Path::parse("old")), winner);
  inodes_.forget(loser, 1);
  EXPECT_EQ(inodes_.find(*Path::parse("old")), winner);
}

TEST_F(InodesTest, MovingOntoItselfOrFromANameNeverSeenChangesNothing) {
  const NodeId node = file(kRootNode, "a");
  inodes_.renamed(kRootNode, "a", kRootNode, "a");
  EXPECT_EQ(path_of(node), "a");
  EXPECT_TRUE(is_named(node));
  inodes_.renamed(kRootNode, "never seen", kRootNode, "b");
  EXPECT_FALSE(inodes_.find(*Path::parse("b")));
}

TEST_F(InodesTest, MovingFromANameNeverSeenStillReplacesTheTarget) {
  const NodeId replaced = file(kRootNode, "b");
  inodes_.renamed(kRootNode, "never seen", kRootNode, "b");
  EXPECT_FALSE(is_named(replaced));
}

TEST_F(InodesTest, ARemovedFileKeepsItsNumberAndLosesItsName) {
  const NodeId node = file(kRootNode, "a");
  inodes_.removed(kRootNode, "a");
  EXPECT_FALSE(is_named(node));
  EXPECT_EQ(path_of(node), "a");
  EXPECT_FALSE(inodes_.find(*Path::parse("a")));
  const NodeId successor = file(kRootNode, "a");
  EXPECT_NE(successor, node);
  inodes_.forget(node, 1);
  EXPECT_EQ(inodes_.find(*Path::parse("a")), successor);
}

TEST_F(InodesTest, ANameThatHoldsAnotherKindIsANewFile) {
  const NodeId old = file(kRootNode, "a");
  const NodeId now = directory(kRootNode, "a");
  EXPECT_NE(now, old);
  EXPECT_FALSE(is_named(old));
  EXPECT_TRUE(is_named(now));
}

TEST_F(InodesTest, WhatLiesBelowARemovedDirectoryHasNoNameEither) {
  const NodeId top = directory(kRootNode, "top");
  const NodeId leaf = file(top, "leaf");
  inodes_.removed(kRootNode, "top");
  EXPECT_FALSE(is_named(leaf));
  EXPECT_FALSE(inodes_.child_path(top, "other"));
}

TEST_F(InodesTest, MakesPathsOfChildren) {
  const NodeId top = directory(kRootNode, "top");
  EXPECT_EQ(inodes_.child_path(top, "a")->text(), "top/a");
  EXPECT_EQ(inodes_.child_path(kRootNode, "a")->text(), "a");
  EXPECT_FALSE(inodes_.child_path(top, ".."));
  EXPECT_FALSE(inodes_.child_path(top, ""));
}

TEST_F(InodesTest, RemembersTheNumbersThatUsersSee) {
  const NodeId top = inodes_.remember(kRootNode, "top", FileKind::directory, 7);
  const NodeId leaf = inodes_.remember(top, "leaf", FileKind::directory, 8);
  EXPECT_EQ(inodes_.numbers(leaf).own, 8U);
  EXPECT_EQ(inodes_.numbers(leaf).parents, 7U);
  EXPECT_EQ(inodes_.numbers(4711).own, 0U);
}

TEST_F(InodesTest, AFileWithoutNameIsReachedByOneOfItsHandles) {
  const NodeId node = file(kRootNode, "a");
  auto handle = open_handle();
  const FileHandle* const raw = handle.get();
  inodes_.opened(node, std::move(handle));
  EXPECT_EQ(inodes_.locate(node)->handle, nullptr);
  inodes_.removed(kRootNode, "a");
  EXPECT_EQ(inodes_.locate(node)->handle.get(), raw);
  inodes_.closed(node, raw).reset();
  EXPECT_EQ(released_, 1);
  EXPECT_EQ(inodes_.locate(node)->handle, nullptr);
}

TEST_F(InodesTest, AHandleInUseIsReleasedByItsLastUser) {
  const NodeId node = file(kRootNode, "a");
  auto handle = open_handle();
  const FileHandle* const raw = handle.get();
  inodes_.opened(node, std::move(handle));
  inodes_.removed(kRootNode, "a");
  auto in_use = inodes_.locate(node);
  inodes_.closed(node, raw).reset();
  EXPECT_EQ(released_, 0);
  in_use.reset();
  EXPECT_EQ(released_, 1);
}

TEST_F(InodesTest, ClosesOneHandleOfSeveralAlsoAfterTheForget) {
  const NodeId node = file(kRootNode, "a");
  std::vector<const FileHandle*> raw;
  for (int i = 0; i < 3; ++i) {
    auto handle = open_handle();
    raw.push_back(handle.get());
    inodes_.opened(node, std::move(handle));
  }
  inodes_.forget(node, 1);
  EXPECT_EQ(inodes_.closed(node, raw[1]).get(), raw[1]);
  EXPECT_EQ(released_, 1);
  EXPECT_EQ(inodes_.closed(node, raw[1]), nullptr);
  inodes_.closed(node, raw[0]).reset();
  inodes_.closed(node, raw[2]).reset();
  EXPECT_EQ(released_, 3);
}

}  // namespace
}  // namespace spillway::kernel
