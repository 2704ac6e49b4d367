#include "src/disk.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>

namespace spillway {
namespace {

namespace fs = std::filesystem;

std::span<const std::byte> bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

class DiskTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = ::testing::TempDir() + "disk-test-XXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    outside_ = name;
    root_ = name + "/root";
    ASSERT_EQ(::mkdir(root_.c_str(), 0700), 0);
    auto opened = open_disk(root_);
    ASSERT_TRUE(opened.ok()) << opened.error().detail;
    disk_ = std::move(opened).value();
  }
  void TearDown() override { fs::remove_all(outside_); }

  void write(const std::string& name, std::string_view text) {
    auto file = disk_->create(name);
    ASSERT_TRUE(file.ok()) << file.error().detail;
    ASSERT_TRUE((*file)->write_at(0, bytes(text)).ok());
  }
  std::string read(const std::string& name) {
    auto file = disk_->open(name);
    if (!file) return "ERROR " + file.error().detail;
    std::string text(1'000, '\0');
    text.resize(*(*file)->read_at(0, std::as_writable_bytes(std::span(text))));
    return text;
  }

  std::string outside_;
  std::string root_;
  std::unique_ptr<Disk> disk_;
};

template <class T>
int errno_of(const Result<T>& result) {
  if (result.ok()) return 0;
  EXPECT_EQ(result.error().code, ErrorCode::local_error) << result.error().detail;
  return result.error().system_errno;
}

TEST_F(DiskTest, WritesReadsTruncatesAndTellsTheSize) {
  auto created = disk_->create("a");
  ASSERT_TRUE(created.ok());
  auto& file = **created;
  EXPECT_TRUE(file.write_at(3, bytes("def")).ok());
  EXPECT_TRUE(file.write_at(0, bytes("abc")).ok());
  EXPECT_TRUE(file.sync().ok());
  EXPECT_EQ(*file.size(), 6U);
  EXPECT_EQ(read("a"), "abcdef");
  std::string part(10, '.');
  EXPECT_EQ(*file.read_at(4, std::as_writable_bytes(std::span(part))), 2U);
  EXPECT_EQ(*file.read_at(6, std::as_writable_bytes(std::span(part))), 0U);
  EXPECT_EQ(*file.read_at(~0ULL, std::as_writable_bytes(std::span(part))), 0U);
  EXPECT_TRUE(file.truncate(2).ok());
  EXPECT_EQ(read("a"), "ab");
  EXPECT_TRUE(file.truncate(4).ok());
  EXPECT_EQ(read("a"), std::string("ab\0\0", 4));
}

TEST_F(DiskTest, LargeOffsetsAndHoles) {
  auto file = disk_->create("sparse").value();
  EXPECT_TRUE(file->write_at(5ULL << 32U, bytes("x")).ok());
  EXPECT_EQ(*file->size(), (5ULL << 32U) + 1);
  EXPECT_EQ(errno_of(file->write_at(~0ULL - 3, bytes("abcdef"))), EFBIG);
  EXPECT_EQ(errno_of(file->truncate(~0ULL)), EFBIG);
}

TEST_F(DiskTest, FilesAndDirectoriesAreForTheirOwnerOnly) {
  write("a", "");
  ASSERT_TRUE(disk_->make_directory("d").ok());
  struct stat status {};
  ASSERT_EQ(::stat((root_ + "/a").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600U);
  ASSERT_EQ(::stat((root_ + "/d").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0700U);
}

TEST_F(DiskTest, CreateWantsANewNameAndOpenAnOldOne) {
  write("a", "1");
  EXPECT_EQ(errno_of(disk_->create("a")), EEXIST);
  EXPECT_EQ(errno_of(disk_->open("b")), ENOENT);
  EXPECT_EQ(errno_of(disk_->create("no/such")), ENOENT);
  EXPECT_EQ(errno_of(disk_->create("a/b")), ENOTDIR);
  ASSERT_TRUE(disk_->make_directory("d").ok());
  EXPECT_EQ(errno_of(disk_->open("d")), EISDIR);
  ASSERT_EQ(::mkfifo((root_ + "/fifo").c_str(), 0600), 0);
  EXPECT_EQ(errno_of(disk_->open("fifo")), EINVAL);
}

TEST_F(DiskTest, MakeDirectoryAcceptsOneThatIsThere) {
  EXPECT_TRUE(disk_->make_directory("d").ok());
  EXPECT_TRUE(disk_->make_directory("d").ok());
  EXPECT_TRUE(disk_->make_directory("d/e").ok());
  EXPECT_EQ(errno_of(disk_->make_directory("x/y")), ENOENT);
  write("file", "");
  EXPECT_EQ(errno_of(disk_->make_directory("file")), ENOTDIR);
  fs::create_directory_symlink("d", root_ + "/link");
  EXPECT_EQ(errno_of(disk_->make_directory("link")), ENOTDIR);
}

TEST_F(DiskTest, RenameReplaces) {
  ASSERT_TRUE(disk_->make_directory("d").ok());
  write("a", "new");
  write("d/b", "old");
  EXPECT_TRUE(disk_->rename("a", "d/b").ok());
  EXPECT_EQ(read("d/b"), "new");
  EXPECT_EQ(errno_of(disk_->rename("a", "d/b")), ENOENT);
  write("a", "newer");
  EXPECT_EQ(errno_of(disk_->rename("a", "d")), EISDIR);
}

TEST_F(DiskTest, AnOpenFileStaysReadableWhenItsNameGoes) {
  write("a", "text");
  auto file = disk_->open("a").value();
  EXPECT_TRUE(disk_->remove("a").ok());
  std::string text(4, '\0');
  EXPECT_EQ(*file->read_at(0, std::as_writable_bytes(std::span(text))), 4U);
  EXPECT_EQ(text, "text");
}

TEST_F(DiskTest, RemovesFilesAndEmptyDirectories) {
  ASSERT_TRUE(disk_->make_directory("d").ok());
  write("d/a", "");
  EXPECT_EQ(errno_of(disk_->remove_directory("d")), ENOTEMPTY);
  EXPECT_EQ(errno_of(disk_->remove("d")), EISDIR);
  EXPECT_TRUE(disk_->remove("d/a").ok());
  EXPECT_EQ(errno_of(disk_->remove("d/a")), ENOENT);
  EXPECT_TRUE(disk_->remove_directory("d").ok());
  EXPECT_FALSE(fs::exists(root_ + "/d"));
}

TEST_F(DiskTest, ListsNamesKindsAndSizes) {
  ASSERT_TRUE(disk_->make_directory("d").ok());
  write("d/file", "12345");
  ASSERT_TRUE(disk_->make_directory("d/sub").ok());
  fs::create_symlink("file", root_ + "/d/link");
  auto entries = disk_->list("d");
  ASSERT_TRUE(entries.ok());
  std::ranges::sort(*entries, {}, &DiskEntry::name);
  ASSERT_EQ(entries->size(), 3U);
  EXPECT_EQ((*entries)[0].name, "file");
  EXPECT_EQ((*entries)[0].kind, DiskEntry::Kind::file);
  EXPECT_EQ((*entries)[0].size, 5U);
  EXPECT_EQ((*entries)[1].kind, DiskEntry::Kind::other);
  EXPECT_EQ((*entries)[2].kind, DiskEntry::Kind::directory);
  EXPECT_EQ(disk_->list("")->size(), 1U);
  EXPECT_EQ(errno_of(disk_->list("none")), ENOENT);
  EXPECT_EQ(errno_of(disk_->list("d/file")), ENOTDIR);
}

TEST_F(DiskTest, NamesMayHoldAnyBytes) {
  std::string name;
  for (int c = 1; c < 256; ++c) {
    if (c != '/') name += static_cast<char>(c);
  }
  write(name, "x");
  EXPECT_EQ(read(name), "x");
  EXPECT_EQ(disk_->list("")->at(0).name, name);
  EXPECT_TRUE(disk_->remove(name).ok());
}

TEST_F(DiskTest, SyncsFilesAndDirectories) {
  ASSERT_TRUE(disk_->make_directory("d").ok());
  EXPECT_TRUE(disk_->sync_directory("").ok());
  EXPECT_TRUE(disk_->sync_directory("d").ok());
  EXPECT_EQ(errno_of(disk_->sync_directory("e")), ENOENT);
}

TEST_F(DiskTest, TellsSpaceAndAbsoluteNames) {
  const auto space = disk_->space();
  ASSERT_TRUE(space.ok());
  EXPECT_GT(space->total, 0U);
  EXPECT_LE(space->available, space->total);
  EXPECT_EQ(disk_->absolute(""), root_);
  EXPECT_EQ(disk_->absolute("a/b"), root_ + "/a/b");
}

TEST_F(DiskTest, AWriteThatDoesNotFitIsAnError) {
  struct rlimit before {};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  struct rlimit small = before;
  small.rlim_cur = 4'096;
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  auto file = disk_->create("a");
  const auto written = (*file)->write_at(0, bytes(std::string(10'000, 'x')));
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(errno_of(written), EFBIG);
}

// --- nothing gets out of the root

TEST_F(DiskTest, NamesThatAreNotPlainAreRefused) {
  write("a", "");
  ASSERT_TRUE(disk_->make_directory("d").ok());
  for (const std::string& name :
       {std::string("../x"), std::string(".."), std::string("."), std::string("d/../a"),
        std::string("d/.."), std::string("./a"), std::string("/a"), root_ + "/a", std::string("d//a"),
        std::string("d/"), std::string("a\0b", 3), std::string("")}) {
    SCOPED_TRACE(name);
    EXPECT_EQ(errno_of(disk_->create(name)), EINVAL);
    EXPECT_EQ(errno_of(disk_->open(name)), EINVAL);
    EXPECT_EQ(errno_of(disk_->make_directory(name)), EINVAL);
    EXPECT_EQ(errno_of(disk_->remove(name)), EINVAL);
    EXPECT_EQ(errno_of(disk_->remove_directory(name)), EINVAL);
    EXPECT_EQ(errno_of(disk_->rename("a", name)), EINVAL);
    EXPECT_EQ(errno_of(disk_->rename(name, "b")), EINVAL);
    EXPECT_EQ(errno_of(disk_->lock(name)), EINVAL);
    if (!name.empty()) {
      EXPECT_EQ(errno_of(disk_->list(name)), EINVAL);
      EXPECT_EQ(errno_of(disk_->sync_directory(name)), EINVAL);
    }
  }
  EXPECT_EQ(read("a"), "");
}

TEST_F(DiskTest, SymlinksAreNeverFollowed) {
  fs::create_directory(outside_ + "/away");
  std::ofstream(outside_ + "/away/secret") << "secret";
  fs::create_directory_symlink(outside_ + "/away", root_ + "/absolute");
  fs::create_directory_symlink("../away", root_ + "/relative");
  fs::create_directory_symlink(".", root_ + "/inside");
  fs::create_symlink(outside_ + "/away/secret", root_ + "/file");
  write("mine", "mine");
  for (const std::string directory : {"absolute", "relative", "inside"}) {
    SCOPED_TRACE(directory);
    EXPECT_EQ(errno_of(disk_->open(directory + "/secret")), ELOOP);
    EXPECT_EQ(errno_of(disk_->create(directory + "/new")), ELOOP);
    EXPECT_EQ(errno_of(disk_->make_directory(directory + "/new")), ELOOP);
    EXPECT_EQ(errno_of(disk_->remove(directory + "/secret")), ELOOP);
    EXPECT_EQ(errno_of(disk_->remove_directory(directory + "/new")), ELOOP);
    EXPECT_EQ(errno_of(disk_->rename("mine", directory + "/mine")), ELOOP);
    EXPECT_EQ(errno_of(disk_->rename(directory + "/secret", "stolen")), ELOOP);
    EXPECT_EQ(errno_of(disk_->lock(directory + "/lock")), ELOOP);
    EXPECT_EQ(errno_of(disk_->list(directory)), ELOOP);
    EXPECT_EQ(errno_of(disk_->sync_directory(directory)), ELOOP);
  }
  EXPECT_EQ(errno_of(disk_->open("file")), ELOOP);
  EXPECT_EQ(errno_of(disk_->create("file")), EEXIST);
  EXPECT_EQ(std::distance(fs::directory_iterator(outside_ + "/away"), fs::directory_iterator()), 1);
  // The link itself is an entry like any other: it is replaced or removed, not what it points to.
  EXPECT_TRUE(disk_->rename("mine", "file").ok());
  EXPECT_EQ(read("file"), "mine");
  EXPECT_TRUE(fs::exists(outside_ + "/away/secret"));
}

TEST_F(DiskTest, ARootThatIsMovedStaysTheRoot) {
  write("a", "1");
  fs::rename(root_, outside_ + "/moved");
  fs::create_directory(root_);
  EXPECT_EQ(read("a"), "1");
}

// --- roots

TEST_F(DiskTest, RefusesRootsThatAreNotSafe) {
  EXPECT_EQ(errno_of(open_disk(outside_ + "/none")), ENOENT);
  EXPECT_EQ(errno_of(open_disk("")), EINVAL);
  write("file", "");
  EXPECT_EQ(errno_of(open_disk(root_ + "/file")), ENOTDIR);
  fs::create_directory_symlink(root_, outside_ + "/link");
  EXPECT_NE(errno_of(open_disk(outside_ + "/link")), 0);
  EXPECT_NE(errno_of(open_disk(outside_ + "/link/")), 0);
  EXPECT_NE(errno_of(open_disk(outside_ + "/link/.")), 0);
  for (const mode_t mode : {0770U, 0702U, 01777U}) {
    ASSERT_EQ(::chmod(root_.c_str(), mode), 0);
    EXPECT_EQ(errno_of(open_disk(root_)), EPERM);
  }
  for (const mode_t mode : {0700U, 0755U}) {
    ASSERT_EQ(::chmod(root_.c_str(), mode), 0);
    EXPECT_TRUE(open_disk(root_ + "//").ok());
  }
}

TEST_F(DiskTest, RefusesARootOfAnotherUser) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give a directory away";
  ASSERT_EQ(::chown(root_.c_str(), 12'345, 12'345), 0);
  EXPECT_EQ(errno_of(open_disk(root_)), EPERM);
}

// --- lock

TEST_F(DiskTest, TheLockIsExclusiveAndGoesWithTheDisk) {
  ASSERT_TRUE(disk_->lock("lock").ok());
  auto other = open_disk(root_).value();
  const auto refused = other->lock("lock");
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::exists);
  disk_.reset();
  EXPECT_TRUE(other->lock("lock").ok());
}

}  // namespace
}  // namespace spillway
