// B2 refuses or is gone: the bytes are kept in the shadow, and file and log say why.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/support/mounted.h"

namespace spillway {
namespace {

namespace fs = std::filesystem;

class Divert : public testing::Test {
 protected:
  void SetUp() override {
    if (!can_mount()) GTEST_SKIP() << "/dev/fuse is not there, or not for this user";
  }

  // Writes while B2 is not well, and expects what the user was promised of such a file.
  static void expect_diverted(Mounted& mounted, const std::string& name,
                              const std::string& error_code) {
    const std::string content = noise(50'000, 7);
    ASSERT_EQ(try_to_write(mounted / name, content), 0);
    const auto attributes = b2_xattrs(mounted / name);
    EXPECT_EQ(attributes.at("storage"), "local");
    EXPECT_EQ(attributes.at("fallback_from_b2"), "true");
    EXPECT_EQ(attributes.at("error_code"), error_code);
    EXPECT_FALSE(attributes.at("detail").empty());
    EXPECT_FALSE(attributes.at("hints").empty());
    EXPECT_EQ(read_file(mounted / name), content);
    EXPECT_EQ(attributes.at("location"), mounted.shadow() / "files" / name);
    EXPECT_EQ(read_file(attributes.at("location")), content);
    expect_logged(mounted, attributes.at("correlation_id"), error_code);
  }

  static void expect_logged(const Mounted& mounted, const std::string& correlation_id,
                            const std::string& error_code) {
    int lines = 0;
    for (const auto& line : mounted.log("upload")) {
      if (line.at("correlation_id") != correlation_id) continue;
      ++lines;
      EXPECT_EQ(line.at("level"), "warning");
      EXPECT_EQ(line.at("storage"), "local");
      EXPECT_EQ(line.at("fallback_from_b2"), true);
      EXPECT_EQ(line.at("error_code"), error_code);
    }
    EXPECT_EQ(lines, 1);
  }
};

TEST_F(Divert, ForcedFailureDivertsWithReason) {
  Mounted mounted;
  mounted.server().fault_for_ever(
      "PutObject", {{"status", 503}, {"code", "InternalError"}, {"message", "on request"}});
  expect_diverted(mounted, "forced.bin", "server_error");
  EXPECT_TRUE(xattr(mounted / "forced.bin", "user.b2.detail")->contains("on request"));
}

TEST_F(Divert, CapExceeded) {
  Mounted mounted;
  mounted.server().fault_for_ever("PutObject", {{"cap", "storage"}});
  expect_diverted(mounted, "capped.bin", "cap_exceeded");
}

TEST_F(Divert, KilledServer) {
  Mounted mounted;
  ASSERT_EQ(try_to_write(mounted / "before.txt", "before"), 0);
  mounted.server().kill();
  expect_diverted(mounted, "after.bin", "network_error");
  EXPECT_EQ(xattr(mounted.root(), "user.b2.state"), "degraded");
  EXPECT_EQ(xattr(mounted.root(), "user.b2.pending_files"), "1");
  EXPECT_EQ(xattr(mounted / "before.txt", "user.b2.storage"), "b2");
}

TEST_F(Divert, KilledServerInTheMiddleOfATree) {
  Mounted mounted;
  TempDirectory source;
  for (int i = 0; i < 30; ++i) write_file(source / ("f" + std::to_string(i)), noise(20'000, i));
  const auto copy = std::make_unique<Process>(
      Command{.arguments = {"cp", "-r", source.path(), mounted.root() / "tree"},
              .environment = {},
              .without = {},
              .directory = {},
              .input = {}});
  ASSERT_TRUE(eventually([&] { return mounted.server().requests()["PutObject"] > 5; }));
  mounted.server().kill();
  EXPECT_EQ(copy->wait(), 0) << copy->errors();
  for (int i = 0; i < 30; ++i) {
    const fs::path file = mounted / ("tree/f" + std::to_string(i));
    const auto storage = xattr(file, "user.b2.storage");
    ASSERT_TRUE(storage == "b2" || storage == "local") << file << ": " << storage.value_or("-");
    if (storage == "local") {
      EXPECT_EQ(read_file(file), noise(20'000, i));
    }
  }
}

TEST_F(Divert, RevokedKey) {
  Mounted mounted;
  mounted.server().revoke_key();
  expect_diverted(mounted, "revoked.bin", "auth_error");
}

TEST_F(Divert, MissingBucket) {
  Mounted mounted;
  mounted.server().remove_bucket();
  expect_diverted(mounted, "homeless.bin", "bucket_not_found");
}

TEST_F(Divert, ShadowFilesAreThereAgainAfterARemount) {
  Mounted mounted;
  mounted.server().kill();
  const std::string content = noise(30'000, 3);
  ASSERT_EQ(try_to_write(mounted / "kept.bin", content), 0);
  mounted.unmount();
  mounted.mount();
  EXPECT_EQ(read_file(mounted / "kept.bin"), content);
  EXPECT_EQ(xattr(mounted / "kept.bin", "user.b2.storage"), "local");
  EXPECT_EQ(xattr(mounted / "kept.bin", "user.b2.error_code"), "network_error");
}

TEST_F(Divert, BreakerSparesTheRetryTime) {
  Mounted mounted({.arguments = {"--retry-for", "2s", "--cooldown", "60s"}});
  mounted.server().kill();
  ASSERT_EQ(try_to_write(mounted / "first", "x"), 0);
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 20; ++i) {
    ASSERT_EQ(try_to_write(mounted / ("next" + std::to_string(i)), "x"), 0);
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
  EXPECT_EQ(xattr(mounted / "next19", "user.b2.error_code"), "network_error");
}

}  // namespace
}  // namespace spillway
