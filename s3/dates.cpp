#include "s3/dates.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <chrono>

namespace spillway::s3 {
namespace {

using namespace std::chrono_literals;

// Exactly as many digits as asked for: "+1" and " 1" are no numbers here.
std::optional<int> digits(std::string_view text, std::size_t at, std::size_t count) {
  if (text.size() < at + count) return std::nullopt;
  int value = 0;
  for (const char character : text.substr(at, count)) {
    if (character < '0' || character > '9') return std::nullopt;
    value = value * 10 + (character - '0');
  }
  return value;
}

std::optional<WallTime> time_of(std::optional<int> year, std::optional<int> month,
                                std::optional<int> day, std::string_view clock_text) {
  const auto hour = digits(clock_text, 0, 2);
  const auto minute = digits(clock_text, 3, 2);
  const auto second = digits(clock_text, 6, 2);
  if (!year || !month || !day || !hour || !minute || !second) return std::nullopt;
  if (clock_text[2] != ':' || clock_text[5] != ':') return std::nullopt;
  const auto date = std::chrono::year(*year) / *month / *day;
  // 60 is a leap second; what is counted in nanoseconds can't hold years after 2262.
  if (!date.ok() || *year < 1970 || *year > 2261 || *hour > 23 || *minute > 59 || *second > 60) {
    return std::nullopt;
  }
  return std::chrono::sys_days(date) + *hour * 1h + *minute * 1min + *second * 1s;
}

std::optional<int> month_number(std::string_view name) {
  constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const auto* const found = std::ranges::find(kMonths, name);
  if (found == kMonths.end()) return std::nullopt;
  return static_cast<int>(found - kMonths.begin()) + 1;
}

// What follows the seconds: "Z", or ".123Z".
std::optional<Duration> fraction_of(std::string_view text) {
  if (text == "Z") return Duration::zero();
  if (text.size() < 3 || text.size() > 11 || text.front() != '.' || text.back() != 'Z') {
    return std::nullopt;
  }
  std::string nine(text.substr(1, text.size() - 2));
  nine.resize(9, '0');
  const auto nanoseconds = digits(nine, 0, 9);
  if (!nanoseconds) return std::nullopt;
  return Duration(*nanoseconds);
}

}  // namespace

std::optional<WallTime> parse_http_date(std::string_view text) {
  constexpr std::string_view kForm = "Fri, 24 May 2013 00:00:00 GMT";
  if (text.size() != kForm.size() || !text.ends_with(" GMT") || text.substr(3, 2) != ", ") {
    return std::nullopt;
  }
  if (text[7] != ' ' || text[11] != ' ' || text[16] != ' ') return std::nullopt;
  return time_of(digits(text, 12, 4), month_number(text.substr(8, 3)), digits(text, 5, 2),
                 text.substr(17, 8));
}

std::optional<WallTime> parse_iso_date(std::string_view text) {
  constexpr std::string_view kForm = "2013-05-24T00:00:00";
  if (text.size() <= kForm.size() || text[4] != '-' || text[7] != '-' || text[10] != 'T') {
    return std::nullopt;
  }
  const auto whole =
      time_of(digits(text, 0, 4), digits(text, 5, 2), digits(text, 8, 2), text.substr(11, 8));
  const auto fraction = fraction_of(text.substr(kForm.size()));
  if (!whole || !fraction) return std::nullopt;
  return *whole + *fraction;
}

std::string to_amz_date(WallTime time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(std::chrono::floor<std::chrono::seconds>(time - day));
  return fmt::format("{:04}{:02}{:02}T{:02}{:02}{:02}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     clock.hours().count(), clock.minutes().count(), clock.seconds().count());
}

}  // namespace spillway::s3
