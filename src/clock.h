// The only place that names clocks. Code that needs the time takes a Clock&, so that a test can
// give it one that stands still, jumps or is wrong.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace spillway {

using Duration = std::chrono::nanoseconds;

// Monotonic time: for intervals, deadlines and back-off. Its origin means nothing.
struct MonotonicTime {
  using duration = Duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<MonotonicTime>;
  static constexpr bool is_steady = true;
};
using Instant = MonotonicTime::time_point;

// Time of day, nanoseconds since 1970 UTC: for mtimes, signatures and the log. May jump.
using WallTime = std::chrono::sys_time<std::chrono::nanoseconds>;

class Clock {
 public:
  virtual ~Clock() = default;
  // Both may be called from any thread.
  [[nodiscard]] virtual Instant now() const = 0;
  [[nodiscard]] virtual WallTime wall() const = 0;
};

// The system's clocks. Lives for the whole program.
[[nodiscard]] const Clock& system_clock();

// "2026-11-22T14:24:59.123Z"
[[nodiscard]] std::string to_rfc3339(WallTime time);

[[nodiscard]] inline std::int64_t to_milliseconds(Duration duration) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

}  // namespace spillway
