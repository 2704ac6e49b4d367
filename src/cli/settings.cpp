#include "src/cli/settings.h"

#include <spdlog/fmt/fmt.h>
#include <strings.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "s3/hash.h"
#include "src/cli/output.h"

namespace spillway::cli {
namespace {

constexpr std::string_view kEnvFileVariable = "SPILLWAY_ENV_FILE";
constexpr std::array kKeys{"S3_SECRET_KEY", "S3_ACCESS_KEY"};

// unsetenv() alone leaves the text where the kernel put it, and /proc/PID/environ goes on showing
// it.
void wipe_variable(const char* name) {
  if (char* value = std::getenv(name)) explicit_bzero(value, std::strlen(value));
  unsetenv(name);
}

void wipe_entry(Environment& environment, const char* name) {
  const auto entry = environment.find(name);
  if (entry == environment.end()) return;
  s3::wipe(entry->second);
  environment.erase(entry);
}

Result<Environment> read_environment(const std::string& env_file) {
  Environment real = process_environment();
  for (const char* key : kKeys) wipe_variable(key);
  std::string file = env_file;
  if (const auto named = real.find(std::string(kEnvFileVariable)); named != real.end()) {
    if (file.empty()) file = named->second;
    real.erase(named);
  }
  if (file.empty()) return real;
  auto read = read_env_file(file);
  if (!read.ok()) {
    return fail(read.error().code, fmt::format("{}: {}", printable(file), read.error().detail));
  }
  Environment both = merged(*read, real);
  for (const char* key : kKeys) wipe_entry(*read, key);
  for (const char* key : kKeys) wipe_entry(real, key);
  return both;
}

// The daemon leaves the shell's directory, and opens these again later.
void make_absolute(std::string& file) {
  if (!file.empty()) file = std::filesystem::absolute(file).lexically_normal();
}

Error usage_error(const Error& error) {
  Error changed = error;
  changed.code = ErrorCode::invalid_argument;
  return changed;
}

}  // namespace

void GivenOptions::add_to(CLI::App& command) {
  command.add_option("--env-file", env_file_, "read KEY=VALUE lines from FILE (mode 0600)")
      ->type_name("FILE");
  for (const OptionSpec& option : option_table()) {
    const std::string name(option.name);
    const std::string flag = "--" + name;
    const std::string help(option.help);
    if (option.value.empty()) {
      command.add_flag_callback(
          flag, [this, name] { given_[name] = ""; }, help);
    } else {
      command
          .add_option_function<std::string>(
              flag, [this, name](const std::string& value) { given_[name] = value; }, help)
          ->type_name(std::string(option.value))
          ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    }
  }
}

Result<> GivenOptions::add_pair(std::string_view pair) {
  const auto equals = pair.find('=');
  const std::string_view name = pair.substr(0, equals);
  const std::string value(equals == std::string_view::npos ? "" : pair.substr(equals + 1));
  if (name == "env_file" || name == "env-file") {
    env_file_ = value;
    return {};
  }
  const OptionSpec* option = find_option(name);
  if (option == nullptr) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("-o {}: there is no such option", printable(name)));
  }
  given_[std::string(option->name)] = value;
  return {};
}

Result<> GivenOptions::apply_given(SpillwayOptions& options) const {
  for (const auto& [name, value] : given_) {
    const auto applied = find_option(name)->apply(options, value);
    if (!applied.ok()) {
      return fail(ErrorCode::invalid_argument,
                  fmt::format("--{}: {}", name, applied.error().detail));
    }
  }
  return {};
}

Result<Settings> GivenOptions::resolve() const {
  Settings settings;
  settings.environment = TRY(read_environment(env_file_));
  if (auto applied = apply_environment(settings.options, settings.environment); !applied.ok()) {
    return fail(usage_error(applied.error()));
  }
  TRY(apply_given(settings.options));
  if (auto checked = check(settings.options); !checked.ok()) {
    return fail(usage_error(checked.error()));
  }
  make_absolute(settings.options.log_file);
  make_absolute(settings.options.ca_file);
  settings.bucket = s3_settings_from(settings.environment);
  const auto secret = settings.environment.find("S3_SECRET_KEY");
  if (secret != settings.environment.end()) settings.secret_key = secret->second;
  for (const char* key : kKeys) wipe_entry(settings.environment, key);
  for (const auto& name : unknown_variables(settings.environment)) {
    settings.warnings.push_back(printable(name) + " is no option of spillway");
  }
  return settings;
}

}  // namespace spillway::cli
