#include "src/options.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>

namespace spillway {
namespace {

using namespace std::chrono_literals;

SpillwayOptions with(const Environment& environment) {
  SpillwayOptions options;
  const auto applied = apply_environment(options, environment);
  EXPECT_TRUE(applied.ok()) << (applied.ok() ? "" : applied.error().detail);
  return options;
}

TEST(Options, DefaultsAreTheContracts) {
  const SpillwayOptions options = with({});
  EXPECT_EQ(options.memory, 134'217'728U);
  EXPECT_EQ(options.part_size, 8'388'608U);
  EXPECT_EQ(options.retry_for, 30s);
  EXPECT_EQ(options.name_retry_for, 5s);
  EXPECT_EQ(options.cooldown, 15s);
  EXPECT_EQ(options.attr_ttl, 5s);
  EXPECT_EQ(options.shutdown_timeout, 60s);
  EXPECT_EQ(options.connect_timeout, 10s);
  EXPECT_EQ(options.stall_timeout, 30s);
  EXPECT_EQ(options.temp_names, TempNames::rsync);
  EXPECT_EQ(options.delete_mode, DeleteMode::hide);
  EXPECT_EQ(options.shadow_limit, 0U);
  EXPECT_EQ(options.shadow_reserve, 268'435'456U);
  EXPECT_EQ(options.uploads, 8);
  EXPECT_EQ(options.parts_at_once, 4);
  EXPECT_FALSE(options.uid || options.gid || options.umask);
  EXPECT_TRUE(check(options).ok());
}

TEST(Options, EveryWordIsUnderstood) {
  const auto options = with({{"SPILLWAY_TEMP_NAMES", "wide"},
                             {"SPILLWAY_PAYLOAD", "unsigned"},
                             {"SPILLWAY_ON_SPLIT", "fail"},
                             {"SPILLWAY_CONFLICT", "theirs"},
                             {"SPILLWAY_DELETE", "purge"},
                             {"SPILLWAY_LOG_FORMAT", "text"},
                             {"SPILLWAY_LOG_LEVEL", "debug"}});
  EXPECT_EQ(options.temp_names, TempNames::wide);
  EXPECT_EQ(options.payload, PayloadMode::without_hash);
  EXPECT_EQ(options.on_split, SplitMode::fail);
  EXPECT_EQ(options.conflict, ConflictMode::theirs);
  EXPECT_EQ(options.delete_mode, DeleteMode::purge);
  EXPECT_EQ(options.log_format, LogFormat::text);
  EXPECT_EQ(options.log_level, Level::debug);
}

TEST(Options, NumbersNamesAndSwitchesAreUnderstood) {
  const auto options = with({{"SPILLWAY_MEMORY", "1GiB"},
                             {"SPILLWAY_PART_SIZE", "16MB"},
                             {"SPILLWAY_RETRY_FOR", "500ms"},
                             {"SPILLWAY_UPLOADS", "16"},
                             {"SPILLWAY_UID", "1000"},
                             {"SPILLWAY_GID", "0"},
                             {"SPILLWAY_UMASK", "027"},
                             {"SPILLWAY_SHADOW", "/var/shadow"},
                             {"SPILLWAY_CA_FILE", "ca.pem"},
                             {"SPILLWAY_ALLOW_OTHER", "yes"},
                             {"SPILLWAY_HIDE_XATTRS", "1"},
                             {"SPILLWAY_ALLOW_HTTP", "false"}});
  EXPECT_EQ(options.memory, 1'073'741'824U);
  EXPECT_EQ(options.part_size, 16'000'000U);
  EXPECT_EQ(options.retry_for, 500ms);
  EXPECT_EQ(options.uploads, 16);
  EXPECT_EQ(options.uid, 1'000U);
  EXPECT_EQ(options.gid, 0U);
  EXPECT_EQ(options.umask, 027U);
  EXPECT_EQ(options.shadow, "/var/shadow");
  EXPECT_EQ(options.ca_file, "ca.pem");
  EXPECT_TRUE(options.allow_other);
  EXPECT_TRUE(options.hide_xattrs);
  EXPECT_FALSE(options.allow_http);
}

TEST(Options, EmptyVariablesChangeNothing) {
  EXPECT_EQ(with({{"SPILLWAY_MEMORY", ""}}).memory, SpillwayOptions().memory);
  EXPECT_FALSE(with({{"SPILLWAY_ALLOW_HTTP", ""}}).allow_http);
}

TEST(Options, AllProblemsAreInOneMessageAndTheRestIsApplied) {
  SpillwayOptions options;
  const auto applied = apply_environment(options, {{"SPILLWAY_MEMORY", "lots"},
                                                   {"SPILLWAY_PAYLOAD", "maybe"},
                                                   {"SPILLWAY_UPLOADS", "0"},
                                                   {"SPILLWAY_UMASK", "08"},
                                                   {"SPILLWAY_SHADOW", "relative"},
                                                   {"SPILLWAY_UID", "4294967295"},
                                                   {"SPILLWAY_LOG_FILE", "a\nb"},
                                                   {"SPILLWAY_COOLDOWN", "1s"}});
  ASSERT_FALSE(applied.ok());
  EXPECT_EQ(applied.error().code, ErrorCode::invalid_argument);
  for (const auto* word : {"SPILLWAY_MEMORY wants a size", "SPILLWAY_PAYLOAD wants signed or unsigned",
                           "SPILLWAY_UPLOADS", "SPILLWAY_UMASK", "SPILLWAY_SHADOW", "SPILLWAY_UID",
                           "SPILLWAY_LOG_FILE"}) {
    EXPECT_TRUE(applied.error().detail.contains(word)) << word;
  }
  EXPECT_FALSE(applied.error().detail.contains("SPILLWAY_COOLDOWN"));
  EXPECT_EQ(options.cooldown, 1s);
}

TEST(OptionTable, NamesAreFoundWithDashesAndUnderscoresAndAreUnique) {
  std::set<std::string> variables;
  for (const auto& option : option_table()) {
    EXPECT_EQ(find_option(option.name), &option);
    EXPECT_TRUE(variables.insert(variable_of(option)).second);
    EXPECT_FALSE(option.help.empty());
  }
  EXPECT_EQ(find_option("part_size"), find_option("part-size"));
  EXPECT_EQ(variable_of(*find_option("part-size")), "SPILLWAY_PART_SIZE");
  EXPECT_EQ(find_option("part"), nullptr);
  EXPECT_EQ(find_option(""), nullptr);
}

TEST(OptionTable, AFlagGivenByItsNameAloneIsTrue) {
  SpillwayOptions options;
  for (const auto& option : option_table()) {
    if (option.value.empty()) {
      EXPECT_TRUE(option.apply(options, "").ok());
    }
  }
  EXPECT_TRUE(options.allow_other && options.hide_xattrs && options.allow_http);
}

TEST(Options, MisspeltVariablesAreFound) {
  const auto unknown = unknown_variables({{"SPILLWAY_PARTSIZE", "8MiB"},
                                          {"SPILLWAY_PART_SIZE", "8MiB"},
                                          {"SPILLWAY_ENV_FILE", "x"},
                                          {"SPILL", "x"},
                                          {"SPILLWAYS", "x"}});
  EXPECT_EQ(unknown, std::vector<std::string>{"SPILLWAY_PARTSIZE"});
}

// The file that users copy: every option is in it, well-formed, and with its default.
TEST(EnvExample, ShowsEveryOptionWithItsDefault) {
  std::ifstream file(".env.example");  // suites run in the source tree
  ASSERT_TRUE(file) << std::filesystem::current_path();
  std::string text;
  for (std::string line; std::getline(file, line);) {
    text += (line.starts_with("#SPILLWAY_") ? line.substr(1) : line) + "\n";
  }
  const auto environment = parse_env_file(text).value();
  EXPECT_EQ(unknown_variables(environment), std::vector<std::string>());
  for (const auto& option : option_table()) {
    const auto variable = environment.find(variable_of(option));
    ASSERT_NE(variable, environment.end()) << variable_of(option);
    const auto start = option.help.rfind('[');
    const bool has_default = start != std::string_view::npos && option.help.ends_with(']');
    if (!has_default || option.value == "DIR" || option.value == "FILE") continue;
    EXPECT_EQ(variable->second, option.help.substr(start + 1, option.help.size() - start - 2));
  }
  const auto options = with(environment);
  const SpillwayOptions defaults;
  EXPECT_EQ(options.memory, defaults.memory);
  EXPECT_EQ(options.part_size, defaults.part_size);
  EXPECT_EQ(options.stall_timeout, defaults.stall_timeout);
  EXPECT_EQ(options.temp_names, defaults.temp_names);
  EXPECT_EQ(options.shadow_reserve, defaults.shadow_reserve);
}

TEST(OptionsCheck, HoldsTheLimitsOfB2AndOfMemory) {
  SpillwayOptions options;
  options.part_size = 5ULL << 20U;
  EXPECT_TRUE(check(options).ok());
  options.part_size -= 1;
  EXPECT_TRUE(check(options).error().detail.contains("part-size"));
  options.part_size = 5'000'000'000;
  EXPECT_TRUE(check(options).error().detail.contains("memory"));
  options.memory = 10'000'000'000;
  EXPECT_TRUE(check(options).ok());
  options.part_size += 1;
  options.stall_timeout = Duration::zero();
  EXPECT_TRUE(check(options).error().detail.contains("part-size"));
  EXPECT_TRUE(check(options).error().detail.contains("stall-timeout"));
}

}  // namespace
}  // namespace spillway
