#include "fuse/killed.h"

#include <spdlog/fmt/fmt.h>

#include <charconv>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>

namespace spillway::kernel {
namespace {

// Of include/linux/sched.h.
constexpr unsigned kExiting = 0x4;
constexpr unsigned kSignaled = 0x400;
constexpr unsigned kSignalBits = 0x7f;  // of an exit code, as wait(2) gives it

constexpr int kFirstField = 3;  // the one after the name, which may hold spaces and brackets
constexpr int kFlags = 9;
constexpr int kExitCode = 52;

std::optional<unsigned> field(std::string_view rest, int number) {
  for (int at = kFirstField; at < number; ++at) {
    const auto space = rest.find(' ');
    if (space == std::string_view::npos) return std::nullopt;
    rest.remove_prefix(space + 1);
  }
  unsigned value = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
  if (error != std::errc() || end == rest.data()) return std::nullopt;
  return value;
}

}  // namespace

bool is_killed(std::string_view stat) {
  const auto name_end = stat.rfind(") ");
  if (name_end == std::string_view::npos) return false;
  const std::string_view rest = stat.substr(name_end + 2);
  const unsigned flags = field(rest, kFlags).value_or(0);
  const unsigned exit_code = field(rest, kExitCode).value_or(0);
  const bool is_ending = (flags & kExiting) != 0 && (flags & kSignaled) != 0;
  return is_ending && (exit_code & kSignalBits) != 0;
}

bool was_killed(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  return is_killed(std::string(std::istreambuf_iterator<char>(file), {}));
}

}  // namespace spillway::kernel
