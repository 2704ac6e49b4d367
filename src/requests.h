// Asks B2 on behalf of reads, lookups, listings and name operations: with retries as src/policy.h
// says, and with a breaker of their own, so that after one of them failed for as long as it may,
// the others fail at once with its error until the cool-down ends. Uploads don't come by here: they
// have src/upload.h.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <utility>

#include "src/executor.h"
#include "src/guarded.h"
#include "src/object_store.h"
#include "src/policy.h"

namespace spillway {

class Requests {
 public:
  struct Settings {
    RetryRule reading;  // reads, lookups, listings
    RetryRule naming;   // rename, unlink, mkdir: the kernel holds the directory
    Duration cooldown = std::chrono::seconds(15);
    std::optional<Error> disabled;  // local-only: every call fails with this, nothing is asked
  };

  Requests(ObjectStore& store, Executor& executor, const Settings& settings);

  // Calls `call(store, options)` until it is ok, or policy gives up; blocks. Any thread. The result
  // is the last call's. `not_found` and refusals are answers, not failures; so is `auth_error` for
  // want of a capability: the key works, and only this one operation can't be done. A call that is
  // stopped by cancel(), or by the caller's own `stop`, gives `interrupted`. `call` may run several
  // times.
  template <class Call>
  auto read(Call call, const std::stop_token& stop = {}) {
    return run(settings_.reading, call, stop);
  }
  template <class Call>
  auto name(Call call, const std::stop_token& stop = {}) {
    return run(settings_.naming, call, stop);
  }

  // Ends waits and calls under way, now and later: for the shutdown.
  void cancel() { stop_.request_stop(); }
  // The error that keeps the breaker open, if it is.
  [[nodiscard]] std::optional<Error> outage();
  // B2 answered somewhere else (an upload went through): no need to wait for the cool-down.
  void service_is_back();

 private:
  // Stops when one of two does.
  class EitherStop {
   public:
    EitherStop(const std::stop_token& one, const std::stop_token& other)
        : on_one_(one, Forward{&source_}), on_other_(other, Forward{&source_}) {}
    [[nodiscard]] std::stop_token token() const { return source_.get_token(); }

   private:
    struct Forward {
      std::stop_source* source;
      void operator()() const { source->request_stop(); }
    };
    std::stop_source source_;
    std::stop_callback<Forward> on_one_;
    std::stop_callback<Forward> on_other_;
  };

  template <class Call>
  auto run(const RetryRule& rule, Call& call, const std::stop_token& own_stop)
      -> decltype(call(std::declval<ObjectStore&>(), std::declval<const CallOptions&>())) {
    if (settings_.disabled) return fail(*settings_.disabled);
    const EitherStop stop(stop_.get_token(), own_stop);
    Attempt attempt{.stop = stop.token()};
    if (auto refused = admit(attempt)) return fail(*std::move(refused));
    while (true) {
      CallOptions options;
      options.fresh_connection = attempt.failures > 0;
      options.cancel = attempt.stop;
      auto result = call(store_, options);
      if (result.ok()) {
        succeeded();
        return result;
      }
      switch (after_failure(rule, attempt, result.error())) {
        case Next::again:
          break;
        case Next::give_up:
          return fail(with_doubt(attempt, std::move(result).error()));
        case Next::cancelled:
          return fail(with_doubt(attempt, cancelled()));
      }
    }
  }

  struct Attempt {
    std::stop_token stop;
    int failures = 0;
    Instant first_failure{};
    bool probe = false;    // a probe is not retried
    bool in_doubt = false;  // an earlier try may have been carried out
  };
  // The breaker's error, when it refuses; `interrupted` after a stop.
  std::optional<Error> admit(Attempt& attempt);
  enum class Next : std::uint8_t { again, give_up, cancelled };
  // Counts the failure and sleeps as policy says; with give_up the breaker knows.
  Next after_failure(const RetryRule& rule, Attempt& attempt, const Error& error);
  Next sleep(Duration duration, const std::stop_token& stop);
  void give_up(const Attempt& attempt, const Error& error);
  [[nodiscard]] static Error with_doubt(const Attempt& attempt, Error error);
  void succeeded();
  [[nodiscard]] static Error cancelled();

  ObjectStore& store_;
  Executor& executor_;
  const Settings settings_;
  std::stop_source stop_;
  Guarded<Breaker> breaker_;
  std::atomic<std::uint64_t> random_;
};

}  // namespace spillway
