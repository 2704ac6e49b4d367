#include "src/clock.h"

#include <spdlog/fmt/fmt.h>

namespace spillway {
namespace {

class SystemClock final : public Clock {
 public:
  // The executor hands these instants to std::condition_variable as steady_clock's: same origin.
  [[nodiscard]] Instant now() const override {
    return Instant(std::chrono::steady_clock::now().time_since_epoch());
  }
  [[nodiscard]] WallTime wall() const override { return std::chrono::system_clock::now(); }
};

}  // namespace

const Clock& system_clock() {
  static const SystemClock clock;
  return clock;
}

std::string to_rfc3339(WallTime time) {
  const auto in_milliseconds = std::chrono::floor<std::chrono::milliseconds>(time);
  const auto day = std::chrono::floor<std::chrono::days>(in_milliseconds);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(in_milliseconds - day);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     clock.hours().count(), clock.minutes().count(), clock.seconds().count(),
                     clock.subseconds().count());
}

}  // namespace spillway
