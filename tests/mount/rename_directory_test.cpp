// rename(2) of a directory: all of it or nothing, whatever happens on the way.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <thread>

#include "tests/support/mounted.h"

namespace spillway {
namespace {

namespace fs = std::filesystem;

int try_to_rename(const fs::path& from, const fs::path& to) {
  return ::rename(from.c_str(), to.c_str()) == 0 ? 0 : errno;
}

class RenameDirectory : public testing::Test {
 protected:
  void SetUp() override {
    if (!can_mount()) GTEST_SKIP() << "/dev/fuse is not there, or not for this user";
  }

  // Three levels, an empty directory, a symlink, times, modes and an attribute of the user's.
  static void make_tree(const fs::path& top) {
    fs::create_directories(top / "a/b/c");
    fs::create_directory(top / "empty");
    for (int file = 0; file < 4; ++file) {
      const std::string name = "f" + std::to_string(file);
      write_file(top / name, noise(1'000, static_cast<std::uint64_t>(file)));
      write_file(top / "a/b/c" / name, noise(50'000, static_cast<std::uint64_t>(file) + 10));
    }
    fs::create_symlink("f1", top / "a/link");
    shell("chmod 640 '" + (top / "f2").string() + "'; touch -d '2001-02-03 04:05:06' '" +
          (top / "a/b/c/f3").string() + "'");
    setxattr((top / "f0").c_str(), "user.color", "blue", 4, 0);
  }
  // All that a user sees of it.
  static std::string seen(const fs::path& top) {
    return shell("cd '" + top.string() +
                 "' && find . -mindepth 1 -printf '%P %y %m %l ' \\( -type f -printf '%s %T@' -o -true "
                 "\\) -printf '\\n' | sort && find . -type f | sort | xargs sha256sum");
  }
  // After failures reads are refused until the breaker's cool-down is over.
  static bool shows_again(const fs::path& top, const std::string& expected) {
    return eventually([&] {
      try {
        return seen(top) == expected;
      } catch (const std::runtime_error&) {
        return false;
      }
    });
  }
  static int visible_below(Mounted& mounted, const std::string& prefix) {
    int count = 0;
    for (const auto& version : mounted.server().versions()) {
      const bool is_visible = version.at("newest") == true && version.at("hide_marker") == false;
      if (is_visible && version.at("key").get<std::string>().starts_with(prefix)) ++count;
    }
    return count;
  }
  static void remount_after_kill(Mounted& mounted) {
    mounted.process().send_signal(SIGKILL);
    static_cast<void>(mounted.process().wait());
    mounted.server().clear_faults();
    static_cast<void>(mounted.command({"umount", mounted.root()}));
    mounted.mount();
  }
};

TEST_F(RenameDirectory, MovesAllOfIt) {
  Mounted mounted;
  make_tree(mounted / "old");
  const std::string before = seen(mounted / "old");
  ASSERT_EQ(try_to_rename(mounted / "old", mounted / "new"), 0);
  EXPECT_FALSE(fs::exists(mounted / "old"));
  EXPECT_EQ(seen(mounted / "new"), before);
  EXPECT_EQ(visible_below(mounted, "old"), 0);
  EXPECT_EQ(xattr(mounted / "new/f0", "user.b2.location"), "new/f0");
  mounted.unmount();
  mounted.mount();
  EXPECT_FALSE(fs::exists(mounted / "old"));
  EXPECT_EQ(seen(mounted / "new"), before);
  EXPECT_EQ(xattr(mounted / "new/f0", "user.color"), "blue");
  EXPECT_TRUE(fs::is_directory(mounted / "new/empty"));
  EXPECT_TRUE(fs::is_empty(mounted.shadow() / "renames"));
  // What this mount knows nothing of yet moves as well, and back.
  ASSERT_EQ(try_to_rename(mounted / "new", mounted / "old"), 0);
  EXPECT_EQ(seen(mounted / "old"), before);
}

TEST_F(RenameDirectory, AnswersAsADiskDoes) {
  Mounted mounted;
  make_tree(mounted / "old");
  fs::create_directory(mounted / "free");
  fs::create_directory(mounted / "full");
  ASSERT_EQ(try_to_write(mounted / "full/x", "x"), 0);
  ASSERT_EQ(try_to_write(mounted / "file", "x"), 0);
  EXPECT_EQ(try_to_rename(mounted / "old", mounted / "full"), ENOTEMPTY);
  EXPECT_EQ(try_to_rename(mounted / "old", mounted / "file"), ENOTDIR);
  EXPECT_EQ(try_to_rename(mounted / "file", mounted / "free"), EISDIR);
  EXPECT_EQ(try_to_rename(mounted / "old", mounted / "old/a/x"), EINVAL);
  EXPECT_EQ(renameat2(AT_FDCWD, (mounted / "old").c_str(), AT_FDCWD, (mounted / "free").c_str(),
                      RENAME_NOREPLACE),
            -1);
  EXPECT_EQ(errno, EEXIST);
  const std::string before = seen(mounted / "old");
  EXPECT_EQ(try_to_rename(mounted / "old", mounted / "free"), 0);
  EXPECT_EQ(seen(mounted / "free"), before);
  // The old name is free at once.
  fs::create_directory(mounted / "old");
  ASSERT_EQ(try_to_write(mounted / "old/f0", "another"), 0);
  EXPECT_EQ(seen(mounted / "free"), before);
}

TEST_F(RenameDirectory, OpenFilesGoAlong) {
  Mounted mounted;
  make_tree(mounted / "old");
  const std::string content = noise(12'000'000);
  const int writer = ::open((mounted / "old/a/new").c_str(), O_CREAT | O_WRONLY, 0644);
  const int reader = ::open((mounted / "old/f3").c_str(), O_RDONLY);
  ASSERT_GE(writer, 0);
  ASSERT_GE(reader, 0);
  const std::size_t half = content.size() / 2;
  ASSERT_EQ(::write(writer, content.data(), half), static_cast<ssize_t>(half));
  ASSERT_EQ(try_to_rename(mounted / "old", mounted / "new"), 0);
  const std::size_t rest = content.size() - half;
  ASSERT_EQ(::write(writer, content.data() + half, rest), static_cast<ssize_t>(rest));
  EXPECT_EQ(::close(writer), 0);
  std::string read(1'000, ' ');
  EXPECT_EQ(::read(reader, read.data(), read.size()), 1'000);
  EXPECT_EQ(read, noise(1'000, 3));
  ::close(reader);
  EXPECT_EQ(read_file(mounted / "new/a/new"), content);
  EXPECT_TRUE(eventually([&] { return visible_below(mounted, "old") == 0; }));
}

TEST_F(RenameDirectory, AFailedCopyChangesNothing) {
  Mounted mounted;
  make_tree(mounted / "old");
  const std::string before = seen(mounted / "old");
  mounted.server().add_fault({{"match", {{"kind", "CopyObject"}}},
                              {"nth", 7},
                              {"fault", {{"status", 400}, {"code", "InvalidRequest"}}}});
  EXPECT_EQ(try_to_rename(mounted / "old", mounted / "new"), EIO);
  EXPECT_EQ(visible_below(mounted, "new"), 0);
  EXPECT_FALSE(fs::exists(mounted / "new"));
  EXPECT_EQ(seen(mounted / "old"), before);
  EXPECT_EQ(mounted.log("rename_failed").size(), 1U);
  EXPECT_TRUE(fs::is_empty(mounted.shadow() / "renames"));
  EXPECT_EQ(try_to_rename(mounted / "old", mounted / "new"), 0);
  EXPECT_EQ(seen(mounted / "new"), before);
}

TEST_F(RenameDirectory, AnOutageChangesNothing) {
  Mounted mounted;
  make_tree(mounted / "old");
  const std::string before = seen(mounted / "old");
  mounted.server().kill();
  EXPECT_EQ(try_to_rename(mounted / "old", mounted / "new"), EHOSTUNREACH);
  mounted.server().start();
  EXPECT_TRUE(shows_again(mounted / "old", before));
  EXPECT_FALSE(fs::exists(mounted / "new"));
}

TEST_F(RenameDirectory, KilledWhileItCopiesIsTakenBack) {
  Mounted mounted;
  make_tree(mounted / "old");
  ASSERT_TRUE(eventually([&] { return xattr(mounted.root(), "user.b2.pending_files") == "0"; }));
  const std::string before = seen(mounted / "old");
  mounted.server().reset_requests();
  mounted.server().add_fault({{"match", {{"kind", "CopyObject"}}},
                              {"nth", 6},
                              {"times", -1},
                              {"fault", {{"stall_ms", 60'000}, {"then", "close"}}}});
  std::thread caller([&] { try_to_rename(mounted / "old", mounted / "new"); });
  EXPECT_TRUE(eventually([&] { return visible_below(mounted, "new") == 5; }));
  EXPECT_TRUE(xattr(mounted.root(), "user.b2.status").value_or("").contains("\"total\":14"));
  remount_after_kill(mounted);
  caller.join();
  EXPECT_EQ(mounted.log("rename_resumed").size(), 1U);
  EXPECT_TRUE(eventually([&] { return visible_below(mounted, "new") == 0; }));
  EXPECT_TRUE(eventually([&] { return mounted.log("rename_finished").size() == 1; }));
  EXPECT_EQ(seen(mounted / "old"), before);
  EXPECT_FALSE(fs::exists(mounted / "new"));
}

TEST_F(RenameDirectory, KilledWhileItRemovesIsRolledForward) {
  Mounted mounted;
  make_tree(mounted / "old");
  const std::string before = seen(mounted / "old");
  mounted.server().add_fault({{"match", {{"kind", "DeleteObject"}}},
                              {"nth", 4},
                              {"times", -1},
                              {"fault", {{"stall_ms", 60'000}, {"then", "close"}}}});
  mounted.server().reset_requests();
  std::thread caller([&] { try_to_rename(mounted / "old", mounted / "new"); });
  EXPECT_TRUE(eventually([&] { return mounted.server().requests()["DeleteObject"] >= 6; }));
  remount_after_kill(mounted);
  caller.join();
  EXPECT_EQ(seen(mounted / "new"), before);
  EXPECT_TRUE(eventually([&] { return visible_below(mounted, "old") == 0; }));
  EXPECT_TRUE(eventually([&] { return mounted.log("rename_finished").size() == 1; }));
  EXPECT_FALSE(fs::exists(mounted / "old"));
}

TEST_F(RenameDirectory, SourcesThatCanNotGoAreNotShownAndGoLater) {
  Mounted mounted;
  make_tree(mounted / "old");
  const std::string before = seen(mounted / "old");
  mounted.server().fault_for_ever("DeleteObject", {{"status", 403}, {"code", "AccessDenied"}});
  EXPECT_EQ(try_to_rename(mounted / "old", mounted / "new"), 0);
  EXPECT_EQ(mounted.log("rename_unfinished").size(), 1U);
  EXPECT_TRUE(shows_again(mounted / "new", before));
  EXPECT_FALSE(fs::exists(mounted / "old"));
  EXPECT_EQ(::mkdir((mounted / "old").c_str(), 0755), -1);
  EXPECT_EQ(errno, EBUSY);
  mounted.server().clear_faults();
  EXPECT_TRUE(eventually([&] { return mounted.log("rename_finished").size() == 1; }));
  EXPECT_EQ(visible_below(mounted, "old"), 0);
  EXPECT_EQ(::mkdir((mounted / "old").c_str(), 0755), 0);
}

TEST_F(RenameDirectory, CostsOneCopyAndOneRemovalAFile) {
  constexpr int kFiles = 1'000;
  Mounted mounted;
  fs::create_directory(mounted / "old");
  for (int file = 0; file < kFiles; ++file) {
    ASSERT_EQ(try_to_write(mounted / ("old/f" + std::to_string(file)), "x"), 0);
  }
  mounted.server().reset_requests();
  ASSERT_EQ(try_to_rename(mounted / "old", mounted / "new"), 0);
  auto requests = mounted.server().requests();
  EXPECT_EQ(requests["CopyObject"], kFiles + 1);
  EXPECT_LE(requests["HeadObject"], 2) << "of the marker only";
  EXPECT_LE(requests["DeleteObject"], kFiles + 2);
  EXPECT_LE(requests["ListObjectsV2"], 6);
  ASSERT_EQ(mounted.log("rename").size(), 1U);
  EXPECT_EQ(mounted.log("rename").front().at("files"), kFiles + 1);
  EXPECT_EQ(mounted.log("rename").front().at("failed"), 0);
}

}  // namespace
}  // namespace spillway
