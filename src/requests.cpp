#include "src/requests.h"

namespace spillway {
namespace {

// A number that looks random, from one that counts (Steele, Lea and Flood's SplitMix64).
std::uint64_t mix(std::uint64_t number) {
  number = (number ^ (number >> 30U)) * 0xbf58476d1ce4e5b9U;
  number = (number ^ (number >> 27U)) * 0x94d049bb133111ebU;
  return number ^ (number >> 31U);
}
constexpr std::uint64_t kStep = 0x9e3779b97f4a7c15U;

}  // namespace

// The seed comes from the executor's clock, so that a simulation can be run again.
Requests::Requests(ObjectStore& store, Executor& executor, const Settings& settings)
    : store_(store),
      executor_(executor),
      settings_(settings),
      breaker_(executor, settings.cooldown),
      random_(static_cast<std::uint64_t>(executor.clock().now().time_since_epoch().count())) {}

Error Requests::cancelled() {
  Error error;
  error.code = ErrorCode::interrupted;
  error.detail = "stopped before B2 had answered";
  return error;
}

std::optional<Error> Requests::admit(Attempt& attempt) {
  if (attempt.stop.stop_requested()) return cancelled();
  const auto answer = breaker_.lock()->ask(executor_.clock().now());
  if (answer.gate == Breaker::Gate::refuse) {
    // The reason is that of another request: nothing of this one was sent.
    std::optional<Error> reason = answer.reason;
    if (reason && reason->cause == Cause::ambiguous) reason->cause = Cause::none;
    return reason;
  }
  attempt.probe = answer.gate == Breaker::Gate::probe;
  return std::nullopt;
}

Requests::Next Requests::after_failure(const RetryRule& rule, Attempt& attempt,
                                       const Error& error) {
  const Instant now = executor_.clock().now();
  if (++attempt.failures == 1) attempt.first_failure = now;
  attempt.in_doubt |= error.cause == Cause::ambiguous;
  const auto decision = decide(
      rule, error, {.failures = attempt.failures, .since_first = now - attempt.first_failure},
      mix(random_.fetch_add(kStep)));
  Next next = Next::give_up;
  if (attempt.stop.stop_requested()) {
    next = Next::cancelled;
  } else if (decision.retry && !attempt.probe) {
    next = sleep(decision.after, attempt.stop);
  }
  if (next == Next::cancelled && attempt.probe) breaker_.lock()->probe_abandoned();
  if (next == Next::give_up) give_up(attempt, error);
  return next;
}

Requests::Next Requests::sleep(Duration duration, const std::stop_token& stop) {
  const Instant end = executor_.clock().now() + duration;
  // Sleepers look at the stop with the lock held: none can miss both the stop and the wake-up. Made
  // before the lock is taken and gone after it is released, as it takes the lock itself.
  const std::stop_callback wake(stop, [this] { breaker_.lock().notify_all(); });
  auto breaker = breaker_.lock();
  const bool stopped = breaker.wait_until(end, [&] { return stop.stop_requested(); });
  return stopped ? Next::cancelled : Next::again;
}

void Requests::give_up(const Attempt& attempt, const Error& error) {
  auto breaker = breaker_.lock();
  if (error.cause != Cause::not_entitled) {
    breaker->failed(executor_.clock().now(), error);
  } else if (attempt.probe) {
    breaker->succeeded();
  }
}

// That the last try was surely refused says nothing of the ones before.
Error Requests::with_doubt(const Attempt& attempt, Error error) {
  if (attempt.in_doubt) error.cause = Cause::ambiguous;
  return error;
}

void Requests::succeeded() {
  breaker_.lock()->succeeded();
}

std::optional<Error> Requests::outage() {
  if (settings_.disabled) return settings_.disabled;
  return breaker_.lock()->reason();
}

void Requests::service_is_back() {
  breaker_.lock()->succeeded();
}

}  // namespace spillway
