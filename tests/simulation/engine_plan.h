// What the simulated engine runs in, and what is to go wrong: see engine_simulation.h.
#pragma once

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string_view>
#include <utility>

#include "src/clock.h"
#include "src/error.h"
#include "src/log.h"
#include "tests/support/memory_disk.h"
#include "tests/support/memory_store.h"

namespace spillway::testing {

class CurrentClock final : public Clock {
 public:
  Instant now() const override { return clock->now(); }
  WallTime wall() const override { return clock->wall(); }
  const Clock* clock = nullptr;
};

// Tells on stderr what the engine says, for who replays a seed.
class TracingLog final : public Log {
 public:
  void event(Level, std::string_view event, Fields fields) override {
    constexpr auto kReplace = nlohmann::json::error_handler_t::replace;
    std::fprintf(stderr, "         log %.*s %s\n", static_cast<int>(event.size()), event.data(),
                 fields.dump(-1, ' ', false, kReplace).c_str());
  }
  void reopen() override {}
};

enum class Weather : std::uint8_t { fine, flaky, down };

// The nth call of a kind, or every one from it on, fails; nothing else does, and nothing crashes.
struct Plan {
  std::optional<StoreVerb> verb = {};
  std::optional<DiskCall> call = {};  // with B2 out for all
  std::uint64_t nth = 1;
  ErrorCode code = ErrorCode::network_error;
  int system_errno = EIO;
  // `unheard`: the call is carried out, and its answer is lost. `lost`: it is not carried out, and
  // from here that looks the same.
  enum class Kind : std::uint8_t { refused, unheard, lost } kind = Kind::refused;
  bool for_ever = false;
  // The next call of the verb is refused with this: a word of B2's own, which opens no breaker, and
  // leaves open what became of the one before.
  std::optional<ErrorCode> then = {};
};

// Counts the calls to B2 that a plan is about, and fails those that it means.
class PlannedFaults {
 public:
  explicit PlannedFaults(const std::optional<Plan>& plan) : plan_(plan) {}

  std::optional<Error> before(StoreVerb verb) {
    if (!plan_ || plan_->verb != verb) return std::nullopt;
    if (std::exchange(next_is_refused_, false)) return failure(*plan_->then, Cause::none);
    if (plan_->kind == Plan::Kind::refused) return count(Cause::none);
    return plan_->kind == Plan::Kind::lost ? count(Cause::ambiguous) : std::nullopt;
  }
  std::optional<Error> after(StoreVerb verb) {
    if (!plan_ || plan_->verb != verb || plan_->kind != Plan::Kind::unheard) return std::nullopt;
    return count(Cause::ambiguous);
  }
  // Whether the nth call was made at all.
  [[nodiscard]] bool has_met() const { return calls_ >= plan_->nth; }

 private:
  std::optional<Error> count(Cause cause) {
    ++calls_;
    const bool is_meant = plan_->for_ever ? calls_ >= plan_->nth : calls_ == plan_->nth;
    if (!is_meant) return std::nullopt;
    next_is_refused_ = plan_->then.has_value();
    return failure(plan_->code, cause);
  }
  static Error failure(ErrorCode code, Cause cause) {
    return {.code = code, .detail = "planned", .request_id = {}, .cause = cause, .retry_after = {}};
  }

  const std::optional<Plan> plan_;
  std::uint64_t calls_ = 0;
  bool next_is_refused_ = false;
};

}  // namespace spillway::testing
