#include "src/executor.h"

#include <algorithm>
#include <condition_variable>
#include <csignal>
#include <deque>
#include <map>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace spillway {
namespace {

std::chrono::steady_clock::time_point to_steady(Instant instant) {
  return std::chrono::steady_clock::time_point(instant.time_since_epoch());
}

class ThreadMonitor final : public Monitor {
 public:
  void lock() override { mutex_.lock(); }
  void unlock() override { mutex_.unlock(); }
  void wait() override {
    std::unique_lock held(mutex_, std::adopt_lock);
    changed_.wait(held);
    held.release();
  }
  bool wait_until(Instant deadline) override {
    std::unique_lock held(mutex_, std::adopt_lock);
    const auto outcome = changed_.wait_until(held, to_steady(deadline));
    held.release();
    return outcome == std::cv_status::no_timeout;
  }
  void notify_all() override { changed_.notify_all(); }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
};

// Signals belong to the threads that wait for requests; a worker that took one would have its
// system calls interrupted in the middle of a job.
void block_signals() {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
}

class ThreadExecutor final : public Executor {
 public:
  explicit ThreadExecutor(std::size_t workers) : limit_(std::max<std::size_t>(workers, 1)) {}
  ~ThreadExecutor() override;
  ThreadExecutor(const ThreadExecutor&) = delete;
  ThreadExecutor& operator=(const ThreadExecutor&) = delete;

  void submit(Job job) override;
  void submit_at(Instant when, Job job) override;
  [[nodiscard]] std::unique_ptr<Monitor> make_monitor() override {
    return std::make_unique<ThreadMonitor>();
  }
  [[nodiscard]] const Clock& clock() const override { return system_clock(); }

 private:
  void enqueue_locked(Job job);
  void move_due_locked();
  void work();
  void keep_time();
  void stop_timer();

  const std::size_t limit_;
  std::mutex mutex_;
  std::condition_variable work_;       // a job is queued, or finished_ was set
  std::condition_variable timer_;      // an earlier timer was set, or draining_
  std::condition_variable all_quiet_;  // no job queued or running
  std::deque<Job> queue_;
  std::multimap<Instant, Job> timers_;
  std::vector<std::thread> workers_;
  std::thread timekeeper_;
  std::size_t idle_ = 0;   // workers that wait for work_
  bool draining_ = false;  // timers no longer fire
  bool finished_ = false;  // workers go home
};

void ThreadExecutor::submit(Job job) {
  const std::lock_guard held(mutex_);
  enqueue_locked(std::move(job));
}

void ThreadExecutor::submit_at(Instant when, Job job) {
  std::unique_lock held(mutex_);
  if (when <= clock().now()) return enqueue_locked(std::move(job));
  if (draining_) {
    // The job's captures are destroyed without the lock: they may submit in turn.
    held.unlock();
    return;
  }
  timers_.emplace(when, std::move(job));
  if (!timekeeper_.joinable()) timekeeper_ = std::thread([this] { keep_time(); });
  timer_.notify_one();
}

// A worker that was woken but has not run yet still counts as idle, so idle ones are compared with
// the jobs waiting, not with zero: else two jobs in a row could be left to one worker.
void ThreadExecutor::enqueue_locked(Job job) {
  queue_.push_back(std::move(job));
  if (queue_.size() > idle_ && workers_.size() < limit_) {
    try {
      workers_.emplace_back([this] { work(); });
    } catch (const std::system_error&) {
      // Out of threads: fewer workers do the same jobs, later. With none at all nothing would.
      if (workers_.empty()) throw;
    }
  }
  work_.notify_one();
}

void ThreadExecutor::work() {
  block_signals();
  std::unique_lock held(mutex_);
  while (true) {
    ++idle_;
    if (queue_.empty() && idle_ == workers_.size()) all_quiet_.notify_all();
    work_.wait(held, [this] { return finished_ || !queue_.empty(); });
    --idle_;
    if (queue_.empty()) return;
    Job job = std::move(queue_.front());
    queue_.pop_front();
    held.unlock();
    job();
    job = nullptr;
    held.lock();
  }
}

void ThreadExecutor::move_due_locked() {
  const auto end = timers_.upper_bound(clock().now());
  for (auto timer = timers_.begin(); timer != end; timer = timers_.erase(timer)) {
    enqueue_locked(std::move(timer->second));
  }
}

void ThreadExecutor::keep_time() {
  block_signals();
  std::unique_lock held(mutex_);
  while (!draining_) {
    move_due_locked();
    if (timers_.empty()) {
      timer_.wait(held);
    } else {
      timer_.wait_until(held, to_steady(timers_.begin()->first));
    }
  }
}

void ThreadExecutor::stop_timer() {
  {
    const std::lock_guard held(mutex_);
    draining_ = true;
    move_due_locked();
    timer_.notify_all();
  }
  if (timekeeper_.joinable()) timekeeper_.join();
  // Destroyed here, without the lock and while workers still run: captures may submit in turn.
  std::multimap<Instant, Job> dropped;
  const std::lock_guard held(mutex_);
  dropped.swap(timers_);
}

ThreadExecutor::~ThreadExecutor() {
  stop_timer();
  {
    // Jobs may submit jobs, which may need a worker more: nobody goes home until all is quiet.
    std::unique_lock held(mutex_);
    all_quiet_.wait(held, [this] { return queue_.empty() && idle_ == workers_.size(); });
    finished_ = true;
    work_.notify_all();
  }
  for (auto& worker : workers_) worker.join();
}

}  // namespace

std::unique_ptr<Executor> make_thread_executor(std::size_t workers) {
  return std::make_unique<ThreadExecutor>(workers);
}

}  // namespace spillway
