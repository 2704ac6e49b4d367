// How a mount begins and ends: as a daemon, by a signal, by umount; and what it never shows.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/support/mounted.h"

namespace spillway {
namespace {

namespace fs = std::filesystem;

class Lifecycle : public testing::Test {
 protected:
  void SetUp() override {
    if (!can_mount()) GTEST_SKIP() << "/dev/fuse is not there, or not for this user";
  }
  static Command command(std::vector<std::string> arguments) {
    return {.arguments = std::move(arguments),
            .environment = {},
            .without = {},
            .directory = {},
            .input = {}};
  }
};

TEST_F(Lifecycle, SigtermFinishes) {
  Mounted mounted;
  TempDirectory source;
  const std::string content = noise(3'000'000);
  write_file(source / "slow.bin", content);
  mounted.server().fault_for_ever("PutObject", {{"slow_bytes_per_second", 2'000'000}});
  Process copy(command({"cp", source / "slow.bin", mounted / "slow.bin"}));
  ASSERT_TRUE(eventually([&] { return mounted.server().requests()["PutObject"] > 0; }));
  mounted.process().send_signal(SIGTERM);
  EXPECT_EQ(copy.wait(), 0) << copy.errors();
  EXPECT_EQ(mounted.process().wait(), 0) << mounted.process().errors();
  EXPECT_EQ(mounted.log("unmount").size(), 1U);
  const auto versions = mounted.server().versions();
  const auto found = std::ranges::find_if(
      versions, [](const auto& version) { return version.at("key") == "slow.bin"; });
  ASSERT_NE(found, versions.end());
  EXPECT_EQ(found->at("size"), content.size());
  mounted.server().clear_faults();
  mounted.mount();
  EXPECT_EQ(read_file(mounted / "slow.bin"), content);
}

TEST_F(Lifecycle, SighupOpensTheLogAgain) {
  Mounted mounted;
  const fs::path log = mounted.shadow().parent_path() / "spillway.log";
  fs::rename(log, log.string() + ".1");
  mounted.process().send_signal(SIGHUP);
  EXPECT_TRUE(eventually([&] { return fs::exists(log); }));
  ASSERT_EQ(try_to_write(mounted / "file", "x"), 0);
  EXPECT_EQ(mounted.log("upload").size(), 1U);
}

// Also when nobody has taken note of its end yet.
bool has_ended(int pid) {
  const fs::path stat = "/proc/" + std::to_string(pid) + "/stat";
  return !fs::exists(stat) || shell("cat " + stat.string() + " || true").contains(") Z ");
}

// Without -f: the shell has the mount the moment the command returns, the daemon keeps the command
// line, and umount returns when it has ended.
TEST_F(Lifecycle, Daemon) {
  B2Sim server;
  TempDirectory place;
  const fs::path root = place / "mnt";
  fs::create_directory(root);
  auto mount = command(
      {SPILLWAY_PROGRAM, "mount", "--log-file", place / "log", "--shadow", place / "shadow", root});
  mount.environment = server.environment();
  const auto mounted = run(mount);
  ASSERT_EQ(mounted.exit_code, 0) << mounted.errors;
  EXPECT_EQ(try_to_write(root / "file", "content"), 0);
  EXPECT_EQ(xattr(root / "file", "user.b2.storage"), "b2");

  const auto status = run(command({SPILLWAY_PROGRAM, "status", "--json", root}));
  ASSERT_EQ(status.exit_code, 0) << status.errors;
  const auto parsed = nlohmann::json::parse(status.output);
  EXPECT_EQ(parsed.at("state"), "ok");
  EXPECT_EQ(parsed.at("bucket"), server.options().bucket);
  const int pid = parsed.at("status").at("pid");
  const std::string command_line = read_file("/proc/" + std::to_string(pid) + "/cmdline");
  EXPECT_TRUE(command_line.contains("mount")) << command_line;

  const auto again = run(mount);
  EXPECT_EQ(again.exit_code, 4) << again.errors;

  const auto ended = run(command({SPILLWAY_PROGRAM, "umount", root}));
  EXPECT_EQ(ended.exit_code, 0) << ended.errors;
  EXPECT_TRUE(has_ended(pid));
  EXPECT_TRUE(fs::is_empty(root));
}

TEST_F(Lifecycle, UmountOfABusyMountSaysWhatToDo) {
  Mounted mounted;
  {
    Process busy(
        command({"bash", "-c", "cd '" + mounted.root().string() + "'; echo in; sleep 60"}));
    ASSERT_TRUE(busy.wait_for_text("in"));
    const auto finished = mounted.command({"umount", mounted.root()});
    EXPECT_EQ(finished.exit_code, 1);
    EXPECT_TRUE(finished.errors.contains("busy")) << finished.errors;
    EXPECT_TRUE(finished.errors.contains("fuser")) << finished.errors;
  }
  EXPECT_EQ(mounted.unmount(), 0);
}

TEST_F(Lifecycle, KilledDaemonIsRecovered) {
  Mounted mounted;
  mounted.server().kill();
  ASSERT_EQ(try_to_write(mounted / "kept.txt", "kept"), 0);
  mounted.process().send_signal(SIGKILL);
  EXPECT_EQ(mounted.process().wait(), 128 + SIGKILL);
  const auto ended = mounted.command({"umount", mounted.root()});
  EXPECT_EQ(ended.exit_code, 0) << ended.errors;
  mounted.mount();
  EXPECT_EQ(read_file(mounted / "kept.txt"), "kept");
  ASSERT_EQ(mounted.log("recovered_after_crash").size(), 1U);
  EXPECT_EQ(mounted.log("recovered_after_crash").front().at("files"), 1);
  mounted.unmount();
  mounted.mount();
  EXPECT_EQ(mounted.log("recovered_after_crash").size(), 1U) << "the second end was a clean one";
}

TEST_F(Lifecycle, NothingToUnmount) {
  TempDirectory place;
  EXPECT_EQ(run(command({SPILLWAY_PROGRAM, "umount", place.path()})).exit_code, 2);
  EXPECT_EQ(run(command({SPILLWAY_PROGRAM, "status", place.path()})).exit_code, 2);
}

// --- secrets

class Secrets : public Lifecycle {
 protected:
  static void expect_without_secret(const std::string& text, const Mounted& mounted,
                                    const std::string& secret) {
    EXPECT_FALSE(text.contains(secret));
    EXPECT_FALSE(mounted.log_text().contains(secret));
  }
};

TEST_F(Secrets, SecretsNeverShown) {
  Mounted mounted({.arguments = {"--log-level", "debug"}});
  const std::string secret = mounted.server().options().secret_key;
  ASSERT_EQ(try_to_write(mounted / "file", "x"), 0);
  mounted.server().revoke_key();
  ASSERT_EQ(try_to_write(mounted / ("named " + secret.substr(0, 10)), "x"), 0);

  std::string seen;
  for (const fs::path& path : {mounted.root(), mounted / "file"}) {
    for (const auto& [name, value] : b2_xattrs(path)) seen += name + "=" + value + "\n";
  }
  seen += xattr(mounted.root(), "user.b2.status").value_or("");
  const std::string process = "/proc/" + std::to_string(mounted.pid());
  seen += read_file(process + "/cmdline");
  seen += shell("cat " + process + "/environ || true");
  seen += mounted.process().output() + mounted.process().errors();
  seen += mounted.command({"mount", "--help"}).output;
  EXPECT_FALSE(seen.contains(secret));
  EXPECT_FALSE(mounted.log_text().contains(secret));
  EXPECT_TRUE(shell("cat " + process + "/limits").contains("Max core file size        0"));
}

TEST_F(Secrets, EnvFileOthersCanReadIsRefused) {
  B2Sim server;
  TempDirectory place;
  fs::create_directory(place / "mnt");
  std::string text;
  for (const auto& [name, value] : server.environment()) text += name + "='" + value + "'\n";
  write_file(place / "env", text);
  chmod((place / "env").c_str(), 0644);
  auto check = command({SPILLWAY_PROGRAM, "check", "--env-file", place / "env"});
  check.without = {"S3_ENDPOINT", "S3_ACCESS_KEY", "S3_SECRET_KEY", "S3_BUCKET", "S3_REGION"};
  const auto refused = run(check);
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_TRUE(refused.errors.contains("chmod 600")) << refused.errors;
  EXPECT_FALSE(refused.errors.contains(server.options().secret_key));
  chmod((place / "env").c_str(), 0600);
  const auto accepted = run(check);
  EXPECT_EQ(accepted.exit_code, 0) << accepted.errors;
}

}  // namespace
}  // namespace spillway
