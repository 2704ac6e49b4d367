// An Executor for simulations: every job is a fiber of one real thread, the next one to run is drawn
// from a seed wherever a fiber waits, sleeps or ends, and time is a number that jumps to the next
// timer when nobody can run. The same seed gives the same run. A wait that nobody can satisfy is
// reported as a deadlock instead of hanging.
#pragma once

#include <ucontext.h>

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "src/executor.h"

namespace spillway::testing {

// Thrown by run() when fibers wait and nothing can wake them.
class Deadlock : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class SeededExecutor final : public Executor {
 public:
  // `start`: what the clock says at first.
  explicit SeededExecutor(std::uint64_t seed, Duration start = {});
  ~SeededExecutor() override;

  // Runs `job` and all that it submits until nothing is left to run now or later. Timers that are
  // due after `job` has returned are run too, in their simulated time.
  void run(Job job);

  void submit(Job job) override;
  void submit_at(Instant when, Job job) override;
  std::unique_ptr<Monitor> make_monitor() override;
  const Clock& clock() const override { return clock_; }

  // Of the fiber that calls it. sleep(0) lets others run.
  void sleep(Duration duration);
  [[nodiscard]] std::uint64_t random() { return generator_(); }
  // Evenly from [0, limit).
  [[nodiscard]] std::uint64_t random_below(std::uint64_t limit) { return generator_() % limit; }
  // Ends everything, as a crash of the process does: fibers are dropped where they wait, and nothing
  // of theirs is destroyed. What they hold leaks: run crashes in processes that end soon. Called
  // from within a fiber it does not return.
  void crash();
  [[nodiscard]] bool has_crashed() const { return crashed_; }
  // Jobs and timers submitted and not ended.
  [[nodiscard]] std::size_t unfinished() const { return live_; }

 private:
  friend class SeededMonitor;
  struct Fiber;
  class ManualClock final : public Clock {
   public:
    Instant now() const override { return Instant(time); }
    WallTime wall() const override {
      return WallTime(std::chrono::seconds(1'790'000'000)) + time;
    }
    Duration time{};
  };

  Fiber* idle_fiber();
  Fiber* new_fiber(Job job);
  static void enter(unsigned high, unsigned low);
  void schedule();                // from a fiber: gives the turn away; returns when it is back
  void block(Fiber& fiber);       // not ready until woken
  void wake(Fiber& fiber);
  void block_until(Instant deadline);
  bool wake_next_timer();
  void resume(Fiber& fiber);
  void switch_to_scheduler();

  std::mt19937_64 generator_;
  ManualClock clock_;
  ucontext_t scheduler_{};
  Fiber* current_ = nullptr;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<Fiber*> ready_;
  std::vector<Fiber*> idle_;
  std::multimap<Instant, std::pair<Fiber*, std::uint64_t>> sleepers_;
  std::multimap<Instant, Job> timers_;
  std::size_t live_ = 0;
  bool crashed_ = false;
};

}  // namespace spillway::testing
