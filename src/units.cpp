#include "src/units.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <limits>

namespace spillway {
namespace {

struct Amount {
  std::uint64_t number = 0;
  std::string_view unit;
};

std::optional<Amount> split(std::string_view text) {
  Amount amount;
  const auto* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, amount.number);
  if (error != std::errc()) return std::nullopt;
  amount.unit = text.substr(static_cast<std::size_t>(rest - text.data()));
  return amount;
}

std::optional<std::uint64_t> product(std::uint64_t left, std::uint64_t right, std::uint64_t limit) {
  if (right != 0 && left > limit / right) return std::nullopt;
  return left * right;
}

bool same_but_for_case(std::string_view left, std::string_view right) {
  return std::ranges::equal(left, right, [](unsigned char a, unsigned char b) {
    return std::tolower(a) == std::tolower(b);
  });
}

struct Unit {
  std::string_view word;
  std::uint64_t factor;
};

constexpr std::array kDurations{
    Unit{"ms", 1'000'000},
    Unit{"s", 1'000'000'000},
    Unit{"m", 60'000'000'000},
    Unit{"h", 3'600'000'000'000},
};

constexpr std::array kSizes{
    Unit{"", 1},
    Unit{"b", 1},
    Unit{"kb", 1'000},
    Unit{"mb", 1'000'000},
    Unit{"gb", 1'000'000'000},
    Unit{"tb", 1'000'000'000'000},
    Unit{"kib", 1ULL << 10U},
    Unit{"mib", 1ULL << 20U},
    Unit{"gib", 1ULL << 30U},
    Unit{"tib", 1ULL << 40U},
};

}  // namespace

std::optional<Duration> parse_duration(std::string_view text) {
  const auto amount = split(text);
  if (!amount) return std::nullopt;
  if (text == "0") return Duration::zero();
  const auto* const unit = std::ranges::find(kDurations, amount->unit, &Unit::word);
  if (unit == kDurations.end()) return std::nullopt;
  constexpr auto kLimit = static_cast<std::uint64_t>(std::numeric_limits<Duration::rep>::max());
  const auto nanoseconds = product(amount->number, unit->factor, kLimit);
  if (!nanoseconds) return std::nullopt;
  return Duration(static_cast<Duration::rep>(*nanoseconds));
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
  const auto amount = split(text);
  if (!amount) return std::nullopt;
  const auto* const unit = std::ranges::find_if(
      kSizes, [&](const Unit& known) { return same_but_for_case(known.word, amount->unit); });
  if (unit == kSizes.end()) return std::nullopt;
  return product(amount->number, unit->factor, std::numeric_limits<std::uint64_t>::max());
}

}  // namespace spillway
