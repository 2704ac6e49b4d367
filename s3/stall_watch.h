// Notices when a count of bytes stands still for too long. Pure.
#pragma once

#include <cstdint>
#include <optional>

#include "src/clock.h"

namespace spillway::s3 {

class StallWatch {
 public:
  StallWatch(Duration stall, Instant now) : stall_(stall), looked_at_(now), moved_at_(now) {}

  // How often to look, 10 ms to 1 s: counting costs a system call.
  [[nodiscard]] Duration interval() const;
  [[nodiscard]] bool is_due(Instant now) const { return now - looked_at_ >= interval(); }

  // Whether `count` has been the same for longer than the stall. Without a count (nothing has been
  // sent yet) time does not run.
  [[nodiscard]] bool is_stalled(Instant now, std::optional<std::uint64_t> count);

 private:
  Duration stall_;
  Instant looked_at_;
  Instant moved_at_;
  std::optional<std::uint64_t> count_;
};

}  // namespace spillway::s3
