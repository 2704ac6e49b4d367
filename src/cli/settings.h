// From the command line, an --env-file and the environment to what a command starts from. The
// command line wins over the environment, the environment over the file.
#pragma once

#include <CLI/App.hpp>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "src/config.h"
#include "src/error.h"

namespace spillway::cli {

struct Settings {
  Environment environment;  // without what is secret: see `secret_key` and `access_key`
  SpillwayOptions options;
  // The bucket's settings, or what is wrong with them.
  Result<S3Settings> bucket = fail(ErrorCode::invalid_argument, "not read yet");
  std::string secret_key;  // as it was given, for the log's redaction
  std::vector<std::string> warnings;
};

// The options of a command, as they are given on its command line.
class GivenOptions {
 public:
  // Adds --env-file and every entry of option_table() to `command`, which must not outlive this.
  void add_to(CLI::App& command);
  // One NAME or NAME=VALUE of `-o`: an option by its name with dashes or underscores, or env_file.
  // invalid_argument where there is no such option.
  Result<> add_pair(std::string_view pair);

  // Reads the environment and the file, applies everything. Removes the keys from the environment
  // of this process, its memory included, so that neither a child nor /proc shows them: call it
  // before any thread is started. Errors are invalid_argument or not_permitted, with a text for
  // the user that repeats no secret.
  [[nodiscard]] Result<Settings> resolve() const;

 private:
  [[nodiscard]] Result<> apply_given(SpillwayOptions& options) const;

  std::string env_file_;
  std::map<std::string, std::string> given_;  // by option name; "" for a flag
};

}  // namespace spillway::cli
