// What the simulated engine runs in, and what is to go wrong: see engine_simulation.h.
#pragma once

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string_view>

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
  // `unheard`: the call is carried out, and its answer is lost.
  enum class Kind : std::uint8_t { refused, unheard } kind = Kind::refused;
  bool for_ever = false;
};

}  // namespace spillway::testing
