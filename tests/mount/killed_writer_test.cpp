// A program that is killed while it writes: its file is published as a disk would have it, and says
// so; with --on-kill=discard the old content stays. Who ends by itself is never taken for killed.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "tests/support/child.h"
#include "tests/support/mounted.h"

namespace spillway {
namespace {

namespace fs = std::filesystem;

constexpr int kNewFile = O_WRONLY | O_CREAT | O_TRUNC;
constexpr std::size_t kMiB = 1U << 20U;

class KilledWriter : public testing::Test {
 protected:
  void SetUp() override {
    if (!can_mount()) GTEST_SKIP() << "/dev/fuse is not there, or not for this user";
  }

  static MountOptions publishing() { return {.arguments = {"--part-size", "5MiB"}}; }
  static MountOptions discarding() {
    return {.arguments = {"--part-size", "5MiB", "--on-kill", "discard"}};
  }

  // Writes `bytes` in a process that dies by `signal` before it has closed the file.
  static void write_and_die(const fs::path& file, int flags, std::string_view bytes, int signal) {
    Child child([&] { write_all(open_file(file, flags), bytes); });
    ASSERT_TRUE(child.stands_still());
    ASSERT_EQ(child.kill(signal), 128 + signal);
  }

  // The RELEASE of a killed process's file comes after the process is gone.
  static bool is_told(const Mounted& mounted) {
    return eventually([&] { return !mounted.log("writer_killed").empty(); });
  }
  static bool is_uploaded(const Mounted& mounted, std::size_t times) {
    return eventually([&] { return mounted.log("upload").size() == times; });
  }

  static void expect_told(const Mounted& mounted, const std::string& name, std::size_t bytes) {
    ASSERT_TRUE(is_told(mounted));
    const auto lines = mounted.log("writer_killed");
    ASSERT_EQ(lines.size(), 1U);
    EXPECT_EQ(lines.front().at("level"), "warning");
    EXPECT_EQ(lines.front().at("path"), name);
    EXPECT_EQ(lines.front().at("bytes"), bytes);
    EXPECT_TRUE(lines.front().at("detail").get<std::string>().contains("killed"));
  }

  static void expect_flagged(const fs::path& file, const std::string& content) {
    EXPECT_EQ(read_file(file), content);
    EXPECT_EQ(xattr(file, "user.b2.storage"), "b2");
    EXPECT_EQ(xattr(file, "user.b2.writer_killed"), "true");
  }

  static void expect_not_flagged(const Mounted& mounted, const std::string& name,
                                 const std::string& content) {
    ASSERT_TRUE(is_uploaded(mounted, 1));
    EXPECT_EQ(read_file(mounted / name), content);
    EXPECT_EQ(xattr(mounted / name, "user.b2.storage"), "b2");
    EXPECT_EQ(xattr(mounted / name, "user.b2.writer_killed"), std::nullopt);
    EXPECT_TRUE(mounted.log("writer_killed").empty());
  }

  // Nothing of what was written has reached the bucket, or is left there half.
  static void expect_untouched(Mounted& mounted, std::size_t versions) {
    EXPECT_EQ(mounted.server().versions().size(), versions);
    EXPECT_TRUE(eventually([&] { return mounted.server().uploads().empty(); }));
    EXPECT_EQ(xattr(mounted.root(), "user.b2.pending_files"), "0");
  }
};

// --- published

class KilledBy : public KilledWriter, public testing::WithParamInterface<int> {};

TEST_P(KilledBy, IsPublishedAndFlaggedForGood) {
  Mounted mounted(publishing());
  const std::string content = noise(100'000);
  write_and_die(mounted / "small.bin", kNewFile, content, GetParam());
  expect_told(mounted, "small.bin", content.size());
  ASSERT_TRUE(is_uploaded(mounted, 1));
  expect_flagged(mounted / "small.bin", content);
  mounted.unmount();
  mounted.mount();
  expect_flagged(mounted / "small.bin", content);
}

INSTANTIATE_TEST_SUITE_P(Signals, KilledBy, testing::Values(SIGKILL, SIGTERM, SIGSEGV));

TEST_F(KilledWriter, ALargeFileIsPublishedAsFarAsItWasWritten) {
  Mounted mounted(publishing());
  const std::string content = noise(12 * kMiB);
  write_and_die(mounted / "large.bin", kNewFile, content, SIGKILL);
  expect_told(mounted, "large.bin", content.size());
  ASSERT_TRUE(is_uploaded(mounted, 1));
  expect_flagged(mounted / "large.bin", content);
  mounted.unmount();
  mounted.mount();
  expect_flagged(mounted / "large.bin", content);
}

TEST_F(KilledWriter, InTheMiddleOfAWrite) {
  Mounted mounted(publishing());
  TempDirectory source;
  const std::string content = noise(40 * kMiB);
  write_file(source / "source.bin", content);
  mounted.server().fault_for_ever("UploadPart", {{"slow_bytes_per_second", 4'000'000}});
  Process copy({.arguments = {"dd", "bs=1M", "if=" + (source / "source.bin").string(),
                              "of=" + (mounted / "copy.bin").string()},
                .environment = {},
                .without = {},
                .directory = {},
                .input = {}});
  ASSERT_TRUE(eventually([&] { return mounted.server().requests()["UploadPart"] >= 2; }));
  copy.send_signal(SIGKILL);
  mounted.server().clear_faults();
  ASSERT_EQ(copy.wait(), 128 + SIGKILL);
  ASSERT_TRUE(is_told(mounted));
  ASSERT_TRUE(is_uploaded(mounted, 1));
  const std::size_t size = mounted.log("writer_killed").front().at("bytes");
  ASSERT_GT(size, 5 * kMiB);
  expect_flagged(mounted / "copy.bin", content.substr(0, size));
}

TEST_F(KilledWriter, OfAnExistingFile) {
  Mounted mounted(publishing());
  ASSERT_EQ(try_to_write(mounted / "file", "0123456789"), 0);
  write_and_die(mounted / "file", O_WRONLY, "abc", SIGKILL);
  expect_told(mounted, "file", 10);
  ASSERT_TRUE(is_uploaded(mounted, 2));
  expect_flagged(mounted / "file", "abc3456789");
}

// Who truncates a file and dies has destroyed it as well, on a disk.
TEST_F(KilledWriter, BeforeTheFirstByte) {
  Mounted mounted(publishing());
  ASSERT_EQ(try_to_write(mounted / "file", "old"), 0);
  write_and_die(mounted / "file", O_WRONLY | O_TRUNC, "", SIGKILL);
  expect_told(mounted, "file", 0);
  ASSERT_TRUE(is_uploaded(mounted, 2));
  expect_flagged(mounted / "file", "");
}

TEST_F(KilledWriter, IsFlaggedInTheShadowAndAfterTheDrain) {
  Mounted mounted(publishing());
  mounted.server().kill();
  write_and_die(mounted / "file", kNewFile, "as far as it got", SIGKILL);
  expect_told(mounted, "file", 16);
  ASSERT_TRUE(is_uploaded(mounted, 1));
  EXPECT_EQ(xattr(mounted / "file", "user.b2.storage"), "local");
  EXPECT_EQ(xattr(mounted / "file", "user.b2.writer_killed"), "true");
  mounted.server().start();
  ASSERT_EQ(mounted.command({"drain", "--timeout", "60s", mounted.root()}).exit_code, 0);
  expect_flagged(mounted / "file", "as far as it got");
}

TEST_F(KilledWriter, TheNextWriterTakesTheFlagAway) {
  Mounted mounted(publishing());
  write_and_die(mounted / "file", kNewFile, "half", SIGKILL);
  ASSERT_TRUE(is_uploaded(mounted, 1));
  EXPECT_EQ(xattr(mounted / "file", "user.b2.writer_killed"), "true");
  ASSERT_EQ(try_to_write(mounted / "file", "whole"), 0);
  EXPECT_EQ(xattr(mounted / "file", "user.b2.writer_killed"), std::nullopt);
  mounted.unmount();
  mounted.mount();
  EXPECT_EQ(read_file(mounted / "file"), "whole");
  EXPECT_EQ(xattr(mounted / "file", "user.b2.writer_killed"), std::nullopt);
}

// --- discarded

TEST_F(KilledWriter, DiscardKeepsWhatWasTruncated) {
  Mounted mounted(discarding());
  const std::string old = noise(50'000, 1);
  ASSERT_EQ(try_to_write(mounted / "file", old), 0);
  write_and_die(mounted / "file", O_WRONLY | O_TRUNC, noise(20'000, 2), SIGKILL);
  expect_told(mounted, "file", 20'000);
  EXPECT_TRUE(eventually([&] { return read_file(mounted / "file") == old; }));
  EXPECT_EQ(fs::file_size(mounted / "file"), old.size());
  EXPECT_EQ(xattr(mounted / "file", "user.b2.storage"), "b2");
  EXPECT_EQ(xattr(mounted / "file", "user.b2.writer_killed"), std::nullopt);
  expect_untouched(mounted, 1);
}

TEST_F(KilledWriter, DiscardKeepsWhatWasTruncatedByTheShell) {
  Mounted mounted(discarding());
  ASSERT_EQ(try_to_write(mounted / "file", "old"), 0);
  Process shell({.arguments = {"bash", "-c", "kill -9 $$ > '" + (mounted / "file").string() + "'"},
                 .environment = {},
                 .without = {},
                 .directory = {},
                 .input = {}});
  ASSERT_EQ(shell.wait(), 128 + SIGKILL);
  expect_told(mounted, "file", 0);
  EXPECT_TRUE(eventually([&] { return read_file(mounted / "file") == "old"; }));
  expect_untouched(mounted, 1);
}

TEST_F(KilledWriter, DiscardKeepsWhatWasOverwritten) {
  Mounted mounted(discarding());
  const std::string old = noise(12 * kMiB, 1);
  ASSERT_EQ(try_to_write(mounted / "file", old), 0);
  write_and_die(mounted / "file", O_WRONLY, noise(7 * kMiB, 2), SIGTERM);
  expect_told(mounted, "file", old.size());
  EXPECT_TRUE(eventually([&] { return read_file(mounted / "file") == old; }));
  expect_untouched(mounted, 1);
}

TEST_F(KilledWriter, DiscardLeavesNothingOfANewFile) {
  Mounted mounted(discarding());
  write_and_die(mounted / "small", kNewFile, noise(20'000), SIGKILL);
  expect_told(mounted, "small", 20'000);
  EXPECT_TRUE(eventually([&] { return !fs::exists(mounted / "small"); }));
  EXPECT_TRUE(fs::is_empty(mounted.root()));
  expect_untouched(mounted, 0);
  ASSERT_EQ(try_to_write(mounted / "small", "again"), 0);
  EXPECT_EQ(read_file(mounted / "small"), "again");
}

TEST_F(KilledWriter, DiscardLeavesNothingOfANewLargeFile) {
  Mounted mounted(discarding());
  write_and_die(mounted / "large", kNewFile, noise(12 * kMiB), SIGKILL);
  expect_told(mounted, "large", 12 * kMiB);
  EXPECT_TRUE(eventually([&] { return !fs::exists(mounted / "large"); }));
  expect_untouched(mounted, 0);
}

// What was on its way to the shadow goes as well.
TEST_F(KilledWriter, DiscardInAnOutage) {
  Mounted mounted(discarding());
  mounted.server().kill();
  ASSERT_EQ(try_to_write(mounted / "file", "old"), 0);
  write_and_die(mounted / "file", O_WRONLY | O_TRUNC, "new", SIGKILL);
  expect_told(mounted, "file", 3);
  EXPECT_TRUE(eventually([&] { return read_file(mounted / "file") == "old"; }));
  EXPECT_EQ(xattr(mounted / "file", "user.b2.storage"), "local");
  mounted.server().start();
  ASSERT_EQ(mounted.command({"drain", "--timeout", "60s", mounted.root()}).exit_code, 0);
  EXPECT_EQ(read_file(mounted / "file"), "old");
}

// --- not killed

TEST_F(KilledWriter, WhoEndsWithoutClosingIsNotKilled) {
  Mounted mounted(discarding());
  Child child([&] {
    write_all(open_file(mounted / "file", kNewFile), "whole");
    _exit(3);
  });
  ASSERT_EQ(child.wait(), 3);
  expect_not_flagged(mounted, "file", "whole");
}

// The other threads of a process that ends are killed, by the kernel.
TEST_F(KilledWriter, WhoEndsWhileThreadsRunIsNotKilled) {
  Mounted mounted(discarding());
  Child child([&] {
    write_all(open_file(mounted / "file", kNewFile), "whole");
    for (int i = 0; i < 8; ++i) new std::thread([] { pause(); });
    _exit(0);
  });
  ASSERT_EQ(child.wait(), 0);
  expect_not_flagged(mounted, "file", "whole");
}

TEST_F(KilledWriter, WhoEndsInAnotherThreadIsNotKilled) {
  Mounted mounted(discarding());
  Child child([&] {
    write_all(open_file(mounted / "file", kNewFile), "whole");
    std::thread([] { _exit(0); }).join();
  });
  ASSERT_EQ(child.wait(), 0);
  expect_not_flagged(mounted, "file", "whole");
}

TEST_F(KilledWriter, AProcessOfSeveralThreadsIsKilled) {
  Mounted mounted(publishing());
  Child child([&] {
    write_all(open_file(mounted / "file", kNewFile), "half");
    for (int i = 0; i < 8; ++i) new std::thread([] { pause(); });
  });
  ASSERT_TRUE(child.stands_still());
  ASSERT_EQ(child.kill(SIGKILL), 128 + SIGKILL);
  ASSERT_TRUE(is_uploaded(mounted, 1));
  expect_flagged(mounted / "file", "half");
}

TEST_F(KilledWriter, AChildDoesNotTakeTheFileFromItsParent) {
  Mounted mounted(discarding());
  const int descriptor = open_file(mounted / "file", kNewFile);
  write_all(descriptor, "the parent, ");
  {
    Child child([&] { write_all(descriptor, "its child, "); });
    ASSERT_TRUE(child.stands_still());
    ASSERT_EQ(child.kill(SIGKILL), 128 + SIGKILL);
  }
  EXPECT_TRUE(mounted.log("upload").empty()) << "nobody alive has closed it";
  write_all(descriptor, "the parent");
  ASSERT_EQ(close(descriptor), 0);
  expect_not_flagged(mounted, "file", "the parent, its child, the parent");
}

// Its close() says that the file is as it was meant, though nothing was written after the kill.
TEST_F(KilledWriter, AParentThatOnlyClosesVouchesForItsChild) {
  Mounted mounted(discarding());
  const int descriptor = open_file(mounted / "file", kNewFile);
  {
    Child child([&] { write_all(descriptor, "all of it"); });
    ASSERT_EQ(child.kill(SIGTERM), 128 + SIGTERM);
  }
  ASSERT_EQ(close(descriptor), 0);
  expect_not_flagged(mounted, "file", "all of it");
}

}  // namespace
}  // namespace spillway
