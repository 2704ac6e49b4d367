// Names through the kernel: directories, links, special files, times, extended attributes.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstdio>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tests/mount_layer/mounted_tree.h"

namespace spillway::test {
namespace {

class NamesTest : public MountedTree {
 protected:
  void SetUp() override {
    MountedTree::SetUp();
    if (!IsSkipped()) start();
  }

  // Every name in the order given, "." and ".." among them, and the errno that ended the listing.
  std::pair<std::vector<std::string>, int> list(const std::string& name) {
    std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(path(name).c_str()), &::closedir);
    std::vector<std::string> names;
    if (!directory) return {names, errno};
    while (true) {
      errno = 0;
      const dirent* entry = ::readdir(directory.get());
      if (entry == nullptr) return {names, errno};
      names.emplace_back(entry->d_name);
    }
  }
  int make_directory(const std::string& name) {
    return error_of(::mkdir(path(name).c_str(), 0755));
  }
  int set(const std::string& file, const std::string& name, const std::string& value,
          int flags = 0) {
    return error_of(
        ::setxattr(path(file).c_str(), name.c_str(), value.data(), value.size(), flags));
  }
  std::string get(const std::string& file, const std::string& name) {
    char value[256];
    const auto size = ::getxattr(path(file).c_str(), name.c_str(), value, sizeof(value));
    return size < 0 ? "errno " + std::to_string(errno)
                    : std::string(value, static_cast<std::size_t>(size));
  }
};

TEST_F(NamesTest, MakesAndRemovesDirectories) {
  ASSERT_EQ(make_directory("d"), 0);
  EXPECT_EQ(stat_of("d").st_nlink, 2U);
  EXPECT_TRUE(S_ISDIR(stat_of("d").st_mode));
  EXPECT_EQ(make_directory("d"), EEXIST);
  write_file("d/a", "x");
  EXPECT_EQ(error_of(::rmdir(path("d").c_str())), ENOTEMPTY);
  ASSERT_EQ(::unlink(path("d/a").c_str()), 0);
  ASSERT_EQ(::rmdir(path("d").c_str()), 0);
  EXPECT_EQ(stat_error("d"), ENOENT);
}

TEST_F(NamesTest, ListsFiveThousandNamesOnce) {
  ASSERT_EQ(make_directory("d"), 0);
  std::set<std::string> expected = {".", ".."};
  for (int i = 0; i < 5000; ++i) {
    const auto name = "a name that is not short " + std::to_string(i);
    tree_.put("d/" + name, "x");
    expected.insert(name);
  }
  const auto [names, error] = list("d");
  EXPECT_EQ(error, 0);
  EXPECT_EQ(names.size(), expected.size());
  EXPECT_EQ(std::set<std::string>(names.begin(), names.end()), expected);
}

TEST_F(NamesTest, AListingSparesTheLookups) {
  ASSERT_EQ(make_directory("d"), 0);
  for (int i = 0; i < 100; ++i) tree_.put("d/" + std::to_string(i), "x");
  const int before = tree_.calls("lookup");
  const auto [names, error] = list("d");
  for (const auto& name : names) EXPECT_EQ(stat_error("d/" + name), 0);
  EXPECT_EQ(tree_.calls("lookup"), before);
}

TEST_F(NamesTest, AListingWithoutAttributesWorksAsWell) {
  tree_.list_without_attributes();
  ASSERT_EQ(make_directory("d"), 0);
  for (int i = 0; i < 300; ++i) tree_.put("d/" + std::to_string(i), "x");
  EXPECT_EQ(list("d").first.size(), 302U);
  EXPECT_EQ(stat_of("d/7").st_size, 1);
}

TEST_F(NamesTest, ListingsTellKindsAndNumbers) {
  ASSERT_EQ(make_directory("d"), 0);
  ASSERT_EQ(make_directory("d/below"), 0);
  tree_.put("d/file", "x");
  ASSERT_EQ(::symlink("x", path("d/link").c_str()), 0);
  const std::map<std::string, int> kinds = {
      {".", DT_DIR}, {"..", DT_DIR}, {"below", DT_DIR}, {"file", DT_REG}, {"link", DT_LNK}};
  std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(path("d").c_str()), &::closedir);
  int seen = 0;
  while (const dirent* entry = ::readdir(directory.get())) {
    ++seen;
    EXPECT_EQ(entry->d_type, kinds.at(entry->d_name)) << entry->d_name;
    const std::string name = entry->d_name;
    if (name == "..") continue;  // the root, which nobody has asked for
    EXPECT_EQ(entry->d_ino, stat_of("d/" + name).st_ino) << name;
  }
  EXPECT_EQ(seen, 5);
}

TEST_F(NamesTest, RewindsAndSeeksInAListing) {
  for (int i = 0; i < 50; ++i) tree_.put("file" + std::to_string(i), "x");
  std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(path().c_str()), &::closedir);
  for (int i = 0; i < 10; ++i) ::readdir(directory.get());
  const long place = ::telldir(directory.get());
  const std::string next = ::readdir(directory.get())->d_name;
  ::rewinddir(directory.get());
  EXPECT_STREQ(::readdir(directory.get())->d_name, ".");
  ::seekdir(directory.get(), place);
  EXPECT_EQ(::readdir(directory.get())->d_name, next);
}

TEST_F(NamesTest, AListingThatBreaksGivesWhatIsKnownAndThenTheError) {
  for (int i = 0; i < 10; ++i) tree_.put("file" + std::to_string(i), "x");
  tree_.break_listings(4, fail(ErrorCode::network_error, "no route").error());
  const auto [names, error] = list("");
  EXPECT_EQ(names.size(), 2U + 4U);
  EXPECT_EQ(error, EHOSTUNREACH);
}

TEST_F(NamesTest, RenamesAcrossDirectoriesWithAllThatLiesBelow) {
  ASSERT_EQ(make_directory("a"), 0);
  ASSERT_EQ(make_directory("a/b"), 0);
  ASSERT_EQ(make_directory("c"), 0);
  write_file("a/b/file", "text");
  const auto below = open("a/b/file", O_RDONLY);
  ASSERT_EQ(::rename(path("a").c_str(), path("c/moved").c_str()), 0);
  EXPECT_EQ(read_file("c/moved/b/file"), "text");
  EXPECT_EQ(stat_error("a/b/file"), ENOENT);
  ASSERT_EQ(::fchmod(below, 0600), 0);
  EXPECT_EQ(tree_.attributes_of("c/moved/b/file").permissions, 0600U);
}

TEST_F(NamesTest, RenameKnowsItsFlags) {
  write_file("a", "a");
  write_file("b", "b");
  const auto rename = [&](unsigned flags) {
    return error_of(
        ::renameat2(AT_FDCWD, path("a").c_str(), AT_FDCWD, path("b").c_str(), flags));
  };
  EXPECT_EQ(rename(RENAME_NOREPLACE), EEXIST);
  EXPECT_EQ(rename(RENAME_EXCHANGE), EINVAL);
  EXPECT_EQ(rename(0), 0);
  EXPECT_EQ(read_file("b"), "a");
}

TEST_F(NamesTest, LinksSymbolicallyOnly) {
  write_file("a", "text");
  ASSERT_EQ(::symlink("a", path("link").c_str()), 0);
  char target[16];
  ASSERT_EQ(::readlink(path("link").c_str(), target, sizeof(target)), 1);
  EXPECT_EQ(target[0], 'a');
  EXPECT_EQ(read_file("link"), "text");
  EXPECT_EQ(error_of(::link(path("a").c_str(), path("b").c_str())), EPERM);
}

TEST_F(NamesTest, MakesSpecialFilesButNoDevices) {
  const auto make = [&](const std::string& name, mode_t mode) {
    return error_of(::mknod(path(name).c_str(), mode, ::makedev(1, 3)));
  };
  EXPECT_EQ(make("fifo", S_IFIFO | 0600), 0);
  EXPECT_EQ(make("socket", S_IFSOCK | 0600), 0);
  EXPECT_EQ(make("file", S_IFREG | 0600), 0);
  EXPECT_EQ(make("device", S_IFCHR | 0600), EPERM);
  EXPECT_EQ(make("disk", S_IFBLK | 0600), EPERM);
  EXPECT_TRUE(S_ISFIFO(stat_of("fifo").st_mode));
  EXPECT_TRUE(S_ISSOCK(stat_of("socket").st_mode));
  EXPECT_TRUE(S_ISREG(stat_of("file").st_mode));
  EXPECT_EQ(tree_.open_handles(), 0);
}

TEST_F(NamesTest, SetsModeOwnerAndTimes) {
  write_file("a", "x");
  ASSERT_EQ(::chmod(path("a").c_str(), 04711), 0);
  ASSERT_EQ(::chown(path("a").c_str(), 12, 34), 0);
  const struct timespec times[] = {{.tv_sec = 5, .tv_nsec = 0}, {.tv_sec = 6, .tv_nsec = 789}};
  ASSERT_EQ(::utimensat(AT_FDCWD, path("a").c_str(), times, 0), 0);
  const auto shown = stat_of("a");
  EXPECT_EQ(shown.st_uid, 12U);
  EXPECT_EQ(shown.st_gid, 34U);
  EXPECT_EQ(shown.st_mtim.tv_sec, 6);
  EXPECT_EQ(shown.st_mtim.tv_nsec, 789);
  const struct timespec only_access[] = {{.tv_sec = 9, .tv_nsec = 0},
                                         {.tv_sec = 0, .tv_nsec = UTIME_OMIT}};
  ASSERT_EQ(::utimensat(AT_FDCWD, path("a").c_str(), only_access, 0), 0);
  EXPECT_EQ(stat_of("a").st_mtim.tv_sec, 6);
  ASSERT_EQ(::utimensat(AT_FDCWD, path("a").c_str(), nullptr, 0), 0);
  EXPECT_NEAR(static_cast<double>(stat_of("a").st_mtim.tv_sec),
              static_cast<double>(::time(nullptr)), 5);
}

TEST_F(NamesTest, NamesOverTheLimitAreRefusedAtOnce) {
  EXPECT_EQ(make_directory(std::string(250, 'x')), 0);
  EXPECT_EQ(make_directory(std::string(251, 'x')), ENAMETOOLONG);
  EXPECT_EQ(make_directory(std::string(255, 'x')), ENAMETOOLONG);
  EXPECT_EQ(make_directory(std::string(256, 'x')), ENAMETOOLONG);
  EXPECT_EQ(stat_error(std::string(1000, 'x')), ENAMETOOLONG);
  EXPECT_EQ(make_directory("tab\there"), EINVAL);
}

TEST_F(NamesTest, TellsTheSpace) {
  struct statvfs space {};
  ASSERT_EQ(::statvfs(path().c_str(), &space), 0);
  EXPECT_EQ(space.f_blocks * space.f_frsize, 4ULL << 40U);
  EXPECT_EQ(space.f_bavail * space.f_frsize, 3ULL << 40U);
  EXPECT_EQ(space.f_files - space.f_ffree, 7U);
  EXPECT_EQ(space.f_namemax, 250U);
  EXPECT_NE(space.f_flag & ST_NOSUID, 0U);
  EXPECT_NE(space.f_flag & ST_NODEV, 0U);
}

TEST_F(NamesTest, KeepsAttributesWithNames) {
  write_file("a", "x");
  EXPECT_EQ(set("a", "user.colour", "blue"), 0);
  EXPECT_EQ(get("a", "user.colour"), "blue");
  EXPECT_EQ(set("a", "user.colour", "red", XATTR_CREATE), EEXIST);
  EXPECT_EQ(set("a", "user.none", "red", XATTR_REPLACE), ENODATA);
  EXPECT_EQ(set("a", "user.empty", ""), 0);
  EXPECT_EQ(get("a", "user.empty"), "");
  char small[2];
  EXPECT_EQ(error_of(::getxattr(path("a").c_str(), "user.colour", small, 2)), ERANGE);
  EXPECT_EQ(::getxattr(path("a").c_str(), "user.colour", nullptr, 0), 4);
  char names[64];
  EXPECT_EQ(::listxattr(path("a").c_str(), names, sizeof(names)), 12 + 11);
  EXPECT_EQ(::listxattr(path("a").c_str(), nullptr, 0), 12 + 11);
  EXPECT_EQ(error_of(::listxattr(path("a").c_str(), names, 3)), ERANGE);
  EXPECT_EQ(error_of(::removexattr(path("a").c_str(), "user.colour")), 0);
  EXPECT_EQ(get("a", "user.colour"), "errno " + std::to_string(ENODATA));
  EXPECT_EQ(error_of(::removexattr(path("a").c_str(), "user.colour")), ENODATA);
}

TEST_F(NamesTest, TheRootHasAttributesToo) {
  EXPECT_EQ(set("", "user.colour", "blue"), 0);
  EXPECT_EQ(get("", "user.colour"), "blue");
}

TEST_F(NamesTest, AnswersForeignAttributesFromNothing) {
  write_file("a", "x");
  for (const std::string name : {"security.capability", "security.selinux", "trusted.overlay",
                                 "system.posix_acl_access", "system.posix_acl_default"}) {
    EXPECT_EQ(get("a", name), "errno " + std::to_string(ENOTSUP)) << name;
    EXPECT_NE(set("a", name, "x"), 0) << name;  // the kernel itself refuses some values
  }
  EXPECT_EQ(set("a", "security.selinux", "x"), ENOTSUP);
  EXPECT_EQ(error_of(::removexattr(path("a").c_str(), "trusted.overlay")), ENODATA);
  EXPECT_EQ(tree_.calls("get_xattr"), 0);
  EXPECT_EQ(tree_.calls("set_xattr"), 0);
  EXPECT_EQ(set("a", "user.still", "works"), 0);
}

TEST_F(NamesTest, ABarrierForADirectoryReachesTheProgram) {
  ASSERT_EQ(make_directory("d"), 0);
  const auto directory = open("d", O_RDONLY | O_DIRECTORY);
  ASSERT_EQ(::fsync(directory), 0);
  EXPECT_EQ(tree_.calls("sync_directory"), 1);
}

}  // namespace
}  // namespace spillway::test
