// Signals as calls on a thread: nothing of ours runs inside a signal handler.
#pragma once

#include <functional>
#include <memory>

#include "src/executor.h"

namespace spillway::cli {

// For this thread and those it starts later: SIGINT, SIGTERM and SIGHUP wait for a SignalWatch,
// SIGPIPE is ignored. Call it before any thread is started.
void hold_signals();

// Whether one of them is waiting, for a command that has no watch and ends in order at the next
// good moment.
[[nodiscard]] bool is_asked_to_end();

class SignalWatch {
 public:
  // Returns once no call is under way, and none will come.
  virtual ~SignalWatch() = default;
};

struct SignalActions {
  std::function<void()> terminate;  // SIGINT, SIGTERM; each time
  std::function<void()> reload;     // SIGHUP
};

// The actions are called on one thread of the executor, one at a time. Expects hold_signals().
[[nodiscard]] std::unique_ptr<SignalWatch> watch_signals(SignalActions actions, Executor& executor);

}  // namespace spillway::cli
