#include "tests/support/manual_executor.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <utility>
#include <vector>

namespace spillway {
namespace {

struct MonitorCore {
  std::mutex mutex;
  std::condition_variable changed;
};

}  // namespace

struct ManualExecutor::Time final : Clock {
  [[nodiscard]] Instant now() const override {
    const std::lock_guard held(mutex);
    return now_;
  }
  // Time of day and monotonic time move together, from some day in 2026.
  [[nodiscard]] WallTime wall() const override {
    return WallTime(std::chrono::hours(24 * 365 * 56)) + now().time_since_epoch();
  }

  mutable std::mutex mutex;
  Instant now_{std::chrono::hours(1)};
  std::multiset<Instant> deadlines;  // of threads that wait
  std::multimap<Instant, Job> timers;
  std::vector<std::weak_ptr<MonitorCore>> monitors;
};

namespace {

template <class Time>
class ManualMonitor final : public Monitor {
 public:
  explicit ManualMonitor(std::shared_ptr<Time> time)
      : time_(std::move(time)), core_(std::make_shared<MonitorCore>()) {
    const std::lock_guard held(time_->mutex);
    std::erase_if(time_->monitors, [](const auto& monitor) { return monitor.expired(); });
    time_->monitors.push_back(core_);
  }
  void lock() override { core_->mutex.lock(); }
  void unlock() override { core_->mutex.unlock(); }
  void wait() override {
    std::unique_lock held(core_->mutex, std::adopt_lock);
    core_->changed.wait(held);
    held.release();
  }
  bool wait_until(Instant deadline) override {
    std::multiset<Instant>::iterator place;
    {
      const std::lock_guard held(time_->mutex);
      if (time_->now_ >= deadline) return false;
      place = time_->deadlines.insert(deadline);
    }
    wait();
    const std::lock_guard held(time_->mutex);
    time_->deadlines.erase(place);
    return time_->now_ < deadline;
  }
  void notify_all() override { core_->changed.notify_all(); }

 private:
  std::shared_ptr<Time> time_;
  std::shared_ptr<MonitorCore> core_;
};

}  // namespace

ManualExecutor::ManualExecutor(std::size_t workers)
    : time_(std::make_shared<Time>()), threads_(make_thread_executor(workers)) {}

// Timers that never came hold what they would have run, which may hold this time.
ManualExecutor::~ManualExecutor() {
  threads_.reset();
  std::multimap<Instant, Job> undone;
  const std::lock_guard held(time_->mutex);
  undone.swap(time_->timers);
}

void ManualExecutor::submit(Job job) {
  threads_->submit(std::move(job));
}

void ManualExecutor::submit_at(Instant when, Job job) {
  {
    const std::lock_guard held(time_->mutex);
    if (when > time_->now_) {
      time_->timers.emplace(when, std::move(job));
      return;
    }
  }
  submit(std::move(job));
}

std::unique_ptr<Monitor> ManualExecutor::make_monitor() {
  return std::make_unique<ManualMonitor<Time>>(time_);
}

const Clock& ManualExecutor::clock() const {
  return *time_;
}

void ManualExecutor::step(Duration duration) {
  std::vector<Job> due;
  std::vector<std::weak_ptr<MonitorCore>> monitors;
  {
    const std::lock_guard held(time_->mutex);
    time_->now_ += duration;
    const auto end = time_->timers.upper_bound(time_->now_);
    for (auto timer = time_->timers.begin(); timer != end; ++timer) {
      due.push_back(std::move(timer->second));
    }
    time_->timers.erase(time_->timers.begin(), end);
    monitors = time_->monitors;
  }
  for (auto& job : due) submit(std::move(job));
  for (const auto& monitor : monitors) {
    const auto core = monitor.lock();
    if (!core) continue;
    // With the lock: a thread that has looked at the old time waits by now.
    const std::lock_guard held(core->mutex);
    core->changed.notify_all();
  }
}

std::optional<Instant> ManualExecutor::next_deadline() const {
  const std::lock_guard held(time_->mutex);
  std::optional<Instant> next;
  if (!time_->deadlines.empty()) next = *time_->deadlines.begin();
  if (!time_->timers.empty()) {
    next = std::min(next.value_or(Instant::max()), time_->timers.begin()->first);
  }
  return next;
}

void ManualExecutor::pass_time_during(const std::function<void()>& work) {
  std::atomic<bool> done = false;
  const std::jthread worker([&] {
    work();
    done = true;
  });
  while (!done) {
    const auto next = next_deadline();
    if (next && *next > time_->now()) {
      step(*next - time_->now());
    } else {
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
  }
}

}  // namespace spillway
