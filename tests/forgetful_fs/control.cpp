#include "tests/forgetful_fs/control.h"

#include <cerrno>
#include <charconv>

namespace forgetful {

namespace {

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

int set_power(Disk& disk, std::string_view value) {
  constexpr std::string_view kOff = "off";
  if (value == "on") {
    disk.turn_on();
    return 0;
  }
  if (!value.starts_with(kOff)) return EINVAL;
  value.remove_prefix(kOff.size());
  if (value.starts_with(' ')) value.remove_prefix(1);
  const auto seed = value.empty() ? 0 : number(value);
  if (!seed) return EINVAL;
  if (disk.is_on()) disk.lose_power(*seed);  // it can't be lost twice
  return 0;
}

int set_skip(Disk& disk, std::string_view value) {
  if (const auto nth = number(value)) {
    disk.skip_only(*nth);
    return 0;
  }
  if (value == "none") {
    disk.skip(Skip::none);
  } else if (value == "files") {
    disk.skip(Skip::files);
  } else if (value == "directories") {
    disk.skip(Skip::directories);
  } else if (value == "all") {
    disk.skip(Skip::all);
  } else {
    return EINVAL;
  }
  return 0;
}

}  // namespace

int control(Disk& disk, std::string_view name, std::string_view value) {
  if (name == "user.forgetful.power") return set_power(disk, value);
  if (name == "user.forgetful.skip") return set_skip(disk, value);
  if (name == "user.forgetful.off_after") {
    const auto count = number(value);
    if (!count) return EINVAL;
    disk.lose_power_after(*count);
    return 0;
  }
  return ENOTSUP;
}

std::optional<std::string> report(const Disk& disk, std::string_view name) {
  if (name == "user.forgetful.power") return disk.is_on() ? "on" : "off";
  if (name == "user.forgetful.syncs") return std::to_string(disk.syncs());
  return std::nullopt;
}

}  // namespace forgetful
