// The only place that names threads. Code that needs work done elsewhere, or later, or that waits
// for another thread, takes an Executor&; a simulation gives it one that runs a single thread at
// a time in an order drawn from a seed, with a clock of its own.
#pragma once

#include <functional>
#include <memory>

#include "src/clock.h"

namespace spillway {

// A mutex and a condition in one. Not recursive. Prefer Guarded<T> (src/guarded.h).
class Monitor {
 public:
  virtual ~Monitor() = default;
  virtual void lock() = 0;
  virtual void unlock() = 0;
  // The caller holds the lock; it is released while waiting and held again on return. Wakes
  // spuriously. wait_until() returns false once `deadline` has passed.
  virtual void wait() = 0;
  virtual bool wait_until(Instant deadline) = 0;
  virtual void notify_all() = 0;
};

class Executor {
 public:
  using Job = std::function<void()>;

  // Waits for every job that was submitted and is due; drops the ones whose time has not come.
  virtual ~Executor() = default;

  // Runs `job` on a worker thread, soon. Any thread may call; never blocks; jobs may block, and do
  // not delay each other up to the executor's number of workers. A job must not throw.
  virtual void submit(Job job) = 0;

  // The same, not before `when`.
  virtual void submit_at(Instant when, Job job) = 0;

  [[nodiscard]] virtual std::unique_ptr<Monitor> make_monitor() = 0;
  [[nodiscard]] virtual const Clock& clock() const = 0;
};

// Real threads, started as they are needed, at most `workers` of them, and one for the timers.
[[nodiscard]] std::unique_ptr<Executor> make_thread_executor(std::size_t workers);

}  // namespace spillway
