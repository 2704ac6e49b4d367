#include "src/env_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace spillway {
namespace {

Environment parsed(std::string_view text) {
  auto environment = parse_env_file(text);
  EXPECT_TRUE(environment.ok());
  return environment.ok() ? environment.value() : Environment();
}

TEST(EnvFile, TakesAssignmentsCommentsAndExport) {
  const Environment expected{{"A", "1"}, {"B", "two words"}, {"C", ""}, {"_D9", "x=y"}};
  EXPECT_EQ(parsed("# comment\n\nA=1\nexport B=two words  \n  C=\n_D9=x=y"), expected);
}

TEST(EnvFile, CommentsNeedWhiteSpaceBeforeThem) {
  const Environment expected{{"A", "1"}, {"B", "p#q"}, {"C", ""}, {"D", "v # w"}, {"E", "v"}};
  EXPECT_EQ(parsed("A=1 # one\nB=p#q\nC= # nothing\nD='v # w'\nE=\"v\" # w"), expected);
}

TEST(EnvFile, SingleQuotesAreLiteralDoubleOnesEscape) {
  const Environment expected{{"A", R"(\"$x)"}, {"B", R"(a"b\c$d`e\n)"}, {"C", " s "}};
  EXPECT_EQ(parsed("A='\\\"$x'\nB=\"a\\\"b\\\\c\\$d\\`e\\n\"\nC=' s '"), expected);
}

TEST(EnvFile, TakesFilesFromOtherSystems) {
  const Environment expected{{"A", "1"}, {"B", "2"}};
  EXPECT_EQ(parsed("\xef\xbb\xbf" "A=1\r\nB='2'\r\n"), expected);
}

TEST(EnvFile, TheLastAssignmentWins) {
  EXPECT_EQ(parsed("A=1\nA=2\n"), (Environment{{"A", "2"}}));
}

TEST(EnvFile, NamesAllMalformedLinesAndNoSecret) {
  const auto environment =
      parse_env_file("A=1\nhunter2\n9A=hunter2\nB='hunter2\nC=\"hunter2\nD='a'hunter2\nE =hunter2\n");
  ASSERT_FALSE(environment.ok());
  EXPECT_EQ(environment.error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(environment.error().detail, "not KEY=VALUE in line 2, 3, 4, 5, 6, 7");
}

TEST(EnvFile, RefusesNul) {
  EXPECT_FALSE(parse_env_file(std::string_view("A=1\0002", 5)).ok());
}

TEST(EnvFile, TheRealEnvironmentWins) {
  const Environment expected{{"A", "real"}, {"B", "file"}, {"C", "real"}};
  EXPECT_EQ(merged({{"A", "file"}, {"B", "file"}}, {{"A", "real"}, {"C", "real"}}), expected);
}

TEST(EnvFile, ReadsTheProcessEnvironment) {
  ::setenv("SPILLWAY_TEST_VARIABLE", "a=b", 1);
  const auto environment = process_environment();
  ::unsetenv("SPILLWAY_TEST_VARIABLE");
  EXPECT_EQ(environment.at("SPILLWAY_TEST_VARIABLE"), "a=b");
}

class EnvFileOnDisk : public ::testing::Test {
 protected:
  EnvFileOnDisk() {
    std::string pattern = (std::filesystem::temp_directory_path() / "env_file.XXXXXX").string();
    directory_ = ::mkdtemp(pattern.data());
    name_ = directory_ + "/env";
  }
  ~EnvFileOnDisk() override { std::filesystem::remove_all(directory_); }
  void write(std::string_view text, mode_t mode) {
    std::ofstream(name_) << text;
    ASSERT_EQ(::chmod(name_.c_str(), mode), 0);
  }
  std::string directory_;
  std::string name_;
};

TEST_F(EnvFileOnDisk, IsReadWhenItIsPrivate) {
  write("A=1\n", 0600);
  EXPECT_EQ(read_env_file(name_).value(), (Environment{{"A", "1"}}));
  write("A=2\n", 0400);
  EXPECT_EQ(read_env_file(name_).value(), (Environment{{"A", "2"}}));
}

TEST_F(EnvFileOnDisk, IsRefusedWhenOthersCanReadOrWriteIt) {
  for (const mode_t mode : {0640U, 0604U, 0620U, 0602U, 0644U, 0610U}) {
    write("A=1\n", mode);
    const auto environment = read_env_file(name_);
    ASSERT_FALSE(environment.ok()) << mode;
    EXPECT_EQ(environment.error().code, ErrorCode::not_permitted);
    EXPECT_TRUE(environment.error().detail.contains("chmod 600"));
  }
}

TEST_F(EnvFileOnDisk, SaysWhichFileIsMissingOrMalformed) {
  EXPECT_EQ(read_env_file(name_).error().code, ErrorCode::local_error);
  EXPECT_TRUE(read_env_file(name_).error().detail.starts_with(name_));
  write("nonsense\n", 0600);
  EXPECT_TRUE(read_env_file(name_).error().detail.starts_with(name_));
  write(std::string(70'000, '#'), 0600);
  EXPECT_EQ(read_env_file(name_).error().code, ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace spillway
