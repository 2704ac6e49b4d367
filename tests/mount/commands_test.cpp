// The commands beside mount: check, put, get, where, status, drain.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <regex>
#include <string>

#include "tests/support/mounted.h"

namespace spillway {
namespace {

namespace fs = std::filesystem;

class Commands : public testing::Test {
 protected:
  Finished spillway(std::vector<std::string> arguments, const fs::path& input = {}) {
    Command command;
    command.arguments = std::move(arguments);
    command.arguments.insert(command.arguments.begin(), SPILLWAY_PROGRAM);
    command.environment = server.environment();
    command.environment["SPILLWAY_SHADOW"] = shadow();
    command.environment["SPILLWAY_RETRY_FOR"] = "1s";
    command.input = input;
    return run(command);
  }
  [[nodiscard]] std::string shadow() const { return place / "shadow"; }

  B2Sim server;
  TempDirectory place;
};

TEST_F(Commands, CheckWritesReadsAndDeletes) {
  const auto finished = spillway({"check"});
  EXPECT_EQ(finished.exit_code, 0) << finished.errors;
  EXPECT_TRUE(finished.output.contains("test/hello.txt")) << finished.output;
  EXPECT_TRUE(finished.output.ends_with("B2 integration OK\n")) << finished.output;
  EXPECT_TRUE(server.versions().empty()) << "removed by its id, no hide marker";
}

TEST_F(Commands, CheckTellsOfARuleThatAbortsUploads) {
  const std::string words = "aborts unfinished uploads";
  EXPECT_FALSE(spillway({"check"}).output.contains(words));
  server.set_abort_rule(3);
  const auto finished = spillway({"check"});
  EXPECT_EQ(finished.exit_code, 0) << finished.errors;
  EXPECT_TRUE(finished.output.contains(words + " after 3 days:")) << finished.output;
  EXPECT_TRUE(finished.output.ends_with("B2 integration OK\n")) << finished.output;
  server.fault_for_ever("GetBucketLifecycleConfiguration", {{"status", 501}});
  const auto untold = spillway({"check"});
  EXPECT_EQ(untold.exit_code, 0) << untold.errors;
  EXPECT_FALSE(untold.output.contains(words)) << untold.output;
}

TEST_F(Commands, CheckNamesTheMissingCapability) {
  server.post("keys", {{"access_key", server.options().access_key},
                       {"secret_key", server.options().secret_key},
                       {"capabilities", {"readFiles", "listFiles"}},
                       {"bucket", server.options().bucket}});
  const auto finished = spillway({"check"});
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_TRUE(finished.errors.contains("writeFiles")) << finished.errors;
}

TEST_F(Commands, CheckWithoutBucket) {
  server.remove_bucket();
  const auto finished = spillway({"check"});
  EXPECT_EQ(finished.exit_code, 3);
  EXPECT_TRUE(finished.errors.contains("Create bucket manually in B2 console")) << finished.errors;
}

TEST_F(Commands, PutAndGet) {
  const std::string content = noise(9'000'000);
  write_file(place / "in.bin", content);
  const auto put = spillway({"put", place / "in.bin", "below/out.bin"});
  ASSERT_EQ(put.exit_code, 0) << put.errors;
  const auto result = nlohmann::json::parse(put.output);
  EXPECT_EQ(result.at("storage"), "b2");
  EXPECT_EQ(result.at("location"), "below/out.bin");
  EXPECT_EQ(result.at("track").at("size"), content.size());

  const auto get = spillway({"get", "below/out.bin", place / "back.bin"});
  ASSERT_EQ(get.exit_code, 0) << get.errors;
  EXPECT_EQ(read_file(place / "back.bin"), content);
  EXPECT_EQ(spillway({"get", "below/out.bin", "-"}).output, content);
  EXPECT_EQ(spillway({"get", "no/such.bin", place / "none"}).exit_code, 1);
  EXPECT_FALSE(fs::exists(place / "none"));
}

TEST_F(Commands, PutFromStdin) {
  write_file(place / "in.txt", "from a pipe");
  const auto put = spillway({"put", "-", "piped.txt"}, place / "in.txt");
  ASSERT_EQ(put.exit_code, 0) << put.errors;
  EXPECT_EQ(spillway({"get", "piped.txt", "-"}).output, "from a pipe");
}

TEST_F(Commands, PutDivertsWithExitCode0) {
  write_file(place / "in.bin", noise(10'000));
  server.fault_for_ever("PutObject", {{"cap", "storage"}});
  const auto put = spillway({"put", place / "in.bin", "diverted.bin"});
  EXPECT_EQ(put.exit_code, 0) << put.errors;
  const auto result = nlohmann::json::parse(put.output);
  EXPECT_EQ(result.at("storage"), "local");
  EXPECT_EQ(result.at("fallback_from_b2"), true);
  EXPECT_EQ(result.at("error_code"), "cap_exceeded");
  EXPECT_EQ(read_file(result.at("location").get<std::string>()), noise(10'000));
}

TEST_F(Commands, PutThatCantStoreItPrintsTheError) {
  write_file(place / "in.bin", noise(10'000));
  server.revoke_key();
  const auto put = spillway({"put", "--shadow-limit", "100", place / "in.bin", "lost.bin"});
  EXPECT_EQ(put.exit_code, 1);
  const auto error = nlohmann::json::parse(put.output);
  EXPECT_EQ(error.at("error_code"), "auth_error");
  EXPECT_TRUE(error.at("hints").is_array());
}

TEST_F(Commands, UnknownCommandIsUsage) {
  EXPECT_EQ(spillway({"frobnicate"}).exit_code, 2);
  EXPECT_EQ(spillway({}).exit_code, 2);
  const auto version = spillway({"--version"});
  EXPECT_EQ(version.exit_code, 0);
  EXPECT_EQ(version.output, "spillway " SPILLWAY_VERSION "\n");
}

// README and man page name what --help does.
TEST_F(Commands, DocumentsNameEveryOption) {
  const fs::path top = fs::current_path();  // suites run in the source tree
  const std::string readme = read_file(top / "README.md");
  std::string manual = read_file(top / "docs/spillway.1");
  std::erase(manual, '\\');
  const std::string help = spillway({"mount", "--help"}).output;
  const std::regex option("--[a-z][a-z-]+");
  int options = 0;
  for (std::sregex_iterator at(help.begin(), help.end(), option), end; at != end; ++at) {
    const std::string name = at->str();
    EXPECT_TRUE(manual.contains(name)) << name;
    EXPECT_TRUE(readme.contains(name) || name == "--help" || name == "--foreground") << name;
    ++options;
  }
  EXPECT_GT(options, 30);
}

class CommandsOnAMount : public testing::Test {
 protected:
  void SetUp() override {
    if (!can_mount()) GTEST_SKIP() << "/dev/fuse is not there, or not for this user";
  }
};

TEST_F(CommandsOnAMount, WhereTellsPlaceAndReason) {
  Mounted mounted;
  shell("mkdir -p '" + (mounted / "a/b").string() + "'");
  ASSERT_EQ(try_to_write(mounted / "a/in-b2.txt", "one"), 0);
  mounted.server().revoke_key();
  ASSERT_EQ(try_to_write(mounted / "a/b/here.txt", "two"), 0);

  const auto table = mounted.command({"where", "-r", mounted.root()});
  EXPECT_EQ(table.exit_code, 0) << table.errors;
  EXPECT_TRUE(table.output.contains("in-b2.txt")) << table.output;
  EXPECT_TRUE(table.output.contains("auth_error")) << table.output;

  const auto json = mounted.command({"where", "--json", mounted / "a/b/here.txt"});
  const auto list = nlohmann::json::parse(json.output);
  ASSERT_EQ(list.size(), 1U);
  EXPECT_EQ(list[0].at("storage"), "local");
  EXPECT_EQ(list[0].at("location"), (mounted.shadow() / "files/a/b/here.txt").string());
}

TEST_F(CommandsOnAMount, WhereElsewhere) {
  Mounted mounted;
  const auto finished = mounted.command({"where", "/etc/passwd"});
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_TRUE(finished.errors.contains("not on a Spillway mount")) << finished.errors;
}

TEST_F(CommandsOnAMount, StatusShowsWhatIsPending) {
  Mounted mounted;
  mounted.server().kill();
  ASSERT_EQ(try_to_write(mounted / "here.txt", "two"), 0);
  const auto text = mounted.command({"status", mounted.root()});
  EXPECT_EQ(text.exit_code, 0) << text.errors;
  EXPECT_TRUE(text.output.contains("degraded")) << text.output;
  const auto json = mounted.command({"status", "--json", mounted.root()});
  const auto status = nlohmann::json::parse(json.output);
  EXPECT_EQ(status.at("state"), "degraded");
  EXPECT_EQ(status.at("pending_files"), 1);
  EXPECT_EQ(status.at("last_error").at("error_code"), "network_error");
  EXPECT_EQ(status.at("status").at("pid"), mounted.pid());
}

// The lock of the shadow is the mount's: a put that has to divert gives the file to it.
TEST_F(CommandsOnAMount, PutDivertsThroughTheMount) {
  Mounted mounted;
  TempDirectory place;
  write_file(place / "in.bin", noise(10'000));
  const std::vector<std::string> put{"put", "--shadow",       mounted.shadow(), "--retry-for",
                                     "1s",  place / "in.bin", "below/it.bin"};
  const auto direct = mounted.command(put);
  ASSERT_EQ(direct.exit_code, 0) << direct.errors;
  EXPECT_EQ(nlohmann::json::parse(direct.output).at("storage"), "b2");

  mounted.server().fault_for_ever("PutObject", {{"cap", "storage"}});
  const auto diverted = mounted.command(put);
  ASSERT_EQ(diverted.exit_code, 0) << diverted.output << diverted.errors;
  EXPECT_EQ(nlohmann::json::parse(diverted.output).at("storage"), "local");
  EXPECT_EQ(read_file(mounted / "below/it.bin"), noise(10'000));
}

TEST_F(CommandsOnAMount, ShadowIsReadBesideTheMount) {
  Mounted mounted;
  mounted.server().revoke_key();
  ASSERT_EQ(try_to_write(mounted / "here.txt", "two"), 0);
  for (const std::string verb : {"ls", "verify"}) {
    const auto finished = mounted.command({"shadow", verb, mounted.shadow()});
    EXPECT_EQ(finished.exit_code, 0) << finished.errors;
    EXPECT_TRUE(finished.output.contains("here.txt")) << finished.output;
    EXPECT_TRUE(finished.output.contains("auth_error")) << finished.output;
  }
  TempDirectory target;
  const auto finished = mounted.command({"shadow", "export", mounted.shadow(), target.path()});
  EXPECT_EQ(finished.exit_code, 0) << finished.errors;
  EXPECT_EQ(read_file(target / "here.txt"), "two");
}

TEST_F(CommandsOnAMount, OptionsAsInFstab) {
  Mounted mounted(
      {.arguments = {"-o", "rw,noatime,part_size=5MiB,attr_ttl=1s", "-o", "umask=077"}});
  ASSERT_EQ(try_to_write(mounted / "file", "x"), 0);
  EXPECT_EQ(shell("stat -c %a '" + (mounted / "file").string() + "'"), "600\n");
}

TEST_F(CommandsOnAMount, DrainOfNothingIsDone) {
  Mounted mounted;
  const auto finished = mounted.command({"drain", mounted.root()});
  EXPECT_EQ(finished.exit_code, 0) << finished.errors;
}

TEST_F(CommandsOnAMount, DrainGivesUpInTime) {
  Mounted mounted;
  mounted.server().kill();
  ASSERT_EQ(try_to_write(mounted / "here.txt", "two"), 0);
  const auto finished = mounted.command({"drain", "--timeout", "1s", mounted.root()});
  EXPECT_EQ(finished.exit_code, 1);
  EXPECT_TRUE(finished.errors.contains("network_error")) << finished.errors;
}

}  // namespace
}  // namespace spillway
