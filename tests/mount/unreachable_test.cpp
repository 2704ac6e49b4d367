// Nobody answers: what can't be asked is never taken for absent, so that no tool deletes or covers
// what B2 holds; and copying into the mount goes on.
#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/support/child.h"
#include "tests/support/mounted.h"

namespace spillway {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

class Unreachable : public testing::Test {
 protected:
  void SetUp() override {
    if (!can_mount()) GTEST_SKIP() << "/dev/fuse is not there, or not for this user";
  }

  static Finished tool(std::vector<std::string> arguments) {
    return run({.arguments = std::move(arguments),
                .environment = {},
                .without = {},
                .directory = {},
                .input = {}});
  }

  static int open_errno(const fs::path& file, int flags) {
    const int descriptor = open(file.c_str(), flags | O_CLOEXEC, 0644);
    if (descriptor < 0) return errno;
    close(descriptor);
    return 0;
  }

  static void forget_everything(Mounted& mounted) {
    mounted.unmount();
    fs::remove(mounted.shadow() / "attributes.sqlite");
    mounted.mount();
  }

  static void expect_drained(Mounted& mounted) {
    const auto drained = mounted.command({"drain", "--timeout", "60s", mounted.root()});
    ASSERT_EQ(drained.exit_code, 0) << drained.errors;
  }

  // Once the mount has noticed that B2 is back.
  static void expect_readable(const fs::path& file, const std::string& content) {
    std::error_code failed;
    ASSERT_TRUE(eventually([&] { return fs::exists(file, failed); })) << file;
    ASSERT_TRUE(eventually([&] { return tool({"cat", file}).exit_code == 0; })) << file;
    EXPECT_EQ(read_file(file), content);
  }

  // By key: the id of its newest version, hide markers left out.
  static std::map<std::string, std::string> objects(Mounted& mounted) {
    std::map<std::string, std::string> found;
    for (const Json& version : mounted.server().versions()) {
      if (!version.at("newest") || version.at("hide_marker")) continue;
      found[version.at("key")] = version.at("version_id");
    }
    return found;
  }

  struct Listing {
    std::vector<std::string> names;
    int failed = 0;  // errno
  };
  static Listing list(const fs::path& directory) {
    Listing listing;
    DIR* open = opendir(directory.c_str());
    if (open == nullptr) return {.names = {}, .failed = errno};
    for (;;) {
      errno = 0;
      const dirent* entry = readdir(open);
      if (entry == nullptr) break;
      const std::string name = entry->d_name;
      if (name != "." && name != "..") listing.names.push_back(name);
    }
    listing.failed = errno;
    closedir(open);
    std::ranges::sort(listing.names);
    return listing;
  }
};

// --- rsync --delete

class RsyncDelete : public Unreachable {
 protected:
  // In B2: what the source has, and more that --delete would remove.
  void fill(Mounted& mounted) {
    fs::create_directories(source_ / "below");
    for (int i = 0; i < 5; ++i) {
      write_file(source_ / ("f" + std::to_string(i)), noise(3'000, i));
      write_file(source_ / "below" / ("g" + std::to_string(i)), noise(3'000, 10 + i));
    }
    ASSERT_EQ(tool({"cp", "-a", source_.path(), mounted / "tree"}).exit_code, 0);
    fs::create_directories(mounted / "tree/more");
    for (const char* name : {"tree/extra", "tree/below/extra", "tree/more/extra"}) {
      ASSERT_EQ(try_to_write(mounted / name, name), 0);
    }
  }
  [[nodiscard]] Finished sync_into(Mounted& mounted) const {
    return tool({"rsync", "-a", "--delete", source_.path().string() + "/",
                 (mounted / "tree").string() + "/"});
  }
  // Everything that was in the bucket is there; what rsync wrote anew may have come to it.
  static void expect_nothing_deleted(Mounted& mounted,
                                     const std::map<std::string, std::string>& before) {
    const auto after = objects(mounted);
    for (const auto& [key, version] : before) EXPECT_TRUE(after.contains(key)) << key;
    expect_readable(mounted / "tree/more/extra", "tree/more/extra");
  }

  TempDirectory source_;
};

TEST_F(RsyncDelete, OntoAMountWhoseServerDied) {
  Mounted mounted;
  fill(mounted);
  const auto before = objects(mounted);
  mounted.server().kill();
  EXPECT_NE(sync_into(mounted).exit_code, 0) << "it could not do what it was told";
  mounted.server().start();
  expect_drained(mounted);
  expect_nothing_deleted(mounted, before);
}

TEST_F(RsyncDelete, OntoAMountThatHasSeenNothing) {
  Mounted mounted;
  fill(mounted);
  forget_everything(mounted);
  const auto before = objects(mounted);
  mounted.server().kill();
  static_cast<void>(sync_into(mounted));
  mounted.server().start();
  expect_drained(mounted);
  expect_nothing_deleted(mounted, before);
}

TEST_F(RsyncDelete, DeletesOnceItCan) {
  Mounted mounted;
  fill(mounted);
  mounted.server().kill();
  static_cast<void>(sync_into(mounted));
  mounted.server().start();
  expect_drained(mounted);
  ASSERT_TRUE(eventually([&] { return sync_into(mounted).exit_code == 0; }));
  EXPECT_EQ(shell("diff -r '" + source_.path().string() + "' '" + (mounted / "tree").string() +
                  "' && echo same"),
            "same\n");
}

// The mount as the source: what can't be listed is not missing from the copy.
TEST_F(RsyncDelete, FromAMountThatHasSeenNothing) {
  Mounted mounted;
  fill(mounted);
  TempDirectory copy;
  const std::string from = (mounted / "tree").string() + "/";
  const std::string to = copy.path().string() + "/";
  ASSERT_EQ(tool({"rsync", "-a", from, to}).exit_code, 0);
  const std::string before = shell("find '" + to + "' -type f | sort");
  forget_everything(mounted);
  ASSERT_TRUE(fs::exists(mounted / "tree/f0"));
  mounted.server().kill();
  EXPECT_NE(tool({"rsync", "-a", "--delete", from, to}).exit_code, 0);
  EXPECT_EQ(shell("find '" + to + "' -type f | sort"), before);
}

// --- listing

TEST_F(Unreachable, ADirectoryThatWasNeverSeenFails) {
  Mounted mounted;
  fs::create_directory(mounted / "dir");
  ASSERT_EQ(try_to_write(mounted / "dir/file", "x"), 0);
  forget_everything(mounted);
  ASSERT_TRUE(fs::exists(mounted / "dir"));
  mounted.server().kill();
  const Listing listing = list(mounted / "dir");
  EXPECT_EQ(listing.failed, EHOSTUNREACH);
  EXPECT_TRUE(listing.names.empty());
  EXPECT_NE(tool({"ls", mounted / "dir"}).exit_code, 0);
  mounted.server().start();
  EXPECT_TRUE(eventually([&] { return list(mounted / "dir").failed == 0; }));
  EXPECT_EQ(list(mounted / "dir").names, std::vector<std::string>{"file"});
}

TEST_F(Unreachable, WhatIsKnownIsListedBeforeItFails) {
  Mounted mounted({.arguments = {"--attr-ttl", "1s"}});
  const std::vector<std::string> names{"one", "two"};
  for (const auto& name : names) ASSERT_EQ(try_to_write(mounted / name, "x"), 0);
  EXPECT_EQ(list(mounted.root()).names, names);
  mounted.server().kill();
  ASSERT_TRUE(eventually([&] { return list(mounted.root()).failed == EHOSTUNREACH; }));
  EXPECT_EQ(list(mounted.root()).names, names);
}

TEST_F(Unreachable, WhatIsHereIsListedBeforeItFails) {
  Mounted mounted;
  ASSERT_EQ(try_to_write(mounted / "there", "x"), 0);
  forget_everything(mounted);
  mounted.server().kill();
  ASSERT_EQ(try_to_write(mounted / "here", "x"), 0);
  const Listing listing = list(mounted.root());
  EXPECT_EQ(listing.failed, EHOSTUNREACH);
  EXPECT_EQ(listing.names, std::vector<std::string>{"here"});
}

TEST_F(Unreachable, TheErrnoIsThatOfTheReason) {
  Mounted mounted;
  ASSERT_EQ(try_to_write(mounted / "file", "x"), 0);
  forget_everything(mounted);
  mounted.server().revoke_key();
  EXPECT_EQ(list(mounted.root()).failed, EACCES);
}

// The listing has the name, and nobody knows what it is.
TEST_F(Unreachable, WhatIsListedIsNotAbsent) {
  Mounted mounted;
  for (const char* name : {"one", "two"}) ASSERT_EQ(try_to_write(mounted / name, name), 0);
  forget_everything(mounted);
  ASSERT_TRUE(fs::exists(mounted / "one"));
  mounted.server().kill();
  EXPECT_EQ(open_errno(mounted / "two", O_RDONLY), EHOSTUNREACH);
  EXPECT_EQ(unlink((mounted / "two").c_str()), -1);
  EXPECT_EQ(errno, EHOSTUNREACH);
  mounted.server().start();
  expect_readable(mounted / "two", "two");
}

// "Not there" lets a new file be made, and is not remembered.
TEST_F(Unreachable, WhatWasNeverSeenIsThereAgainAtOnce) {
  Mounted mounted;
  ASSERT_EQ(try_to_write(mounted / "file", "x"), 0);
  forget_everything(mounted);
  mounted.server().kill();
  std::error_code failed;
  EXPECT_FALSE(fs::exists(mounted / "file", failed));
  mounted.server().start();
  expect_readable(mounted / "file", "x");
}

// --- writing

// `>>` wants the content that there may be.
TEST_F(Unreachable, AppendingToWhatCannotBeAskedFails) {
  Mounted mounted;
  ASSERT_EQ(try_to_write(mounted / "diary", "old\n"), 0);
  forget_everything(mounted);
  const auto before = objects(mounted);
  mounted.server().kill();
  EXPECT_EQ(open_errno(mounted / "diary", O_WRONLY | O_CREAT | O_APPEND), EHOSTUNREACH);
  EXPECT_NE(tool({"bash", "-c", "echo new >> \"$0\"", mounted / "diary"}).exit_code, 0);
  EXPECT_EQ(xattr(mounted.root(), "user.b2.pending_files"), "0");
  mounted.server().start();
  expect_readable(mounted / "diary", "old\n");
  EXPECT_EQ(objects(mounted), before);
}

TEST_F(Unreachable, ReplacingWhatCannotBeAskedReplacesIt) {
  Mounted mounted;
  ASSERT_EQ(try_to_write(mounted / "diary", "old"), 0);
  forget_everything(mounted);
  mounted.server().kill();
  ASSERT_EQ(try_to_write(mounted / "diary", "new"), 0);
  EXPECT_EQ(xattr(mounted / "diary", "user.b2.storage"), "local");
  mounted.server().start();
  expect_drained(mounted);
  expect_readable(mounted / "diary", "new");
  EXPECT_EQ(objects(mounted).size(), 1U);
  EXPECT_TRUE(mounted.log("drain_conflict").empty());
}

// Somebody else wrote the name while ours was on its way: both are kept.
TEST_F(Unreachable, WhatOthersWroteMeanwhileIsKept) {
  Mounted mounted;
  ASSERT_EQ(try_to_write(mounted / "diary", "old"), 0);
  mounted.server().fault_for_ever("PutObject", {{"status", 503}, {"code", "InternalError"}});
  ASSERT_EQ(try_to_write(mounted / "diary", "ours"), 0);
  mounted.server().clear_faults();
  TempDirectory source;
  write_file(source / "theirs", "theirs");
  const auto put = mounted.command({"put", source / "theirs", "diary"});
  ASSERT_EQ(put.exit_code, 0) << put.errors;
  const auto theirs = objects(mounted).at("diary");
  expect_drained(mounted);
  const auto conflicts = mounted.log("drain_conflict");
  ASSERT_EQ(conflicts.size(), 1U);
  EXPECT_EQ(conflicts.front().at("path"), "diary");
  const std::string other = conflicts.front().at("location");
  EXPECT_TRUE(other.starts_with("diary (conflict ")) << other;
  EXPECT_EQ(objects(mounted).size(), 2U);
  EXPECT_EQ(objects(mounted).at("diary"), theirs);
  expect_readable(mounted / other, "ours");
}

TEST_F(Unreachable, AppendingToWhatIsKnownGoesOnOrFails) {
  Mounted mounted;
  ASSERT_EQ(try_to_write(mounted / "diary", "old\n"), 0);
  mounted.server().kill();
  const auto appended = tool({"bash", "-c", "echo new >> \"$0\"", mounted / "diary"});
  mounted.server().start();
  expect_drained(mounted);
  expect_readable(mounted / "diary", appended.exit_code == 0 ? "old\nnew\n" : "old\n");
  EXPECT_EQ(objects(mounted).size(), 1U);
}

class RsyncInto : public Unreachable {
 protected:
  void SetUp() override {
    Unreachable::SetUp();
    for (int i = 0; i < 4; ++i) {
      const fs::path place = source_ / ("d" + std::to_string(i)) / "below";
      fs::create_directories(place);
      for (int j = 0; j < 4; ++j) {
        write_file(place / ("f" + std::to_string(j)), noise(7'000 * j, i * 10 + j));
      }
    }
    fs::create_symlink("d0/below/f1", source_ / "link");
    shell("find '" + source_.path().string() + "' -exec touch -h -d '2020-02-02 02:02' {} +");
  }
  void sync(Mounted& mounted) const {
    const auto synced =
        tool({"rsync", "-a", source_.path().string() + "/", (mounted / "tree").string() + "/"});
    EXPECT_EQ(synced.exit_code, 0) << synced.errors;
  }
  void expect_all_there(Mounted& mounted) const {
    expect_drained(mounted);
    forget_everything(mounted);
    const std::string from = source_.path().string() + "/";
    const std::string to = (mounted / "tree").string() + "/";
    EXPECT_EQ(shell("diff -r '" + from + "' '" + to + "' && echo same"), "same\n");
    EXPECT_EQ(shell("rsync -a -i '" + from + "' '" + to + "'"), "") << "nothing is left to do";
    EXPECT_TRUE(mounted.log("drain_conflict").empty());
    for (const auto& [key, version] : objects(mounted)) {
      EXPECT_FALSE(key.contains("/.f")) << key << " is a temporary name";
    }
  }

  TempDirectory source_;
};

TEST_F(RsyncInto, AMountWhoseServerDied) {
  Mounted mounted;
  mounted.server().kill();
  sync(mounted);
  mounted.server().start();
  expect_all_there(mounted);
}

TEST_F(RsyncInto, AMountThatWasStartedInTheOutage) {
  Mounted mounted;
  mounted.unmount();
  mounted.server().kill();
  mounted.mount();
  sync(mounted);
  mounted.server().start();
  expect_all_there(mounted);
}

TEST_F(RsyncInto, TheServerComesBackInTheMiddle) {
  Mounted mounted;
  mounted.server().kill();
  Process copy({.arguments = {"rsync", "-a", source_.path().string() + "/",
                              (mounted / "tree").string() + "/"},
                .environment = {},
                .without = {},
                .directory = {},
                .input = {}});
  ASSERT_TRUE(eventually([&] { return mounted.log("upload").size() > 3 || !copy.running(); }));
  mounted.server().start();
  EXPECT_EQ(copy.wait(), 0) << copy.errors();
  expect_all_there(mounted);
}

}  // namespace
}  // namespace spillway
