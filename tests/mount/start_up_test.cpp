// The start-up table through the real program: what it returns to the shell, what it logs, and
// whether the mountpoint works.
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "tests/support/mounted.h"

namespace spillway {
namespace {

namespace fs = std::filesystem;

class StartUpTable : public testing::Test {
 protected:
  void SetUp() override {
    if (!can_mount()) GTEST_SKIP() << "/dev/fuse is not there, or not for this user";
  }

  // `spillway mount` where B2 is expected to refuse: it must return by itself.
  Finished try_to_mount(B2Sim& server, std::map<std::string, std::string> environment = {},
                        std::vector<std::string> arguments = {}) {
    fs::create_directories(place_ / "mnt");
    Command command;
    command.arguments = {SPILLWAY_PROGRAM, "mount",    "--log-file",
                         place_ / "log",   "--shadow", place_ / "shadow"};
    command.arguments.insert(command.arguments.end(), arguments.begin(), arguments.end());
    command.arguments.emplace_back(place_ / "mnt");
    command.environment = server.environment();
    command.environment["ENV"] = "production";
    for (const auto& [name, value] : environment) command.environment[name] = value;
    return run(command);
  }
  [[nodiscard]] std::string log() const { return read_file(place_ / "log"); }

  // Writes once, and expects the file where the state of the mount says.
  static void expect_working(Mounted& mounted, const std::string& state,
                             const std::string& storage) {
    EXPECT_EQ(xattr(mounted.root(), "user.b2.state"), state);
    ASSERT_EQ(try_to_write(mounted / "file", "content"), 0);
    EXPECT_EQ(xattr(mounted / "file", "user.b2.storage"), storage);
    EXPECT_EQ(read_file(mounted / "file"), "content");
  }
  static nlohmann::json only_line(const Mounted& mounted, const std::string& event) {
    const auto lines = mounted.log(event);
    EXPECT_EQ(lines.size(), 1U) << mounted.log_text();
    return lines.empty() ? nlohmann::json::object() : lines.front();
  }

 private:
  TempDirectory place_;
};

// Starts the server in a state that `prepare` brings about, then mounts.
class Prepared {
 public:
  template <class Prepare>
  explicit Prepared(Prepare prepare, MountOptions options = {}, B2SimOptions server = {})
      : mounted_(options, server) {
    EXPECT_EQ(mounted_.unmount(), 0);
    prepare(mounted_.server());
    before_ = mounted_.log().size();
    mounted_.mount();
  }
  Mounted& operator*() { return mounted_; }
  // The line of that event since the second start.
  nlohmann::json line(const std::string& event) {
    const auto lines = mounted_.log();
    for (std::size_t i = before_; i < lines.size(); ++i) {
      if (lines[i].value("event", "") == event) return lines[i];
    }
    ADD_FAILURE() << "no " << event << " in " << mounted_.log_text();
    return nlohmann::json::object();
  }

 private:
  Mounted mounted_;
  std::size_t before_ = 0;
};

TEST_F(StartUpTable, VariablesMissingInProduction) {
  B2Sim server;
  const auto finished = try_to_mount(server, {{"S3_SECRET_KEY", ""}, {"S3_ACCESS_KEY", ""}});
  EXPECT_EQ(finished.exit_code, 2);
  EXPECT_TRUE(finished.errors.contains("S3_SECRET_KEY")) << finished.errors;
  EXPECT_TRUE(finished.errors.contains("S3_ACCESS_KEY")) << finished.errors;
}

TEST_F(StartUpTable, PlainHttpElsewhereIsMalformed) {
  B2Sim server;
  const auto finished = try_to_mount(server, {{"S3_ENDPOINT", "http://b2.example.org"}});
  EXPECT_EQ(finished.exit_code, 2);
  EXPECT_TRUE(finished.errors.contains("S3_ENDPOINT")) << finished.errors;
}

TEST_F(StartUpTable, VariablesMissingOtherwise) {
  Mounted mounted({.without = {"S3_SECRET_KEY"}});
  const auto line = only_line(mounted, "b2_disabled");
  EXPECT_EQ(line.value("level", ""), "warning");
  EXPECT_TRUE(line.value("detail", "").contains("S3_SECRET_KEY"));
  expect_working(mounted, "local_only", "local");
}

TEST_F(StartUpTable, BucketVerified) {
  Mounted mounted({.environment = {{"ENV", "production"}}});
  EXPECT_EQ(only_line(mounted, "s3_bucket_verified").value("level", ""), "info");
  expect_working(mounted, "ok", "b2");
}

TEST_F(StartUpTable, KeyWithoutListBucketsIsEnough) {
  Prepared mounted(
      [](B2Sim& server) {
        server.post("keys",
                    {{"access_key", server.options().access_key},
                     {"secret_key", server.options().secret_key},
                     {"capabilities", {"readFiles", "writeFiles", "listFiles", "deleteFiles"}},
                     {"bucket", server.options().bucket}});
      },
      {.environment = {{"ENV", "production"}}});
  mounted.line("s3_bucket_verified");
  expect_working(*mounted, "ok", "b2");
}

// Until the bucket has been asked for its lifecycle rules since the last start.
bool has_asked_for_rules(Mounted& mounted) {
  return eventually(
      [&] { return mounted.server().requests()["GetBucketLifecycleConfiguration"] > 0; });
}

TEST_F(StartUpTable, ARuleThatAbortsUploadsIsToldOnce) {
  Prepared mounted([](B2Sim& server) {
    server.set_abort_rule(1);
    server.reset_requests();
  });
  ASSERT_TRUE(eventually([&] { return !(*mounted).log("lifecycle_rule").empty(); }));
  const auto line = mounted.line("lifecycle_rule");
  EXPECT_EQ(line.value("level", ""), "warning");
  EXPECT_EQ(line.value("days", 0), 1);
  EXPECT_TRUE(line.value("hint", "").contains("after 1 day:")) << line;
  expect_working(*mounted, "ok", "b2");
  EXPECT_EQ((*mounted).unmount(), 0);
  EXPECT_EQ((*mounted).log("lifecycle_rule").size(), 1U);
  EXPECT_EQ((*mounted).server().requests()["GetBucketLifecycleConfiguration"], 1);
}

TEST_F(StartUpTable, NothingIsToldOfABucketWithoutARule) {
  Mounted mounted({.arguments = {"--log-level", "debug"}});
  EXPECT_TRUE(has_asked_for_rules(mounted));
  EXPECT_EQ(mounted.unmount(), 0);
  EXPECT_FALSE(mounted.log_text().contains("lifecycle_rule")) << mounted.log_text();
}

TEST_F(StartUpTable, AKeyThatMayNotSeeTheRulesIsToldOnlyAtDebug) {
  for (const std::string_view level : {"debug", "info"}) {
    Prepared mounted(
        [](B2Sim& server) {
          server.set_abort_rule(1);
          server.fault_for_ever("GetBucketLifecycleConfiguration",
                                {{"status", 403}, {"code", "AccessDenied"}, {"message", "no"}});
          server.reset_requests();
        },
        {.arguments = {"--log-level", std::string(level)}, .environment = {{"ENV", "production"}}});
    EXPECT_TRUE(has_asked_for_rules(*mounted));
    const auto is_told = [&] { return !(*mounted).log("lifecycle_rule_unknown").empty(); };
    if (level == "debug") {
      EXPECT_TRUE(eventually(is_told));
    }
    expect_working(*mounted, "ok", "b2");
    EXPECT_EQ((*mounted).unmount(), 0);
    EXPECT_EQ(is_told(), level == "debug");
    EXPECT_TRUE((*mounted).log("lifecycle_rule").empty());
  }
}

TEST_F(StartUpTable, RulesThatAreNotToldHoldUpNeitherStartNorEnd) {
  constexpr auto kStall = std::chrono::seconds(25);
  const auto start = std::chrono::steady_clock::now();
  Prepared mounted([&](B2Sim& server) {
    server.fault_for_ever("GetBucketLifecycleConfiguration",
                          {{"stall_ms", std::chrono::milliseconds(kStall).count()}});
    server.reset_requests();
  });
  EXPECT_TRUE(has_asked_for_rules(*mounted));
  expect_working(*mounted, "ok", "b2");
  EXPECT_EQ((*mounted).unmount(), 0);
  EXPECT_LT(std::chrono::steady_clock::now() - start, kStall);
}

TEST_F(StartUpTable, BucketMissingInProduction) {
  B2Sim server;
  server.remove_bucket();
  EXPECT_EQ(try_to_mount(server).exit_code, 3);
  EXPECT_TRUE(log().contains("s3_bucket_not_found"));
  EXPECT_TRUE(log().contains("Create bucket manually in B2 console"));
}

TEST_F(StartUpTable, BucketMissingOtherwise) {
  Prepared mounted([](B2Sim& server) { server.remove_bucket(); });
  EXPECT_EQ(mounted.line("s3_bucket_not_found").value("level", ""), "warning");
  expect_working(*mounted, "degraded", "local");
  EXPECT_EQ(xattr(*mounted / "file", "user.b2.error_code"), "bucket_not_found");
}

TEST_F(StartUpTable, WrongKeyInProduction) {
  B2Sim server;
  const auto finished = try_to_mount(server, {{"S3_SECRET_KEY", "wrong"}});
  EXPECT_EQ(finished.exit_code, 3);
  EXPECT_TRUE(finished.errors.contains("auth_error")) << finished.errors;
  EXPECT_TRUE(log().contains("Signature validation failed")) << log();
}

TEST_F(StartUpTable, WrongKeyOtherwise) {
  Prepared mounted([](B2Sim& server) { server.revoke_key(); });
  EXPECT_EQ(mounted.line("b2_degraded").value("error_code", ""), "auth_error");
  expect_working(*mounted, "degraded", "local");
  EXPECT_EQ(xattr(*mounted / "file", "user.b2.error_code"), "auth_error");
}

TEST_F(StartUpTable, ClockSkewStopsProduction) {
  B2Sim server;
  server.fault_for_ever("*", {{"status", 403},
                              {"code", "RequestTimeTooSkewed"},
                              {"message", "The difference is too large"}});
  const auto finished = try_to_mount(server);
  EXPECT_EQ(finished.exit_code, 3);
  EXPECT_TRUE(finished.errors.contains("clock_skew")) << finished.errors;
}

TEST_F(StartUpTable, ClockIsCorrectedOnce) {
  Prepared mounted(
      [](B2Sim& server) {
        server.fault_for_ever("*", {{"clock_skew_s", 7200}});
      },
      {.environment = {{"ENV", "production"}}});
  expect_working(*mounted, "ok", "b2");
}

TEST_F(StartUpTable, CapGoesOnDegradedEverywhere) {
  Prepared mounted(
      [](B2Sim& server) {
        server.fault_for_ever("*", {{"cap", "transaction"}});
      },
      {.environment = {{"ENV", "production"}}});
  EXPECT_EQ(mounted.line("b2_degraded").value("error_code", ""), "cap_exceeded");
  expect_working(*mounted, "degraded", "local");
}

TEST_F(StartUpTable, OutagesGoOnDegradedEverywhere) {
  const MountOptions production{.arguments = {"--stall-timeout", "1s", "--connect-timeout", "1s"},
                                .environment = {{"ENV", "production"}}};
  {
    Prepared mounted([](B2Sim& server) { server.stop(); }, production);
    EXPECT_EQ(mounted.line("b2_degraded").value("error_code", ""), "network_error");
    expect_working(*mounted, "degraded", "local");
  }
  {
    Prepared mounted(
        [](B2Sim& server) {
          server.fault_for_ever("*", {{"status", 503}});
        },
        production);
    EXPECT_EQ(mounted.line("b2_degraded").value("error_code", ""), "server_error");
    expect_working(*mounted, "degraded", "local");
  }
  {
    Prepared mounted(
        [](B2Sim& server) {
          server.fault_for_ever("*", {{"status", 429}});
        },
        production);
    EXPECT_EQ(mounted.line("b2_degraded").value("error_code", ""), "rate_limited");
  }
  {
    Prepared mounted([](B2Sim& server) { server.freeze(); }, production);
    EXPECT_EQ(mounted.line("b2_degraded").value("error_code", ""), "timeout");
    expect_working(*mounted, "degraded", "local");
    (*mounted).server().thaw();
  }
}

TEST_F(StartUpTable, CertificateStopsProduction) {
  B2Sim server({.tls = B2SimTls::self_signed, .arguments = {}});
  const auto finished = try_to_mount(server);
  EXPECT_EQ(finished.exit_code, 3);
  EXPECT_TRUE(finished.errors.contains("certificate")) << finished.errors;
}

TEST_F(StartUpTable, CertificateIsLoudOtherwise) {
  Mounted mounted({}, {.tls = B2SimTls::self_signed, .arguments = {}});
  const auto line = only_line(mounted, "b2_degraded");
  EXPECT_EQ(line.value("level", ""), "error");
  EXPECT_TRUE(line.dump().contains("certificate"));
  expect_working(mounted, "degraded", "local");
}

TEST_F(StartUpTable, CertificateOfOnesOwn) {
  B2SimOptions tls{.tls = B2SimTls::self_signed, .arguments = {}};
  B2Sim server(tls);
  const auto finished =
      run({.arguments = {SPILLWAY_PROGRAM, "check", "--ca-file", server.certificate_file()},
           .environment = server.environment(),
           .without = {},
           .directory = {},
           .input = {}});
  EXPECT_EQ(finished.exit_code, 0) << finished.errors;
  EXPECT_TRUE(finished.output.ends_with("B2 integration OK\n")) << finished.output;
}

TEST_F(StartUpTable, UsageErrors) {
  B2Sim server;
  EXPECT_EQ(try_to_mount(server, {}, {"--no-such-option"}).exit_code, 2);
  EXPECT_EQ(try_to_mount(server, {}, {"--part-size", "large"}).exit_code, 2);
  EXPECT_EQ(try_to_mount(server, {{"SPILLWAY_PART_SIZE", "large"}}).exit_code, 2);
  EXPECT_EQ(try_to_mount(server, {}, {"-o", "no_such_option"}).exit_code, 2);
  const auto shadow = try_to_mount(server, {}, {"--shadow", "/proc/spillway"});
  EXPECT_EQ(shadow.exit_code, 2) << shadow.errors;
}

TEST_F(StartUpTable, ShadowOfAnotherBucketOrMount) {
  Mounted mounted;
  B2Sim other;
  const auto finished = try_to_mount(mounted.server(), {}, {"--shadow", mounted.shadow()});
  EXPECT_EQ(finished.exit_code, 4) << finished.errors;
  ASSERT_EQ(mounted.unmount(), 0);
  const auto wrong = try_to_mount(other, {}, {"--shadow", mounted.shadow()});
  EXPECT_EQ(wrong.exit_code, 2) << wrong.errors;
  mounted.mount();
}

}  // namespace
}  // namespace spillway
