// spillway drain: everything goes back to B2 now, what can't is named, and what was stored before
// any bucket was known is taken over.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/support/mounted.h"

namespace spillway {
namespace {

namespace fs = std::filesystem;

class DrainCommand : public testing::Test {
 protected:
  void SetUp() override {
    if (!can_mount()) GTEST_SKIP() << "/dev/fuse is not there, or not for this user";
  }

  // Names and contents in the bucket, by what a reader without Spillway's help gets.
  static void expect_in_bucket(const Mounted& mounted, const std::string& key,
                               const std::string& content) {
    const auto got =
        mounted.command({"get", "--shadow", mounted.shadow().string() + "-of-get", key, "-"});
    EXPECT_EQ(got.exit_code, 0) << key << ": " << got.errors;
    EXPECT_TRUE(got.output == content) << key << " has other bytes";
  }
  // B2 refuses this one key, for a reason of the file's own; -1: from now on.
  static void refuse_key(const B2Sim& server, const std::string& key, int times = -1) {
    server.add_fault(
        {{"match", {{"kind", "PutObject"}, {"key", key}}},
         {"times", times},
         {"fault",
          {{"status", 400}, {"code", "InvalidRequest"}, {"message", "this one is not wanted"}}}});
  }
  static constexpr const char* kReason =
      ": invalid_request: 400 InvalidRequest: this one is not wanted (PutObject)\n    hint: ";
  static int shadow_files(const Mounted& mounted) {
    const auto status = xattr(mounted.root(), "user.b2.status");
    return nlohmann::json::parse(status.value_or("{}")).value("shadow_files", -1);
  }
};

// With a cool-down that outlasts the test: only the command can have ended it.
TEST_F(DrainCommand, BringsEverythingBackNow) {
  Mounted mounted({.arguments = {"--cooldown", "10m"}});
  mounted.server().kill();
  for (int i = 0; i < 12; ++i) {
    ASSERT_EQ(try_to_write(mounted / ("file" + std::to_string(i)), noise(20'000, i)), 0);
  }
  ASSERT_EQ(try_to_write(mounted / "large", noise(20'000'000)), 0);
  mounted.server().start();
  const auto finished = mounted.command({"drain", "--timeout", "60s", mounted.root()});
  EXPECT_EQ(finished.exit_code, 0) << finished.errors;
  EXPECT_TRUE(finished.output.contains("bringing 13 files, 19.3 MiB to B2")) << finished.output;
  EXPECT_TRUE(finished.output.ends_with("nothing is left in the shadow\n")) << finished.output;
  EXPECT_EQ(shadow_files(mounted), 0);
  for (int i = 0; i < 12; ++i) {
    expect_in_bucket(mounted, "file" + std::to_string(i), noise(20'000, i));
  }
  expect_in_bucket(mounted, "large", noise(20'000'000));
  EXPECT_EQ(xattr(mounted / "large", "user.b2.storage"), "b2");
}

TEST_F(DrainCommand, NamesAStuckFileAndBringsTheOthers) {
  Mounted mounted({.arguments = {"--cooldown", "10m"}});
  mounted.server().kill();
  for (const std::string name : {"before.bin", "stuck.bin", "after.bin"}) {
    ASSERT_EQ(try_to_write(mounted / name, noise(5'000)), 0);
  }
  mounted.server().start();
  refuse_key(mounted.server(), "stuck.bin");
  const auto finished = mounted.command({"drain", "--timeout", "60s", mounted.root()});
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_TRUE(finished.errors.contains("the rest can't go to B2; 1 file, ")) << finished.errors;
  const std::string reason = (mounted / "stuck.bin").string() + kReason;
  EXPECT_TRUE(finished.errors.contains(reason)) << finished.errors;
  EXPECT_FALSE(finished.errors.contains("before.bin")) << finished.errors;
  expect_in_bucket(mounted, "before.bin", noise(5'000));
  expect_in_bucket(mounted, "after.bin", noise(5'000));
  EXPECT_EQ(read_file(mounted / "stuck.bin"), noise(5'000));
  EXPECT_EQ(xattr(mounted / "stuck.bin", "user.b2.storage"), "local");

  const auto text = mounted.command({"status", mounted.root()});
  EXPECT_TRUE(text.output.contains(reason)) << text.output;
  EXPECT_FALSE(text.output.contains('{')) << text.output;
  const auto json =
      nlohmann::json::parse(mounted.command({"status", "--json", mounted.root()}).output);
  ASSERT_EQ(json.at("status").at("stuck").size(), 1U);
  EXPECT_EQ(json.at("status").at("stuck")[0].at("path"), "stuck.bin");

  mounted.server().clear_faults();
  EXPECT_EQ(mounted.command({"drain", "--timeout", "60s", mounted.root()}).exit_code, 0);
  expect_in_bucket(mounted, "stuck.bin", noise(5'000));
}

// A file that is gone waits for nothing, and does not hold the command up either.
TEST_F(DrainCommand, ForgetsAStuckFileThatWasDeleted) {
  Mounted mounted;
  mounted.server().kill();
  ASSERT_EQ(try_to_write(mounted / "stuck.bin", noise(5'000)), 0);
  mounted.server().start();
  refuse_key(mounted.server(), "stuck.bin");
  EXPECT_EQ(mounted.command({"drain", "--timeout", "60s", mounted.root()}).exit_code, 1);
  fs::remove(mounted / "stuck.bin");
  const auto text = mounted.command({"status", mounted.root()});
  EXPECT_FALSE(text.output.contains("stuck.bin")) << text.output;
  EXPECT_EQ(mounted.command({"drain", "--timeout", "60s", mounted.root()}).exit_code, 0);
}

TEST_F(DrainCommand, SaysWhyItWaitsAndWaitsOn) {
  Mounted mounted;
  mounted.server().kill();
  ASSERT_EQ(try_to_write(mounted / "here.txt", "two"), 0);
  Process drain(mounted.command_line({"drain", mounted.root()}));
  ASSERT_TRUE(
      drain.wait_for_text("B2 takes no files just now; waiting until it does: network_err"));
  EXPECT_TRUE(drain.running());
  mounted.server().start();
  EXPECT_EQ(drain.wait(), 0) << drain.errors();
  const std::string errors = drain.errors();
  EXPECT_EQ(errors.find("waiting until"), errors.rfind("waiting until")) << errors;
}

TEST_F(DrainCommand, EndsWithTheDaemon) {
  Mounted mounted;
  mounted.server().kill();
  ASSERT_EQ(try_to_write(mounted / "here.txt", "two"), 0);
  Process drain(mounted.command_line({"drain", mounted.root()}));
  ASSERT_TRUE(drain.wait_for_text("bringing 1 file, 3 B to B2"));
  mounted.process().kill();
  EXPECT_EQ(drain.wait(), 1) << drain.output();
  EXPECT_TRUE(drain.errors().contains("has died")) << drain.errors();
  EXPECT_EQ(mounted.command({"umount", mounted.root()}).exit_code, 0);
  mounted.server().start();
  mounted.mount();
  EXPECT_EQ(mounted.command({"drain", "--timeout", "60s", mounted.root()}).exit_code, 0);
  expect_in_bucket(mounted, "here.txt", "two");
}

TEST_F(DrainCommand, EndsWithTheMount) {
  Mounted mounted;
  mounted.server().kill();
  ASSERT_EQ(try_to_write(mounted / "here.txt", "two"), 0);
  Process drain(mounted.command_line({"drain", mounted.root()}));
  ASSERT_TRUE(drain.wait_for_text("bringing 1 file, 3 B to B2"));
  mounted.process().send_signal(SIGTERM);
  EXPECT_EQ(mounted.process().wait(), 0);
  EXPECT_EQ(drain.wait(), 1) << drain.output();
  EXPECT_TRUE(drain.errors().contains("was unmounted meanwhile")) << drain.errors();
  mounted.mount();
}

TEST_F(DrainCommand, WithoutB2FailsAtOnce) {
  Mounted mounted({.without = {"S3_SECRET_KEY"}});
  ASSERT_EQ(try_to_write(mounted / "here.txt", "two"), 0);
  const auto finished = mounted.command({"drain", mounted.root()});
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_TRUE(finished.errors.contains("spillway drain --adopt")) << finished.errors;
  EXPECT_EQ(read_file(mounted / "here.txt"), "two");
}

// --- --adopt

constexpr const char* kDate = "2001-02-03 04:05:06.000000000 +0000";

class Adopt : public DrainCommand {
 protected:
  // What a mount without a bucket leaves, in the directory that it takes by itself.
  void SetUp() override {
    DrainCommand::SetUp();
    if (IsSkipped()) return;
    fs::create_directory(place_ / "mnt");
    mount_local_only();
    shell("cd '" + local_root() +
          "' && mkdir -m 750 empty && mkdir -p music/old && printf content > music/old/song.mp3 && "
          "chmod 640 music/old/song.mp3 && setfattr -n user.mine -v x music/old/song.mp3 && "
          "touch -d '" +
          kDate +
          "' music/old/song.mp3 empty && "
          "ln -s old/song.mp3 music/link && printf ours > both.txt && printf same > same.txt");
  }

  [[nodiscard]] std::string local_root() const { return place_ / "mnt"; }
  [[nodiscard]] fs::path local_shadow() const { return place_ / "state/spillway/local-only"; }

  Command beside(std::vector<std::string> arguments) const {
    Command command;
    command.arguments = std::move(arguments);
    command.arguments.insert(command.arguments.begin(), SPILLWAY_PROGRAM);
    // Root's place is fixed; the tests' own is of use only where it is not root's.
    command.environment = {{"XDG_STATE_HOME", place_ / "state"}};
    command.without = {"S3_ENDPOINT", "S3_ACCESS_KEY", "S3_SECRET_KEY", "S3_BUCKET", "S3_REGION"};
    return command;
  }
  void mount_local_only() {
    auto command = beside(
        {"mount", "-f", "--log-file", place_ / "log", "--shadow", local_shadow(), local_root()});
    local_ = std::make_unique<Process>(command);
    ASSERT_TRUE(eventually([&] { return xattr(local_root(), "user.b2.state") == "local_only"; }))
        << local_->errors();
  }
  void unmount_local_only() {
    EXPECT_EQ(run(beside({"umount", local_root()})).exit_code, 0);
    EXPECT_EQ(local_->wait(), 0) << local_->errors();
  }
  void TearDown() override {
    if (local_ && local_->running()) unmount_local_only();
  }
  // An unprivileged user's default is found by itself; root's is not the tests' to fill.
  Finished adopt(const Mounted& mounted) const {
    const bool is_default = geteuid() != 0;
    return run(beside(
        {"drain", is_default ? "--adopt" : "--adopt=" + local_shadow().string(), mounted.root()}));
  }
  static std::string mode_and_time(const fs::path& file) {
    return shell("TZ=UTC stat -c '%a %y' '" + file.string() + "'");
  }

 private:
  TempDirectory place_;
  std::unique_ptr<Process> local_;
};

TEST_F(Adopt, TakesOverEverythingAndReplacesNothing) {
  unmount_local_only();
  Mounted mounted;
  ASSERT_EQ(try_to_write(mounted / "both.txt", "theirs"), 0);
  ASSERT_EQ(try_to_write(mounted / "same.txt", "same"), 0);
  const auto finished = adopt(mounted);
  EXPECT_EQ(finished.exit_code, 0) << finished.errors;
  const std::string root = mounted.root();
  EXPECT_TRUE(
      finished.output.contains("music/old/song.mp3 -> " + root + "/music/old/song.mp3 (b2)"))
      << finished.output;
  EXPECT_TRUE(finished.output.contains("both.txt -> " + root + "/both.txt (conflict "))
      << finished.output;
  EXPECT_TRUE(finished.output.contains("same.txt (was there already)")) << finished.output;

  expect_in_bucket(mounted, "music/old/song.mp3", "content");
  EXPECT_EQ(mode_and_time(mounted / "music/old/song.mp3"), std::string("640 ") + kDate + "\n");
  EXPECT_EQ(xattr(mounted / "music/old/song.mp3", "user.mine"), "x");
  EXPECT_EQ(mode_and_time(mounted / "empty"), std::string("750 ") + kDate + "\n");
  EXPECT_EQ(fs::read_symlink(mounted / "music/link"), "old/song.mp3");
  expect_in_bucket(mounted, "both.txt", "theirs");
  EXPECT_EQ(shell("cat '" + root + "'/both.txt\\ \\(conflict\\ *\\)"), "ours");
  expect_in_bucket(mounted, "same.txt", "same");
  EXPECT_EQ(shell("ls '" + root + "' | wc -l"), "5\n");
  EXPECT_TRUE(fs::is_empty(local_shadow() / "files")) << shell("find " + local_shadow().string());

  ASSERT_TRUE(eventually([&] { return xattr(mounted.root(), "user.b2.pending_files") == "0"; }));
  const auto before = mounted.server().versions();
  const auto again = adopt(mounted);
  EXPECT_EQ(again.exit_code, 0) << again.errors;
  EXPECT_EQ(again.output, "there is nothing left to adopt\n");
  EXPECT_EQ(mounted.server().versions(), before);
}

TEST_F(Adopt, RefusesWhileAMountHoldsTheShadow) {
  Mounted mounted;
  const auto finished = adopt(mounted);
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_TRUE(finished.errors.contains("is in use by the mount at " + local_root()))
      << finished.errors;
  EXPECT_TRUE(mounted.server().versions().empty());
}

// While B2 can't be asked every name looks free: what is there would be replaced later.
TEST_F(Adopt, LeavesItWhereItIsWhileB2IsOut) {
  unmount_local_only();
  Mounted mounted({.arguments = {"--attr-ttl", "1s"}});
  ASSERT_EQ(try_to_write(mounted / "both.txt", "theirs"), 0);
  mounted.unmount();
  mounted.server().kill();
  mounted.mount();
  const auto finished = adopt(mounted);
  EXPECT_EQ(finished.exit_code, 1) << finished.output;
  EXPECT_TRUE(finished.errors.contains("both.txt stays: ")) << finished.errors;
  EXPECT_EQ(read_file(local_shadow() / "files/both.txt"), "ours");
  mounted.server().start();
  EXPECT_TRUE(eventually([&] { return adopt(mounted).exit_code == 0; }));
  expect_in_bucket(mounted, "both.txt", "theirs");
  expect_in_bucket(mounted, "music/old/song.mp3", "content");
}

// What nothing can store stays here, whole, and is not half there in the bucket either.
TEST_F(Adopt, KeepsWhatTheMountCantStore) {
  unmount_local_only();
  Mounted mounted({.arguments = {"--shadow-limit", "1"}});
  refuse_key(mounted.server(), "both.txt", 1);
  const auto finished = adopt(mounted);
  EXPECT_EQ(finished.exit_code, 1) << finished.output;
  EXPECT_TRUE(finished.errors.contains("both.txt stays: ")) << finished.errors;
  EXPECT_TRUE(finished.errors.contains("1 file left")) << finished.errors;
  EXPECT_EQ(read_file(local_shadow() / "files/both.txt"), "ours");
  EXPECT_FALSE(fs::exists(mounted / "both.txt"));
  expect_in_bucket(mounted, "music/old/song.mp3", "content");
  EXPECT_EQ(adopt(mounted).exit_code, 0);
  expect_in_bucket(mounted, "both.txt", "ours");
}

// Asked to end in the middle of a file: closing what there is of it would publish it.
TEST_F(Adopt, EndsInOrder) {
  const std::string content = noise(40'000'000);
  ASSERT_EQ(try_to_write(local_root() + "/large.bin", content), 0);
  unmount_local_only();
  Mounted mounted({.arguments = {"--part-size", "5MiB", "--memory", "24MiB"}});
  mounted.server().fault_for_ever("UploadPart", {{"slow_bytes_per_second", 4'000'000}});
  Process adopting(beside({"drain", "--adopt=" + local_shadow().string(), mounted.root()}));
  ASSERT_TRUE(eventually([&] { return mounted.server().requests()["UploadPart"] > 0; }));
  adopting.send_signal(SIGTERM);
  EXPECT_EQ(adopting.wait(), 1);
  EXPECT_TRUE(adopting.errors().contains("large.bin stays: ")) << adopting.errors();
  EXPECT_FALSE(fs::exists(mounted / "large.bin"));
  mounted.server().clear_faults();
  EXPECT_EQ(adopt(mounted).exit_code, 0);
  expect_in_bucket(mounted, "large.bin", content);
  EXPECT_TRUE(eventually([&] { return mounted.server().uploads().empty(); }));
}

// A symlink in the bucket must not lead what is adopted out of the mount.
TEST_F(Adopt, FollowsNoSymlink) {
  unmount_local_only();
  Mounted mounted;
  TempDirectory outside;
  fs::create_directory(outside / "old");
  fs::create_directory_symlink(outside.path(), mounted / "music");
  const auto finished = adopt(mounted);
  EXPECT_EQ(finished.exit_code, 1) << finished.output;
  EXPECT_TRUE(fs::is_empty(outside / "old"));
  EXPECT_EQ(read_file(local_shadow() / "files/music/old/song.mp3"), "content");
  fs::remove(mounted / "music");
  EXPECT_EQ(adopt(mounted).exit_code, 0);
}

TEST_F(Adopt, OnlyShadowsWithoutABucket) {
  unmount_local_only();
  Mounted mounted;
  Mounted other;
  const fs::path foreign = other.shadow();
  other.unmount();
  const auto refused = run(beside({"drain", "--adopt=" + foreign.string(), mounted.root()}));
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_TRUE(refused.errors.contains("not of local-only")) << refused.errors;
  const auto none = run(beside({"drain", "--adopt=" + mounted.root().string(), mounted.root()}));
  EXPECT_EQ(none.exit_code, 2);
  EXPECT_TRUE(none.errors.contains("is no shadow directory")) << none.errors;
  EXPECT_FALSE(fs::exists(mounted / "journal"));
  other.mount();
}

}  // namespace
}  // namespace spillway
