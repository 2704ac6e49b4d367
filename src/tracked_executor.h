// An Executor that knows which jobs are its own: whoever destroys what its jobs refer to can wait
// for them first, while other users of the same threads go on.
#pragma once

#include <memory>
#include <utility>

#include "src/guarded.h"

namespace spillway {

class TrackedExecutor final : public Executor {
 public:
  explicit TrackedExecutor(Executor& base)
      : base_(base), state_(std::make_shared<Guarded<State>>(base)) {}
  ~TrackedExecutor() override { stop(); }

  void submit(Job job) override {
    ++state_->lock()->running;
    base_.submit([state = state_, job = std::move(job)]() mutable { run(*state, job); });
  }

  void submit_at(Instant when, Job job) override {
    base_.submit_at(when, [state = state_, job = std::move(job)]() mutable {
      {
        auto locked = state->lock();
        if (locked->is_stopped) return;
        ++locked->running;
      }
      run(*state, job);
    });
  }

  std::unique_ptr<Monitor> make_monitor() override { return base_.make_monitor(); }
  [[nodiscard]] const Clock& clock() const override { return base_.clock(); }

  // From here on timers do nothing when they are due. Returns when every job has ended.
  void stop() {
    auto locked = state_->lock();
    locked->is_stopped = true;
    locked.wait([&] { return locked->running == 0; });
  }

 private:
  struct State {
    std::size_t running = 0;
    bool is_stopped = false;
  };

  static void run(Guarded<State>& state, Job& job) {
    struct Ended {
      Guarded<State>& state;
      ~Ended() {
        auto locked = state.lock();
        --locked->running;
        locked.notify_all();
      }
    } ended{state};
    job();
    job = nullptr;  // what it holds goes before the count
  }

  Executor& base_;
  std::shared_ptr<Guarded<State>> state_;
};

}  // namespace spillway
