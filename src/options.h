// Every setting of a mount that has a default, by the names under which users give it: each entry
// of option_table() is at once `--part-size`, `SPILLWAY_PART_SIZE` and `-o part_size`.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/clock.h"
#include "src/env_file.h"
#include "src/error.h"
#include "src/log.h"

namespace spillway {

// Which names are held in RAM until a rename gives them their final one.
enum class TempNames : std::uint8_t { commit, rsync, wide };
// Whether requests sign the SHA-256 of their body, or leave that to TLS.
enum class PayloadMode : std::uint8_t { with_hash, without_hash };
// What a program that was killed by a signal left of a file.
enum class KillMode : std::uint8_t { publish, discard };
// A file whose upload B2 holds in part: divert the rest, or let close() fail.
enum class SplitMode : std::uint8_t { divert, fail };
// A file that changed in B2 while ours was in the shadow: keep both, or which one wins.
enum class ConflictMode : std::uint8_t { both, ours, theirs };
// What removing a name does in B2: it is hidden, and older versions stay; or all of them go.
enum class DeleteMode : std::uint8_t { hide, purge };

struct SpillwayOptions {
  // Writing. Sizes in bytes.
  std::uint64_t memory = 128ULL << 20U;  // buffers of all open files together
  std::uint64_t part_size = 8ULL << 20U;
  int uploads = 8;        // files at once
  int parts_at_once = 4;  // of one file
  TempNames temp_names = TempNames::rsync;
  PayloadMode payload = PayloadMode::with_hash;

  // When B2 fails.
  Duration retry_for = std::chrono::seconds(30);
  Duration name_retry_for = std::chrono::seconds(5);  // rename, unlink and the like
  Duration cooldown = std::chrono::seconds(15);
  Duration connect_timeout = std::chrono::seconds(10);
  Duration stall_timeout = std::chrono::seconds(30);  // without a byte moving
  SplitMode on_split = SplitMode::divert;
  KillMode on_kill = KillMode::publish;
  ConflictMode conflict = ConflictMode::both;
  std::string shadow;  // "": default_shadow_directory() of src/config.h
  std::uint64_t shadow_limit = 0;  // 0: none
  std::uint64_t shadow_reserve = 256ULL << 20U;
  Duration shutdown_timeout = std::chrono::seconds(60);

  // The mounted tree.
  DeleteMode delete_mode = DeleteMode::hide;
  Duration attr_ttl = std::chrono::seconds(5);
  std::optional<std::uint32_t> uid;  // everything belongs to this user
  std::optional<std::uint32_t> gid;
  std::optional<std::uint32_t> umask;
  bool allow_other = false;
  bool hide_xattrs = false;

  // Log and connection.
  std::string log_file;  // "": chosen by make_log()
  LogFormat log_format = LogFormat::json;
  Level log_level = Level::info;
  std::string ca_file;  // "": the system's
  bool allow_http = false;
};

struct OptionSpec {
  std::string_view name;   // with dashes, without the leading ones
  std::string_view value;  // what --help calls the value: "SIZE", "sync|async"; "" for a flag
  std::string_view help;   // one line, with the default
  // Parses `text` into its field; a flag takes "" for true. invalid_argument, with what would be
  // right, when it can't.
  Result<> (*apply)(SpillwayOptions& options, std::string_view text);
};

// In the order in which --help lists them. Lives for the whole program.
[[nodiscard]] std::span<const OptionSpec> option_table();

// "SPILLWAY_PART_SIZE" of "part-size".
[[nodiscard]] std::string variable_of(const OptionSpec& option);

// By its name, with dashes or underscores; nullptr where there is none.
[[nodiscard]] const OptionSpec* find_option(std::string_view name);

// Applies every SPILLWAY_… variable that is set and not empty. invalid_argument with all the
// malformed ones in one message; the well-formed ones are applied all the same.
[[nodiscard]] Result<> apply_environment(SpillwayOptions& options, const Environment& environment);

// SPILLWAY_… variables that are no option's: a misspelt one should be warned of.
[[nodiscard]] std::vector<std::string> unknown_variables(const Environment& environment);

// What can only be seen with all options given: call it last. All problems in one message.
[[nodiscard]] Result<> check(const SpillwayOptions& options);

}  // namespace spillway
