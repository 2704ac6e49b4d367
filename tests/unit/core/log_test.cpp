#include "src/log.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "src/base64.h"
#include "src/executor.h"

namespace spillway {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> lines_of(const std::string& name) {
  std::vector<std::string> lines;
  std::ifstream file(name);
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

class LogOnDisk : public ::testing::Test {
 protected:
  LogOnDisk() {
    std::string pattern = (fs::temp_directory_path() / "log.XXXXXX").string();
    directory_ = ::mkdtemp(pattern.data());
    settings_.file = directory_ + "/log";
  }
  ~LogOnDisk() override { fs::remove_all(directory_); }

  std::unique_ptr<Log> open() {
    auto log = make_log(settings_, system_clock());
    EXPECT_TRUE(log.ok());
    return std::move(log).value();
  }

  std::string directory_;
  LogSettings settings_;
};

TEST_F(LogOnDisk, ALineIsInTheFileWhenEventReturns) {
  const auto log = open();
  log->event(Level::info, "upload", {{"path", "a"}});
  ASSERT_EQ(lines_of(settings_.file).size(), 1U);
  EXPECT_EQ(nlohmann::json::parse(lines_of(settings_.file)[0])["path"], "a");
}

TEST_F(LogOnDisk, IsPrivateAndAppendedTo) {
  open()->event(Level::info, "one");
  open()->event(Level::info, "two");
  EXPECT_EQ(lines_of(settings_.file).size(), 2U);
  struct stat status {};
  ASSERT_EQ(::stat(settings_.file.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
}

TEST_F(LogOnDisk, LeavesOutWhatIsBelowItsLevel) {
  settings_.level = Level::warning;
  const auto log = open();
  log->event(Level::debug, "a");
  log->event(Level::info, "b");
  log->event(Level::warning, "c");
  log->event(Level::error, "d");
  EXPECT_EQ(lines_of(settings_.file).size(), 2U);
}

TEST_F(LogOnDisk, FormatsInValuesMeanNothing) {
  settings_.format = LogFormat::text;
  open()->event(Level::info, "e", {{"path", "%s%n{}{:d}%v"}});
  EXPECT_TRUE(lines_of(settings_.file).at(0).ends_with(" INFO e path=%s%n{}{:d}%v"));
}

TEST_F(LogOnDisk, ReopensByItsNameAfterARotation) {
  const auto log = open();
  log->event(Level::info, "one");
  fs::rename(settings_.file, settings_.file + ".1");
  log->event(Level::info, "two");
  log->reopen();
  log->event(Level::info, "three");
  EXPECT_EQ(lines_of(settings_.file + ".1").size(), 2U);
  EXPECT_EQ(lines_of(settings_.file).size(), 1U);
}

TEST_F(LogOnDisk, ReopensByItsNameFromAnotherDirectory) {
  const auto before = fs::current_path();
  fs::current_path(directory_);
  settings_.file = "relative.log";
  const auto log = open();
  fs::current_path("/");
  fs::remove(directory_ + "/relative.log");
  log->reopen();
  log->event(Level::info, "one");
  fs::current_path(before);
  EXPECT_EQ(lines_of(directory_ + "/relative.log").size(), 1U);
}

TEST_F(LogOnDisk, GoesOnWithTheOldFileWhenTheNewOneCannotBeOpened) {
  fs::create_directory(directory_ + "/sub");
  settings_.file = directory_ + "/sub/log";
  const auto log = open();
  fs::rename(directory_ + "/sub", directory_ + "/gone");
  log->reopen();
  log->event(Level::info, "after");
  const auto lines = lines_of(directory_ + "/gone/log");
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(nlohmann::json::parse(lines[0])["event"], "log_not_reopened");
}

TEST_F(LogOnDisk, SaysWhyItCannotBeOpened) {
  settings_.file = directory_ + "/no/such/log";
  const auto log = make_log(settings_, system_clock());
  ASSERT_FALSE(log.ok());
  EXPECT_EQ(log.error().code, ErrorCode::local_error);
  EXPECT_EQ(log.error().system_errno, ENOENT);
}

TEST_F(LogOnDisk, LinesOfManyThreadsDoNotMix) {
  const auto log = open();
  auto executor = make_thread_executor(4);
  for (int i = 0; i < 400; ++i) {
    executor->submit([&, i] {
      if (i % 100 == 0) log->reopen();
      log->event(Level::info, "e", {{"filler", std::string(300, 'x')}, {"i", i}});
    });
  }
  executor.reset();
  const auto lines = lines_of(settings_.file);
  EXPECT_EQ(lines.size(), 400U);
  for (const auto& line : lines) EXPECT_TRUE(nlohmann::json::accept(line));
}

// Looks for the secret, and for its base64, on every level and in both formats.
TEST_F(LogOnDisk, HoldsNoSecret) {
  const std::string secret = "K003/\"ab+cdEFGhijKLmnopQRSTuv";
  settings_.secrets = {secret};
  settings_.level = Level::debug;
  for (const auto format : {LogFormat::json, LogFormat::text}) {
    settings_.format = format;
    const auto log = open();
    for (const auto level : {Level::debug, Level::info, Level::warning, Level::error}) {
      log->event(level, secret, {{"detail", "key " + secret + " refused"},
                                 {secret, Fields::array({secret})},
                                 {"basic", to_base64("id:" + secret)},
                                 {"base64", to_base64(secret)},
                                 {"long", std::string(4'090, 'x') + secret}});
    }
  }
  const auto lines = lines_of(settings_.file);
  ASSERT_EQ(lines.size(), 8U);
  for (const auto& line : lines) {
    EXPECT_FALSE(line.contains("cdEFG")) << line;
    EXPECT_FALSE(line.contains(to_base64(secret).substr(0, 12)));
    EXPECT_FALSE(line.contains(to_base64("id:" + secret).substr(4, 12)));
    EXPECT_FALSE(line.contains("K003"));
  }
}

TEST(LogToStderr, IsTheForegroundsDefault) {
  ::testing::internal::CaptureStderr();
  {
    const auto log = make_log({}, system_clock());
    ASSERT_TRUE(log.ok());
    log.value()->event(Level::info, "mount");
    log.value()->reopen();
    log.value()->event(Level::debug, "hidden");
  }
  const auto output = ::testing::internal::GetCapturedStderr();
  EXPECT_TRUE(output.contains(R"("event":"mount"})" "\n")) << output;
  EXPECT_FALSE(output.contains("hidden"));
}

TEST(LogToAFullDisk, LosesTheLineAndNothingElse) {
  LogSettings settings;
  settings.file = "/dev/full";
  const auto log = make_log(settings, system_clock());
  ASSERT_TRUE(log.ok());
  log.value()->event(Level::info, "one");
  log.value()->event(Level::info, "two");
}

TEST(NoLog, TakesEverything) {
  no_log().event(Level::error, "e", {{"a", 1}});
  no_log().reopen();
}

}  // namespace
}  // namespace spillway
