// The mount itself: how it begins, how it ends, who may wait for whom, what the kernel remembers.
#include "fuse/mount.h"

#include <fcntl.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <fstream>
#include <thread>
#include <vector>

#include "fuse/mount_table.h"
#include "tests/mount_layer/mounted_tree.h"

namespace spillway::test {
namespace {

using namespace std::chrono_literals;

class MountTest : public MountedTree {
 protected:
  void make_slow(const std::string& verb, const std::string& path_begin,
                 std::chrono::milliseconds delay) {
    tree_.set_before([=](const std::string& called,
                         const std::string& path) -> std::optional<Error> {
      if (called == verb && path.starts_with(path_begin)) std::this_thread::sleep_for(delay);
      return std::nullopt;
    });
  }
  std::string refusal() {
    const auto made = kernel::make_mount(settings_, tree_, *executor_);
    return made.ok() ? "mounted" : made.error().detail;
  }
};

TEST_F(MountTest, ShowsItsSourceAndType) {
  start();
  const auto mounted = kernel::mounted_at(mountpoint_);
  ASSERT_TRUE(mounted);
  EXPECT_EQ(mounted->type, "fuse.spillway");
  EXPECT_EQ(mounted->source, "spillway:test");
}

TEST_F(MountTest, EndsWhenItIsUnmounted) {
  start();
  ASSERT_EQ(::umount(mountpoint_.c_str()), 0);
  EXPECT_TRUE(stop().ok());
  EXPECT_FALSE(is_mounted());
}

TEST_F(MountTest, DoesNotTakeAwayAnotherMountInItsPlace) {
  start();
  { const auto busy = open("a", O_WRONLY | O_CREAT);
    ASSERT_EQ(::umount2(mountpoint_.c_str(), MNT_DETACH), 0);
    ASSERT_EQ(::mount("other", mountpoint_.c_str(), "tmpfs", 0, nullptr), 0);
    EXPECT_TRUE(stop().ok());
  }
  EXPECT_EQ(kernel::mounted_at(mountpoint_)->type, "tmpfs");
}

TEST_F(MountTest, EndsWhenItIsStopped) {
  start();
  EXPECT_LT(time_of([&] { EXPECT_TRUE(stop().ok()); }), 2s);
  EXPECT_FALSE(is_mounted());
}

TEST_F(MountTest, EndsWhileFilesAreOpen) {
  start();
  const auto file = open("a", O_WRONLY | O_CREAT);
  const auto directory = open("", O_RDONLY | O_DIRECTORY);
  EXPECT_LT(time_of([&] { EXPECT_TRUE(stop().ok()); }), 2s);
  EXPECT_FALSE(is_mounted());
  EXPECT_EQ(error_of(::write(file, "x", 1)), ENOTCONN);
  EXPECT_EQ(tree_.calls("release"), 0);
  EXPECT_EQ(tree_.calls("release_directory"), 1);
}

TEST_F(MountTest, MayBeStoppedManyTimesAndBeforeItRuns) {
  auto made = kernel::make_mount(settings_, tree_, *executor_);
  ASSERT_TRUE(made.ok());
  made.value()->stop();
  made.value()->stop();
  EXPECT_TRUE(made.value()->run({}).ok());
  EXPECT_FALSE(is_mounted());
  made.value()->stop();
}

TEST_F(MountTest, IsGoneWithItsObjectWhenItNeverRan) {
  { const auto made = kernel::make_mount(settings_, tree_, *executor_); }
  EXPECT_FALSE(is_mounted());
}

TEST_F(MountTest, FinishesWhatIsBeingServedBeforeItEnds) {
  start();
  const auto file = open("slow", O_WRONLY | O_CREAT);
  make_slow("write", "slow", 700ms);
  ssize_t written = 0;
  std::thread writer([&] { written = ::write(file, "x", 1); });
  std::this_thread::sleep_for(200ms);
  EXPECT_GT(time_of([&] { EXPECT_TRUE(stop().ok()); }), 300ms);
  writer.join();
  EXPECT_EQ(written, 1);
  EXPECT_EQ(tree_.bytes_of("slow"), "x");
}

TEST_F(MountTest, StopsAgainAndAgain) {
  for (int i = 0; i < 20; ++i) {
    auto made = kernel::make_mount(settings_, tree_, *executor_);
    ASSERT_TRUE(made.ok()) << made.error().detail;
    std::thread stopper([&] {
      std::this_thread::sleep_for(std::chrono::microseconds(200 * i));
      made.value()->stop();
    });
    EXPECT_TRUE(made.value()->run({}).ok());
    stopper.join();
    EXPECT_FALSE(is_mounted());
  }
}

TEST_F(MountTest, ASlowFileDelaysNoOther) {
  tree_.put("slow", "x");
  tree_.put("quick", "y");
  start();
  make_slow("read", "slow", 2s);
  std::thread reader([&] { EXPECT_EQ(read_file("slow"), "x"); });
  std::this_thread::sleep_for(100ms);
  EXPECT_LT(time_of([&] { EXPECT_EQ(read_file("quick"), "y"); }), 500ms);
  EXPECT_LT(time_of([&] { write_file("new", "z"); }), 500ms);
  reader.join();
}

TEST_F(MountTest, SixtyFourSlowFilesDelayNoOther) {
  tree_.put("quick", "y");
  for (int i = 0; i < 64; ++i) tree_.put("slow" + std::to_string(i), "x");
  start();
  make_slow("read", "slow", 1s);
  std::vector<std::thread> readers;
  for (int i = 0; i < 64; ++i) {
    readers.emplace_back([this, i] { EXPECT_EQ(read_file("slow" + std::to_string(i)), "x"); });
  }
  std::this_thread::sleep_for(300ms);
  EXPECT_LT(time_of([&] { EXPECT_EQ(read_file("quick"), "y"); }), 500ms);
  for (auto& reader : readers) reader.join();
}

TEST_F(MountTest, LooksUpInOneDirectoryWithManyThreads) {
  constexpr int kThreads = 16;
  for (int i = 0; i < kThreads; ++i) tree_.put("file" + std::to_string(i), "x");
  start();
  make_slow("lookup", "file", 100ms);
  const auto took = time_of([&] {
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([this, i] { EXPECT_EQ(stat_error("file" + std::to_string(i)), 0); });
    }
    for (auto& thread : threads) thread.join();
  });
  EXPECT_LT(took, 100ms * kThreads / 3);
}

TEST_F(MountTest, TellsTheProgramWhoCalls) {
  settings_.visibility = kernel::MountSettings::Visibility::everybody;
  start();
  ASSERT_EQ(::chmod(mountpoint_.c_str(), 0777), 0);
  std::thread([this] {
    ::setfsgid(4321);
    ::setfsuid(1234);
    write_file("a", "x");
  }).join();
  const auto callers = tree_.callers();
  ASSERT_EQ(callers.size(), 1U);
  EXPECT_EQ(callers[0].uid, 1234U);
  EXPECT_EQ(callers[0].gid, 4321U);
  EXPECT_GT(callers[0].pid, 0);
}

TEST_F(MountTest, ChecksPermissionsWhereEverybodyMayEnter) {
  tree_.put("secret", "x");
  settings_.visibility = kernel::MountSettings::Visibility::everybody;
  start();
  ASSERT_EQ(::chmod(path("secret").c_str(), 0600), 0);
  std::thread([this] {
    ::setfsuid(1234);
    const auto file = open("secret", O_RDONLY);
    EXPECT_EQ(error_of(file), EACCES);
  }).join();
}

TEST_F(MountTest, KeepsOthersOut) {
  tree_.put("a", "x");
  start();
  std::thread([this] {
    // For this thread alone, which the C library would not do.
    ASSERT_EQ(::syscall(SYS_setresuid, 1234, 1234, 1234), 0);
    EXPECT_EQ(stat_error("a"), EACCES);
  }).join();
}

TEST_F(MountTest, ReadOnlyIsReadOnly) {
  settings_.access = kernel::MountSettings::Access::read_only;
  start();
  const auto file = open("a", O_WRONLY | O_CREAT);
  EXPECT_EQ(error_of(file), EROFS);
}

TEST_F(MountTest, ShowsTheOwnerAndMaskOfTheMount) {
  tree_.put("a", "x");
  settings_.presentation = {.uid = 5, .gid = 6, .umask = 0077U};
  start();
  const auto shown = stat_of("a");
  EXPECT_EQ(shown.st_uid, 5U);
  EXPECT_EQ(shown.st_gid, 6U);
  EXPECT_EQ(shown.st_mode & 07777U, 0600U);
}

TEST_F(MountTest, RemembersNamesAsLongAsTheProgramSays) {
  tree_.put("a", "x");
  tree_.absent_valid_for = 1h;
  start();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(stat_error("a"), 0);
    EXPECT_EQ(stat_error("absent"), ENOENT);
  }
  EXPECT_EQ(tree_.calls("lookup"), 2);
}

TEST_F(MountTest, AsksAgainWhereTheProgramPromisesNothing) {
  start();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(stat_error("absent"), ENOENT);
  EXPECT_EQ(tree_.calls("lookup"), 3);
}

TEST_F(MountTest, ForgetsANameWhenTold) {
  tree_.absent_valid_for = 1h;
  tree_.present_valid_for = 1h;
  start();
  EXPECT_EQ(stat_error("a"), ENOENT);
  tree_.put("a", "x");
  EXPECT_EQ(stat_error("a"), ENOENT);
  tree_.kernel().entry_changed(*Path::parse("a"));
  EXPECT_EQ(stat_error("a"), 0);
  tree_.drop("a");
  tree_.kernel().entry_changed(*Path::parse("a"));
  EXPECT_EQ(stat_error("a"), ENOENT);
}

TEST_F(MountTest, ForgetsContentWhenTold) {
  tree_.present_valid_for = 1h;
  tree_.keep_cache = true;
  settings_.presentation.attributes_valid_for = 1h;
  tree_.put("a", "first");
  start();
  EXPECT_EQ(read_file("a"), "first");
  tree_.put("a", "second one");
  EXPECT_EQ(read_file("a"), "first");
  tree_.kernel().content_changed(*Path::parse("a"));
  EXPECT_EQ(read_file("a"), "second one");
}

TEST_F(MountTest, NotificationsOutsideTheMountsLifeDoNothing) {
  start();
  EXPECT_EQ(stat_error("a"), ENOENT);
  tree_.kernel().entry_changed(*Path::parse("never/seen"));
  tree_.kernel().entry_changed(Path());
  ASSERT_TRUE(stop().ok());
  tree_.kernel().content_changed(Path());
  tree_.kernel().entry_changed(*Path::parse("a"));
}

TEST_F(MountTest, StopsWhileNotificationsWaitForTheKernel) {
  start();
  make_slow("make_directory", "slow", 500ms);
  std::thread maker([&] { ::mkdir(path("slow").c_str(), 0755); });
  std::this_thread::sleep_for(100ms);
  std::thread notifier([&] { tree_.kernel().entry_changed(*Path::parse("other")); });
  std::this_thread::sleep_for(100ms);
  EXPECT_LT(time_of([&] { EXPECT_TRUE(stop().ok()); }), 3s);
  notifier.join();
  maker.join();
}

TEST_F(MountTest, ReadsAheadAMegabyte) {
  tree_.put("a", std::string(16 * 1024 * 1024, 'x'));
  start();
  std::ifstream file("/sys/class/bdi/" + kernel::mounted_at(mountpoint_)->device +
                     "/read_ahead_kb");
  int kilobytes = 0;
  if (!(file >> kilobytes)) GTEST_SKIP() << "no /sys/class/bdi here";
  EXPECT_EQ(kilobytes, 1024);
  EXPECT_EQ(read_file("a").size(), 16U * 1024 * 1024);
  EXPECT_LT(tree_.calls("read"), 64);  // 16, or some more on a busy machine; 128 without
}

TEST_F(MountTest, GivesTheErrnoOfEachVerb) {
  tree_.present_valid_for = {};
  tree_.put("a", "x");
  start();
  fail_with("lookup", ErrorCode::timeout);
  EXPECT_EQ(stat_error("a"), ETIMEDOUT);
  fail_with("open", ErrorCode::auth_error);
  { const auto file = open("a", O_RDONLY); EXPECT_EQ(error_of(file), EACCES); }
  fail_with("create", ErrorCode::rate_limited);
  { const auto file = open("b", O_WRONLY | O_CREAT); EXPECT_EQ(error_of(file), EBUSY); }
  fail_with("unlink", ErrorCode::network_error);
  EXPECT_EQ(error_of(::unlink(path("a").c_str())), EHOSTUNREACH);
  fail_with("set_attributes", ErrorCode::too_large);
  EXPECT_EQ(error_of(::truncate(path("a").c_str(), 1)), EFBIG);
  fail_with("open_directory", ErrorCode::server_error);
  { const auto file = open("", O_RDONLY | O_DIRECTORY); EXPECT_EQ(error_of(file), EIO); }
  fail_with("write", ErrorCode::not_supported);
  { const auto file = open("a", O_WRONLY); EXPECT_EQ(error_of(::write(file, "x", 1)), ENOTSUP); }
}

TEST_F(MountTest, SaysWhatIsWrongWithTheMountpoint) {
  settings_.mountpoint = mountpoint_ + "/absent";
  EXPECT_NE(refusal().find("does not exist"), std::string::npos);
  settings_.mountpoint = mountpoint_ + "/file";
  std::ofstream(settings_.mountpoint) << "x";
  EXPECT_NE(refusal().find("is not a directory"), std::string::npos);
  ::unlink(settings_.mountpoint.c_str());
}

TEST_F(MountTest, AMountpointNeedNotBeEmpty) {
  std::ofstream(path("hidden")) << "x";
  start();
  EXPECT_EQ(stat_error("hidden"), ENOENT);
  ASSERT_TRUE(stop().ok());
  EXPECT_EQ(stat_error("hidden"), 0);
  ::unlink(path("hidden").c_str());
}

TEST_F(MountTest, RefusesToMountTwice) {
  start();
  EXPECT_NE(refusal().find("is mounted already (spillway:test)"), std::string::npos);
}

TEST_F(MountTest, RefusesOptionsThatLoosenItOrThatNobodyKnows) {
  for (const std::string option : {"suid", "dev", "fsname=x", "subtype=y", "max_read=4096"}) {
    settings_.options = {option};
    EXPECT_NE(refusal().find("not allowed"), std::string::npos) << option;
  }
  settings_.options = {"no-such-option"};
  EXPECT_NE(refusal().find("no-such-option"), std::string::npos);
  settings_.options = {"noatime", "noexec"};
  start();
}

// The child mounts and dies at once; nobody is left to serve.
TEST_F(MountTest, NamesTheRemedyForADeadMount) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const auto own = make_thread_executor(1);
    const auto made = kernel::make_mount(settings_, tree_, *own);
    ::raise(SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(is_mounted());
  EXPECT_NE(refusal().find("fusermount3 -u " + mountpoint_), std::string::npos) << refusal();
  ASSERT_EQ(::umount2(mountpoint_.c_str(), MNT_DETACH), 0);
}

}  // namespace
}  // namespace spillway::test
