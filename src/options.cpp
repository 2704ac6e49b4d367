#include "src/options.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "src/object_store.h"
#include "src/units.h"

namespace spillway {
namespace {

constexpr std::string_view kPrefix = "SPILLWAY_";
// Options of the program that are none of the mount's.
constexpr std::string_view kEnvFileVariable = "SPILLWAY_ENV_FILE";

// Readers of one value each: what they take, in words, and how.

struct Size {
  static constexpr std::string_view kWants = "wants a size such as 64MiB, 8MB or 100000";
  static std::optional<std::uint64_t> parse(std::string_view text) { return parse_size(text); }
};

struct Time {
  static constexpr std::string_view kWants = "wants a duration such as 500ms, 2s, 5m or 1h";
  static std::optional<Duration> parse(std::string_view text) { return parse_duration(text); }
};

struct Switch {
  static constexpr std::string_view kWants = "wants true or false";
  static std::optional<bool> parse(std::string_view text) {
    constexpr std::array<std::string_view, 5> kYes{"", "true", "1", "yes", "on"};
    constexpr std::array<std::string_view, 4> kNo{"false", "0", "no", "off"};
    if (std::ranges::find(kYes, text) != kYes.end()) return true;
    if (std::ranges::find(kNo, text) != kNo.end()) return false;
    return std::nullopt;
  }
};

template <class Number>
std::optional<Number> parse_whole(std::string_view text, int base) {
  Number number{};
  const auto* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number, base);
  if (error != std::errc() || rest != end) return std::nullopt;
  return number;
}

struct Count {
  static constexpr std::string_view kWants = "wants a number from 1 to 256";
  static std::optional<int> parse(std::string_view text) {
    const auto number = parse_whole<int>(text, 10);
    return number && *number >= 1 && *number <= 256 ? number : std::nullopt;
  }
};

struct Id {
  static constexpr std::string_view kWants = "wants a numeric id";
  static std::optional<std::uint32_t> parse(std::string_view text) {
    // The highest id is the kernel's "no change".
    const auto number = parse_whole<std::uint32_t>(text, 10);
    return number != UINT32_MAX ? number : std::nullopt;
  }
};

struct Mask {
  static constexpr std::string_view kWants = "wants an octal mask such as 022";
  static std::optional<std::uint32_t> parse(std::string_view text) {
    const auto number = parse_whole<std::uint32_t>(text, 8);
    return number && *number <= 0777 ? number : std::nullopt;
  }
};

struct Name {
  static constexpr std::string_view kWants = "wants a name without control characters";
  static std::optional<std::string> parse(std::string_view text) {
    const auto is_control = [](unsigned char c) { return c < 0x20 || c == 0x7f; };
    if (text.empty() || std::ranges::any_of(text, is_control)) return std::nullopt;
    return std::string(text);
  }
};

// A relative name would change its meaning when the daemon leaves the shell's directory.
struct AbsolutePath {
  static constexpr std::string_view kWants = "wants an absolute path";
  static std::optional<std::string> parse(std::string_view text) {
    return text.starts_with('/') ? Name::parse(text) : std::nullopt;
  }
};

template <class Enumeration>
struct Word {
  std::string_view word;
  Enumeration value;
};

template <class Enumeration>
struct Words;

template <>
struct Words<TempNames> {
  static constexpr std::string_view kWants = "wants commit, rsync or wide";
  static constexpr std::array kAll{Word{"commit", TempNames::commit},
                                   Word{"rsync", TempNames::rsync}, Word{"wide", TempNames::wide}};
};
template <>
struct Words<PayloadMode> {
  static constexpr std::string_view kWants = "wants signed or unsigned";
  static constexpr std::array kAll{Word{"signed", PayloadMode::with_hash},
                                   Word{"unsigned", PayloadMode::without_hash}};
};
template <>
struct Words<SplitMode> {
  static constexpr std::string_view kWants = "wants divert or fail";
  static constexpr std::array kAll{Word{"divert", SplitMode::divert},
                                   Word{"fail", SplitMode::fail}};
};
template <>
struct Words<KillMode> {
  static constexpr std::string_view kWants = "wants publish or discard";
  static constexpr std::array kAll{Word{"publish", KillMode::publish},
                                   Word{"discard", KillMode::discard}};
};
template <>
struct Words<ConflictMode> {
  static constexpr std::string_view kWants = "wants both, ours or theirs";
  static constexpr std::array kAll{Word{"both", ConflictMode::both},
                                   Word{"ours", ConflictMode::ours},
                                   Word{"theirs", ConflictMode::theirs}};
};
template <>
struct Words<DeleteMode> {
  static constexpr std::string_view kWants = "wants hide or purge";
  static constexpr std::array kAll{Word{"hide", DeleteMode::hide},
                                   Word{"purge", DeleteMode::purge}};
};
template <>
struct Words<LogFormat> {
  static constexpr std::string_view kWants = "wants json or text";
  static constexpr std::array kAll{Word{"json", LogFormat::json}, Word{"text", LogFormat::text}};
};
template <>
struct Words<Level> {
  static constexpr std::string_view kWants = "wants debug, info, warning or error";
  static constexpr std::array kAll{Word{"debug", Level::debug}, Word{"info", Level::info},
                                   Word{"warning", Level::warning}, Word{"error", Level::error}};
};

template <class Enumeration>
struct Choice {
  static constexpr std::string_view kWants = Words<Enumeration>::kWants;
  static std::optional<Enumeration> parse(std::string_view text) {
    for (const auto& known : Words<Enumeration>::kAll) {
      if (known.word == text) return known.value;
    }
    return std::nullopt;
  }
};

template <auto kField, class Reader>
Result<> apply_with(SpillwayOptions& options, std::string_view text) {
  auto value = Reader::parse(text);
  if (!value) return fail(ErrorCode::invalid_argument, std::string(Reader::kWants));
  options.*kField = *std::move(value);
  return {};
}

using O = SpillwayOptions;

constexpr std::array kOptions{
    OptionSpec{"memory", "SIZE", "RAM for the buffers of all open files [128MiB]",
               apply_with<&O::memory, Size>},
    OptionSpec{"part-size", "SIZE", "part of a large upload, 5MiB to 5GB [8MiB]",
               apply_with<&O::part_size, Size>},
    OptionSpec{"uploads", "N", "files sent at once [8]", apply_with<&O::uploads, Count>},
    OptionSpec{"parts-at-once", "N", "parts of one file sent at once [4]",
               apply_with<&O::parts_at_once, Count>},
    OptionSpec{"temp-names", "commit|rsync|wide",
               "temporary names that are stored only under their final one [rsync]",
               apply_with<&O::temp_names, Choice<TempNames>>},
    OptionSpec{"payload", "signed|unsigned", "sign the hash of each body, or trust TLS [signed]",
               apply_with<&O::payload, Choice<PayloadMode>>},
    OptionSpec{"retry-for", "TIME", "how long a failing upload is retried [30s]",
               apply_with<&O::retry_for, Time>},
    OptionSpec{"name-retry-for", "TIME", "the same for rename, unlink and the like [5s]",
               apply_with<&O::name_retry_for, Time>},
    OptionSpec{"cooldown", "TIME", "pause before a failing B2 is asked again [15s]",
               apply_with<&O::cooldown, Time>},
    OptionSpec{"connect-timeout", "TIME", "limit for a connection to come up [10s]",
               apply_with<&O::connect_timeout, Time>},
    OptionSpec{"stall-timeout", "TIME", "limit for a transfer in which no byte moves [30s]",
               apply_with<&O::stall_timeout, Time>},
    OptionSpec{"on-split", "divert|fail", "rest of a file that B2 holds a part of [divert]",
               apply_with<&O::on_split, Choice<SplitMode>>},
    OptionSpec{"on-kill", "publish|discard", "what a killed program left of a file [publish]",
               apply_with<&O::on_kill, Choice<KillMode>>},
    OptionSpec{"conflict", "both|ours|theirs",
               "a file changed in B2 while ours was in the shadow [both]",
               apply_with<&O::conflict, Choice<ConflictMode>>},
    OptionSpec{"shadow", "DIR", "shadow directory [below $XDG_STATE_HOME or /var/lib/spillway]",
               apply_with<&O::shadow, AbsolutePath>},
    OptionSpec{"shadow-limit", "SIZE", "most bytes the shadow may hold, 0 for no limit [0]",
               apply_with<&O::shadow_limit, Size>},
    OptionSpec{"shadow-reserve", "SIZE", "space kept free on the shadow's disk [256MiB]",
               apply_with<&O::shadow_reserve, Size>},
    OptionSpec{"shutdown-timeout", "TIME", "how long an unmount waits for uploads [60s]",
               apply_with<&O::shutdown_timeout, Time>},
    OptionSpec{"delete", "hide|purge", "what rm leaves of a file's versions in B2 [hide]",
               apply_with<&O::delete_mode, Choice<DeleteMode>>},
    OptionSpec{"attr-ttl", "TIME", "how long changes by other clients may go unseen [5s]",
               apply_with<&O::attr_ttl, Time>},
    OptionSpec{"uid", "ID", "owner of every file", apply_with<&O::uid, Id>},
    OptionSpec{"gid", "ID", "group of every file", apply_with<&O::gid, Id>},
    OptionSpec{"umask", "MASK", "permission bits that no file has",
               apply_with<&O::umask, Mask>},
    OptionSpec{"allow-other", "", "other users may use the mount",
               apply_with<&O::allow_other, Switch>},
    OptionSpec{"hide-xattrs", "", "do not list user.b2.* (still readable by name)",
               apply_with<&O::hide_xattrs, Switch>},
    OptionSpec{"log-file", "FILE", "log to FILE [stderr, journal or /var/log/spillway.log]",
               apply_with<&O::log_file, Name>},
    OptionSpec{"log-format", "json|text", "form of a log line [json]",
               apply_with<&O::log_format, Choice<LogFormat>>},
    OptionSpec{"log-level", "LEVEL", "debug, info, warning or error [info]",
               apply_with<&O::log_level, Choice<Level>>},
    OptionSpec{"ca-file", "FILE", "certificates to trust instead of the system's",
               apply_with<&O::ca_file, Name>},
    OptionSpec{"allow-http", "", "accept an http:// endpoint that is not on this machine",
               apply_with<&O::allow_http, Switch>},
};

char to_upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

void add_problem(std::string& problems, std::string_view problem) {
  if (!problems.empty()) problems += "; ";
  problems += problem;
}

Result<> outcome_of(std::string problems) {
  if (problems.empty()) return {};
  return fail(ErrorCode::invalid_argument, std::move(problems));
}

}  // namespace

std::span<const OptionSpec> option_table() { return kOptions; }

std::string variable_of(const OptionSpec& option) {
  std::string variable(kPrefix);
  for (const char c : option.name) variable += c == '-' ? '_' : to_upper(c);
  return variable;
}

const OptionSpec* find_option(std::string_view name) {
  const auto same = [](char given, char known) { return (given == '_' ? '-' : given) == known; };
  for (const auto& option : kOptions) {
    if (std::ranges::equal(name, option.name, same)) return &option;
  }
  return nullptr;
}

Result<> apply_environment(SpillwayOptions& options, const Environment& environment) {
  std::string problems;
  for (const auto& option : kOptions) {
    const auto name = variable_of(option);
    const auto variable = environment.find(name);
    if (variable == environment.end() || variable->second.empty()) continue;
    const auto applied = option.apply(options, variable->second);
    if (!applied.ok()) add_problem(problems, name + " " + applied.error().detail);
  }
  return outcome_of(std::move(problems));
}

std::vector<std::string> unknown_variables(const Environment& environment) {
  std::vector<std::string> unknown;
  for (auto entry = environment.lower_bound(std::string(kPrefix));
       entry != environment.end() && entry->first.starts_with(kPrefix); ++entry) {
    const auto is_it = [&](const OptionSpec& option) { return variable_of(option) == entry->first; };
    if (entry->first != kEnvFileVariable && std::ranges::none_of(kOptions, is_it)) {
      unknown.push_back(entry->first);
    }
  }
  return unknown;
}

Result<> check(const SpillwayOptions& options) {
  std::string problems;
  if (options.part_size < kSmallestPart || options.part_size > kLargestPart) {
    add_problem(problems, "part-size must be from 5MiB to 5GB");
  }
  if (options.memory / 2 < options.part_size) {
    add_problem(problems, "memory must be at least twice the part-size");
  }
  if (options.connect_timeout <= Duration::zero()) {
    add_problem(problems, "connect-timeout must not be 0");
  }
  if (options.stall_timeout <= Duration::zero()) {
    add_problem(problems, "stall-timeout must not be 0");
  }
  return outcome_of(std::move(problems));
}

}  // namespace spillway
