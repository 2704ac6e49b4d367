// How much the shadow may hold: --shadow-limit over what it stores, and a reserve of the disk's free
// space that it leaves to others and to its own journal. Any thread.
#pragma once

#include <cstdint>
#include <string>

#include "src/disk.h"
#include "src/guarded.h"

namespace spillway {

class ShadowSpace {
 public:
  // limit 0: none. `disk` and `executor` outlive it.
  ShadowSpace(Disk& disk, Executor& executor, std::uint64_t limit, std::uint64_t reserve)
      : disk_(disk), limit_(limit), reserve_(reserve), state_(executor) {}

  // For bytes about to be written. ENOSPC, with a detail that says whose limit and where.
  Result<> take(std::uint64_t bytes);
  // For bytes that take no room on the disk yet count: holes.
  Result<> take_within_limit(std::uint64_t bytes);
  // For bytes that are there anyway.
  void count(std::uint64_t bytes);
  void give_back(std::uint64_t bytes);

  [[nodiscard]] std::uint64_t taken();

 private:
  struct State {
    std::uint64_t taken = 0;
    std::uint64_t credit = 0;  // may be written before the disk is asked again
  };

  [[nodiscard]] Result<> check_limit(const State& state, std::uint64_t bytes) const;
  Result<> renew_credit(Guarded<State>::Locked& state, std::uint64_t bytes);

  Disk& disk_;
  const std::uint64_t limit_;
  const std::uint64_t reserve_;
  Guarded<State> state_;
};

}  // namespace spillway
