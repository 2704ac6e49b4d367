// Where configuration comes from: the process's environment, and files of KEY=VALUE lines.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "src/error.h"

namespace spillway {

using Environment = std::map<std::string, std::string>;

// The environment of this process. Not while another thread changes it.
[[nodiscard]] Environment process_environment();

// KEY=VALUE lines; blank lines, `# comments` and a leading `export` are skipped. A value may stand
// in single quotes (taken as it is) or double quotes (\" \\ \$ and \` stand for the character
// after the backslash); without quotes it ends at white space followed by '#'. No value spans
// lines, nothing is expanded. A later line wins.
// Fails with invalid_argument, naming the numbers of all malformed lines, never their text: they
// may hold a secret.
[[nodiscard]] Result<Environment> parse_env_file(std::string_view text);

// Both; where both have a name, `real` wins.
[[nodiscard]] Environment merged(const Environment& file, const Environment& real);

// Reads and parses a file that may hold secrets. Refuses with not_permitted one that others than
// its owner can read or write, or that is neither this user's nor root's; invalid_argument where
// it is malformed or over 64 KiB; else local_error.
[[nodiscard]] Result<Environment> read_env_file(const std::string& name);

}  // namespace spillway
