// What to do about an error of B2. Pure: time and chance are arguments.
#pragma once

#include <cstdint>
#include <optional>

#include "src/clock.h"
#include "src/error.h"

namespace spillway {

struct RetryRule {
  Duration retry_for = std::chrono::seconds(30);  // since the first failure; 0: never retry
  Duration first_delay = std::chrono::milliseconds(500);
  Duration longest_delay = std::chrono::seconds(8);
};

// One call's failures so far, counting the one being decided on.
struct FailureHistory {
  int failures = 0;
  Duration since_first{};
};

struct RetryDecision {
  bool retry = false;
  Duration after{};  // with retry
};

// Full jitter: the delay is drawn evenly from [0, first_delay * 2^(failures-1)], at most
// longest_delay, at least what the server asked for in Retry-After; the last try is made when
// retry_for ends. `busy` is tried again at once the first time. Codes that CONTRACT calls "once"
// are retried after the first failure only. `random` is any 64 random bits.
[[nodiscard]] RetryDecision decide(const RetryRule& rule, const Error& error,
                                   const FailureHistory& history, std::uint64_t random);

// Keeps an outage from costing every file the whole retry time. Closed, calls pass. A failure that
// means an outage opens it: calls are refused, with the error that opened it, until the cool-down
// has passed; then one call is the probe, and its result closes it or starts the next cool-down,
// twice as long, up to 20 s (5 min for cap_exceeded).
class Breaker {
 public:
  explicit Breaker(Duration cooldown) : cooldown_(cooldown), current_(cooldown) {}

  enum class Gate : std::uint8_t { pass, probe, refuse };
  struct Answer {
    Gate gate = Gate::pass;
    std::optional<Error> reason;  // with refuse and probe: what opened it
  };
  // A caller told `probe` must report its result, or call probe_abandoned().
  [[nodiscard]] Answer ask(Instant now);
  // true: it was open and is closed now.
  bool succeeded();
  // true: it was closed and is open now. Errors that do not mean an outage end a probe as a
  // success would: B2 answered. Errors that are no answer of B2's (local_error, interrupted)
  // abandon it.
  bool failed(Instant now, const Error& error);
  void probe_abandoned() { probing_ = false; }
  // Opens it at once, from outside: the start found B2 not well.
  void open(Instant now, const Error& error);

  // Lets the next caller be the probe at once.
  void end_cooldown(Instant now) { next_probe_ = now; }

  [[nodiscard]] bool is_open() const { return reason_.has_value(); }
  [[nodiscard]] const std::optional<Error>& reason() const { return reason_; }
  // When the next probe may go; meaningful while open.
  [[nodiscard]] Instant next_probe() const { return next_probe_; }

 private:
  Duration cooldown_;
  Duration current_;
  std::optional<Error> reason_;
  Instant next_probe_{};
  bool probing_ = false;
};

}  // namespace spillway
