// Open files through the kernel: bytes, sizes, appending, truncating, unlinking.
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include "tests/mount_layer/mounted_tree.h"

namespace spillway::test {
namespace {

class FilesTest : public MountedTree {
 protected:
  void SetUp() override {
    MountedTree::SetUp();
    if (!IsSkipped()) start();
  }
};

std::string pattern(std::size_t size) {
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * 7 + i / 251);
  return bytes;
}

TEST_F(FilesTest, ReadsWhatWasWritten) {
  const auto bytes = pattern(3 * 1024 * 1024 + 17);
  write_file("a", bytes);
  EXPECT_EQ(tree_.bytes_of("a"), bytes);
  EXPECT_EQ(read_file("a"), bytes);
}

TEST_F(FilesTest, WritesAMegabyteAtATime) {
  constexpr std::size_t kSize = 4 * 1024 * 1024;
  const std::unique_ptr<void, decltype(&std::free)> bytes(std::aligned_alloc(4096, kSize),
                                                          &std::free);
  std::memset(bytes.get(), 'x', kSize);
  const auto file = open("a", O_WRONLY | O_CREAT);
  ASSERT_EQ(::write(file, bytes.get(), kSize), static_cast<ssize_t>(kSize));
  EXPECT_EQ(tree_.calls("write"), 4);
}

TEST_F(FilesTest, TellsSizeBlocksAndLinks) {
  write_file("a", pattern(1025));
  const auto shown = stat_of("a");
  EXPECT_EQ(shown.st_size, 1025);
  EXPECT_EQ(shown.st_blocks, 3);
  EXPECT_EQ(shown.st_blksize, 1024 * 1024);
  EXPECT_EQ(shown.st_nlink, 1U);
  EXPECT_EQ(shown.st_mode, static_cast<mode_t>(S_IFREG | 0644));
  EXPECT_EQ(shown.st_ino, tree_.attributes_of("a").inode);
}

TEST_F(FilesTest, AppliesTheCallersUmask) {
  const mode_t old = ::umask(027);
  { const auto file = open("a", O_WRONLY | O_CREAT, 0666); }
  ::umask(old);
  EXPECT_EQ(tree_.attributes_of("a").permissions, 0640U);
}

TEST_F(FilesTest, ExclusiveCreationFailsForAFileThatExists) {
  write_file("a", "x");
  const auto again = open("a", O_WRONLY | O_CREAT | O_EXCL);
  EXPECT_EQ(error_of(again), EEXIST);
}

TEST_F(FilesTest, TruncatesOnOpenInOneCall) {
  write_file("a", "a longer text");
  write_file("a", "short");
  EXPECT_EQ(read_file("a"), "short");
  EXPECT_EQ(tree_.calls("set_attributes"), 0);
}

TEST_F(FilesTest, TruncatesByPathAndByHandle) {
  write_file("a", "0123456789");
  ASSERT_EQ(::truncate(path("a").c_str(), 5), 0);
  EXPECT_EQ(read_file("a"), "01234");
  const auto file = open("a", O_RDWR);
  ASSERT_EQ(::ftruncate(file, 8), 0);
  EXPECT_EQ(read_file("a"), std::string("01234\0\0\0", 8));
}

TEST_F(FilesTest, AppendsAtTheProgramsEndOfFile) {
  write_file("a", "one ");
  for (const int access : {O_WRONLY, O_RDWR}) {
    const auto file = open("a", access | O_APPEND);
    ASSERT_GE(file, 0);
    tree_.put("a", tree_.bytes_of("a") + "(by another) ");
    ASSERT_EQ(::write(file, "two ", 4), 4);
  }
  EXPECT_EQ(tree_.bytes_of("a"), "one (by another) two (by another) two ");
}

TEST_F(FilesTest, WritesAtRandomPlaces) {
  const auto file = open("a", O_RDWR | O_CREAT);
  ASSERT_EQ(::pwrite(file, "world", 5, 6), 5);
  ASSERT_EQ(::pwrite(file, "hello ", 6, 0), 6);
  char back[11];
  ASSERT_EQ(::pread(file, back, sizeof(back), 0), 11);
  EXPECT_EQ(std::string(back, 11), "hello world");
}

TEST_F(FilesTest, MapsAFileAndWritesThroughTheMapping) {
  write_file("a", pattern(8192));
  const auto file = open("a", O_RDWR);
  auto* const bytes = static_cast<char*>(
      ::mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0));
  ASSERT_NE(bytes, MAP_FAILED);
  std::memcpy(bytes + 5000, "mapped", 6);
  ASSERT_EQ(::msync(bytes, 8192, MS_SYNC), 0);
  ASSERT_EQ(::munmap(bytes, 8192), 0);
  EXPECT_EQ(tree_.bytes_of("a").substr(5000, 6), "mapped");
  EXPECT_EQ(tree_.bytes_of("a").size(), 8192U);
}

TEST_F(FilesTest, RefusesToMapAFileOpenForAppending) {
  write_file("a", pattern(8192));
  const auto file = open("a", O_RDWR | O_APPEND);
  EXPECT_EQ(::mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0), MAP_FAILED);
  EXPECT_EQ(errno, ENODEV);
}

TEST_F(FilesTest, AnUnlinkedFileLivesOnInItsHandle) {
  write_file("a", "0123456789");
  const auto file = open("a", O_RDWR);
  ASSERT_EQ(::unlink(path("a").c_str()), 0);
  tree_.put("a", "another file of this name");
  struct stat shown {};
  ASSERT_EQ(::fstat(file, &shown), 0);
  EXPECT_EQ(shown.st_size, 10);
  ASSERT_EQ(::pwrite(file, "abc", 3, 10), 3);
  ASSERT_EQ(::fchmod(file, 0600), 0);
  ASSERT_EQ(::ftruncate(file, 12), 0);
  ASSERT_EQ(::fsync(file), 0);
  char back[16];
  EXPECT_EQ(::pread(file, back, sizeof(back), 0), 12);
  EXPECT_EQ(std::string(back, 12), "0123456789ab");
  EXPECT_EQ(read_file("a"), "another file of this name");
  EXPECT_EQ(tree_.attributes_of("a").permissions, 0644U);
}

TEST_F(FilesTest, AFileThatWasRenamedOverLivesOnInItsHandle) {
  write_file("old", "old");
  write_file("new", "newer");
  const auto file = open("old", O_RDONLY);
  ASSERT_EQ(::rename(path("new").c_str(), path("old").c_str()), 0);
  struct stat shown {};
  ASSERT_EQ(::fstat(file, &shown), 0);
  EXPECT_EQ(shown.st_size, 3);
  char back[8];
  EXPECT_EQ(::read(file, back, sizeof(back)), 3);
  EXPECT_EQ(read_file("old"), "newer");
}

TEST_F(FilesTest, AnOpenFileFollowsItsRename) {
  write_file("a", "0123");
  const auto file = open("a", O_RDWR);
  ASSERT_EQ(::rename(path("a").c_str(), path("b").c_str()), 0);
  struct stat shown {};
  ASSERT_EQ(::fstat(file, &shown), 0);
  ASSERT_EQ(::fchmod(file, 0600), 0);
  EXPECT_EQ(tree_.attributes_of("b").permissions, 0600U);
}

TEST_F(FilesTest, Allocates) {
  const auto file = open("a", O_RDWR | O_CREAT);
  ASSERT_EQ(::fallocate(file, 0, 0, 100), 0);
  EXPECT_EQ(tree_.bytes_of("a").size(), 100U);
  ASSERT_EQ(::fallocate(file, FALLOC_FL_KEEP_SIZE, 0, 1000), 0);
  EXPECT_EQ(tree_.bytes_of("a").size(), 100U);
  constexpr int kPunch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
  EXPECT_EQ(error_of(::fallocate(file, kPunch, 0, 10)), EOPNOTSUPP);
  EXPECT_EQ(error_of(::fallocate(file, FALLOC_FL_ZERO_RANGE, 0, 10)), EOPNOTSUPP);
  ASSERT_EQ(::fallocate(file, 0, 0, 200), 0);
}

TEST_F(FilesTest, SeeksAndCopiesRangesWithoutHelp) {
  write_file("a", pattern(100'000));
  const auto from = open("a", O_RDONLY);
  const auto to = open("b", O_WRONLY | O_CREAT);
  EXPECT_EQ(::lseek(from, 0, SEEK_DATA), 0);
  EXPECT_EQ(::lseek(from, 0, SEEK_HOLE), 100'000);
  EXPECT_EQ(::lseek(from, 0, SEEK_SET), 0);
  EXPECT_EQ(::copy_file_range(from, nullptr, to, nullptr, 100'000, 0), 100'000);
  EXPECT_EQ(tree_.bytes_of("b"), pattern(100'000));
}

TEST_F(FilesTest, ReadersAreNotFlushed) {
  write_file("a", "x");
  const int flushed = tree_.calls("flush");
  EXPECT_EQ(read_file("a"), "x");
  EXPECT_EQ(tree_.calls("flush"), flushed);
}

TEST_F(FilesTest, EveryCloseOfADuplicateFlushes) {
  const auto file = open("a", O_WRONLY | O_CREAT);
  Descriptor twin(::dup(file));
  ASSERT_EQ(twin.close(), 0);
  EXPECT_EQ(tree_.calls("flush"), 1);
}

TEST_F(FilesTest, CloseTellsTheErrorOfTheFlush) {
  auto file = open("a", O_WRONLY | O_CREAT);
  fail_with("flush", ErrorCode::cap_exceeded);
  EXPECT_EQ(error_of(file.close()), EDQUOT);
}

TEST_F(FilesTest, EveryHandleIsReleased) {
  for (int i = 0; i < 20; ++i) write_file("a" + std::to_string(i), "x");
  for (int i = 0; i < 100 && tree_.open_handles() > 0; ++i) ::usleep(20'000);
  EXPECT_EQ(tree_.open_handles(), 0);
}

TEST_F(FilesTest, PagesOfAWriterAreNotKept) {
  write_file("a", "first");
  EXPECT_EQ(read_file("a"), "first");
  tree_.put("a", "other");
  EXPECT_EQ(read_file("a"), "other");
}

}  // namespace
}  // namespace spillway::test
