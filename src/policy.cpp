#include "src/policy.h"

#include <algorithm>

namespace spillway {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

enum class Retried : std::uint8_t { never, once, while_time_remains };

// The column "retried" of the contract's table of errors.
Retried retried(const Error& error) {
  switch (error.code) {
    case ErrorCode::network_error:
      return error.cause == Cause::certificate ? Retried::never : Retried::while_time_remains;
    case ErrorCode::timeout:
    case ErrorCode::rate_limited:
    case ErrorCode::server_error:
      return Retried::while_time_remains;
    case ErrorCode::clock_skew:
    case ErrorCode::checksum_mismatch:
      return Retried::once;
    default:
      return Retried::never;
  }
}

Duration longest_jitter(const RetryRule& rule, int failures) {
  Duration delay = rule.first_delay;
  for (int i = 1; i < failures && delay < rule.longest_delay; ++i) delay *= 2;
  return std::clamp(delay, Duration::zero(), rule.longest_delay);
}

Duration jitter(const RetryRule& rule, const Error& error, int failures, std::uint64_t random) {
  // Another vault answers on a fresh connection: waiting gains nothing the first time.
  if (error.cause == Cause::busy && failures == 1) return Duration::zero();
  const auto longest = static_cast<std::uint64_t>(longest_jitter(rule, failures).count());
  return Duration(static_cast<Duration::rep>(random % (longest + 1)));
}

// Whether the error is B2's own word, as opposed to a call that never got one.
bool is_answer(ErrorCode code) {
  switch (code) {
    case ErrorCode::clock_skew:
    case ErrorCode::checksum_mismatch:
    case ErrorCode::not_found:
    case ErrorCode::too_large:
    case ErrorCode::invalid_request:
    case ErrorCode::stale:
      return true;
    default:
      return false;
  }
}

// A cap is raised by a person or by midnight, everything else may be back at any moment.
Duration longest_cooldown(ErrorCode code) {
  return code == ErrorCode::cap_exceeded ? Duration(minutes(5)) : Duration(seconds(20));
}

}  // namespace

RetryDecision decide(const RetryRule& rule, const Error& error, const FailureHistory& history,
                     std::uint64_t random) {
  const Retried kind = retried(error);
  const Duration left = rule.retry_for - history.since_first;
  if (kind == Retried::never || left <= Duration::zero()) return {};
  if (kind == Retried::once && history.failures > 1) return {};
  const Duration wished = std::max(jitter(rule, error, history.failures, random),
                                   error.retry_after.value_or(Duration::zero()));
  return {.retry = true, .after = std::min(wished, left)};
}

Breaker::Answer Breaker::ask(Instant now) {
  if (!reason_) return {};
  if (probing_ || now < next_probe_) return {.gate = Gate::refuse, .reason = reason_};
  probing_ = true;
  return {.gate = Gate::probe, .reason = reason_};
}

bool Breaker::succeeded() {
  const bool was_open = is_open();
  reason_.reset();
  current_ = cooldown_;
  probing_ = false;
  return was_open;
}

bool Breaker::failed(Instant now, const Error& error) {
  if (!means_outage(error.code)) {
    if (probing_ && is_answer(error.code)) succeeded();
    probing_ = false;
    return false;
  }
  if (!is_open()) {
    open(now, error);
    return true;
  }
  // Calls that began before it opened tell nothing new.
  if (!probing_) return false;
  // A cool-down that was configured longer than the usual end of the back-off stays as it is.
  current_ = std::min(current_ * 2, std::max(longest_cooldown(error.code), cooldown_));
  next_probe_ = now + current_;
  reason_ = error;
  probing_ = false;
  return false;
}

void Breaker::open(Instant now, const Error& error) {
  reason_ = error;
  current_ = cooldown_;
  next_probe_ = now + current_;
  probing_ = false;
}

}  // namespace spillway
