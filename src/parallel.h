// The same work for many things, several side by side.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <memory>
#include <utility>

#include "src/guarded.h"

namespace spillway {

// Calls `call(0)` … `call(count - 1)`, each once and in about that order, at most `at_once` at a
// time: some on jobs of the executor, and one after the other on the caller's own thread, so that it
// comes to an end when no worker is free. Returns when all calls have ended. Once a call gave false
// no further ones begin; the result says whether all were made and gave true.
inline bool in_parallel(Executor& executor, std::size_t count, std::size_t at_once,
                        const std::function<bool(std::size_t)>& call) {
  struct Work {
    std::size_t next = 0;
    std::size_t working = 0;
    bool went_well = true;
  };
  const auto shared = std::make_shared<Guarded<Work>>(executor);
  // A job that comes when nothing is left calls nothing: nobody has to wait for it, and `call` may be
  // gone by then.
  const auto work_off = [count, &call](Guarded<Work>& guarded) {
    auto work = guarded.lock();
    ++work->working;
    while (work->went_well && work->next < count) {
      const std::size_t mine = work->next++;
      const bool went_well = work.unlocked([&] { return call(mine); });
      work->went_well = work->went_well && went_well;
    }
    --work->working;
    work.notify_all();
  };
  for (std::size_t i = 1; i < std::min(at_once, count); ++i) {
    executor.submit([shared, work_off] { work_off(*shared); });
  }
  work_off(*shared);
  auto work = shared->lock();
  work.wait([&] { return work->working == 0; });
  return work->went_well;
}

}  // namespace spillway
