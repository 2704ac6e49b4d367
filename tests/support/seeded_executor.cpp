#include "tests/support/seeded_executor.h"

#include <algorithm>
#include <utility>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

namespace spillway::testing {
namespace {

constexpr std::size_t kStackBytes = 512U << 10U;

// Stacks outlive executors: a simulation makes many of these, one after the other.
std::vector<std::unique_ptr<std::byte[]>>& spare_stacks() {
  thread_local std::vector<std::unique_ptr<std::byte[]>> stacks;
  return stacks;
}

std::unique_ptr<std::byte[]> take_stack() {
  auto& spare = spare_stacks();
  if (spare.empty()) return std::unique_ptr<std::byte[]>(new std::byte[kStackBytes]);
  auto stack = std::move(spare.back());
  spare.pop_back();
  return stack;
}

}  // namespace

struct SeededExecutor::Fiber {
  SeededExecutor* executor = nullptr;
  ucontext_t context{};
  std::unique_ptr<std::byte[]> stack = take_stack();
  Job job;
  bool is_ready = false;
  bool timed_out = false;
  std::uint64_t waits = 0;  // so that an old timer knows that its wait is over
  void* fake_stack = nullptr;
};

namespace {

// ASan has to be told of every switch of stacks.
void before_switch([[maybe_unused]] void** save, [[maybe_unused]] const void* stack,
                   [[maybe_unused]] std::size_t size) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(save, stack, size);
#endif
}

#if defined(__SANITIZE_ADDRESS__)
const void* main_stack = nullptr;
std::size_t main_stack_size = 0;
#endif

void after_switch_to_fiber([[maybe_unused]] void* saved) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(saved, &main_stack, &main_stack_size);
#endif
}

void after_switch_to_main([[maybe_unused]] void* saved) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(saved, nullptr, nullptr);
#endif
}

}  // namespace

class SeededMonitor final : public Monitor {
 public:
  explicit SeededMonitor(SeededExecutor& executor) : executor_(executor) {}

  void lock() override {
    while (is_locked_) {
      lockers_.push_back(executor_.current_);
      executor_.block(*executor_.current_);
    }
    is_locked_ = true;
  }
  void unlock() override {
    is_locked_ = false;
    wake_all(lockers_);
  }
  void wait() override {
    waiters_.push_back(executor_.current_);
    unlock();
    executor_.block(*executor_.current_);
    lock();
  }
  bool wait_until(Instant deadline) override {
    SeededExecutor::Fiber& self = *executor_.current_;
    waiters_.push_back(&self);
    unlock();
    self.timed_out = false;
    executor_.block_until(deadline);
    const bool in_time = !self.timed_out;
    std::erase(waiters_, &self);
    lock();
    return in_time;
  }
  void notify_all() override { wake_all(waiters_); }

 private:
  void wake_all(std::vector<SeededExecutor::Fiber*>& fibers) {
    for (auto* fiber : std::exchange(fibers, {})) executor_.wake(*fiber);
  }

  SeededExecutor& executor_;
  bool is_locked_ = false;
  std::vector<SeededExecutor::Fiber*> lockers_;
  std::vector<SeededExecutor::Fiber*> waiters_;
};

SeededExecutor::SeededExecutor(std::uint64_t seed, Duration start) : generator_(seed) {
  clock_.time = start;
}

SeededExecutor::~SeededExecutor() {
  for (auto& fiber : fibers_) {
    fiber->job = nullptr;
    spare_stacks().push_back(std::move(fiber->stack));
  }
}

std::unique_ptr<Monitor> SeededExecutor::make_monitor() {
  return std::make_unique<SeededMonitor>(*this);
}

SeededExecutor::Fiber* SeededExecutor::idle_fiber() {
  if (idle_.empty()) {
    Fiber* fiber = fibers_.emplace_back(std::make_unique<Fiber>()).get();
    fiber->executor = this;
    return fiber;
  }
  Fiber* fiber = idle_.back();
  idle_.pop_back();
  return fiber;
}

SeededExecutor::Fiber* SeededExecutor::new_fiber(Job job) {
  ++live_;
  Fiber* const fiber = idle_fiber();
  fiber->job = std::move(job);
  getcontext(&fiber->context);
  fiber->context.uc_stack.ss_sp = fiber->stack.get();
  fiber->context.uc_stack.ss_size = kStackBytes;
  fiber->context.uc_link = nullptr;
  const auto address = reinterpret_cast<std::uintptr_t>(fiber);
  makecontext(&fiber->context, reinterpret_cast<void (*)()>(&SeededExecutor::enter), 2,
              static_cast<unsigned>(address >> 32U), static_cast<unsigned>(address));
  return fiber;
}

void SeededExecutor::enter(unsigned high, unsigned low) {
  const auto address = (std::uintptr_t{high} << 32U) | low;
  auto* fiber = reinterpret_cast<Fiber*>(address);
  after_switch_to_fiber(nullptr);
  fiber->job();
  fiber->job = nullptr;
  ++fiber->waits;
  SeededExecutor& executor = *fiber->executor;
  --executor.live_;
  executor.idle_.push_back(fiber);
  before_switch(nullptr,
#if defined(__SANITIZE_ADDRESS__)
                main_stack, main_stack_size
#else
                nullptr, 0
#endif
  );
  setcontext(&executor.scheduler_);
}

void SeededExecutor::submit(Job job) {
  if (!crashed_) wake(*new_fiber(std::move(job)));
}

void SeededExecutor::submit_at(Instant when, Job job) {
  if (!crashed_) timers_.emplace(std::max(when, clock_.now()), std::move(job));
}

void SeededExecutor::run(Job job) {
  submit(std::move(job));
  while (!crashed_) {
    if (ready_.empty() && !wake_next_timer()) {
      if (live_ == 0) return;
      throw Deadlock(std::to_string(live_) + " fibers wait for something that nobody does");
    }
    const std::size_t chosen = random_below(ready_.size());
    Fiber* fiber = ready_[chosen];
    ready_[chosen] = ready_.back();
    ready_.pop_back();
    fiber->is_ready = false;
    resume(*fiber);
  }
}

void SeededExecutor::resume(Fiber& fiber) {
  current_ = &fiber;
  void* saved = nullptr;
  before_switch(&saved, fiber.stack.get(), kStackBytes);
  swapcontext(&scheduler_, &fiber.context);
  after_switch_to_main(saved);
  current_ = nullptr;
}

void SeededExecutor::switch_to_scheduler() {
  Fiber& self = *current_;
  before_switch(&self.fake_stack,
#if defined(__SANITIZE_ADDRESS__)
                main_stack, main_stack_size
#else
                nullptr, 0
#endif
  );
  swapcontext(&self.context, &scheduler_);
  after_switch_to_fiber(self.fake_stack);
}

void SeededExecutor::block(Fiber& fiber) {
  ++fiber.waits;
  switch_to_scheduler();
}

void SeededExecutor::block_until(Instant deadline) {
  Fiber& self = *current_;
  ++self.waits;
  sleepers_.emplace(deadline, std::pair(&self, self.waits));
  switch_to_scheduler();
}

void SeededExecutor::wake(Fiber& fiber) {
  if (fiber.is_ready) return;
  fiber.is_ready = true;
  ++fiber.waits;
  ready_.push_back(&fiber);
}

// Time passes to the next sleeper or timer. false: there is none.
bool SeededExecutor::wake_next_timer() {
  while (!sleepers_.empty() &&
         sleepers_.begin()->second.first->waits != sleepers_.begin()->second.second) {
    sleepers_.erase(sleepers_.begin());  // was woken before its time
  }
  const bool has_sleeper = !sleepers_.empty();
  const bool has_timer = !timers_.empty();
  if (!has_sleeper && !has_timer) return false;
  if (has_sleeper && (!has_timer || sleepers_.begin()->first <= timers_.begin()->first)) {
    const auto first = sleepers_.begin();
    clock_.time = std::max(clock_.time, first->first.time_since_epoch());
    Fiber* fiber = first->second.first;
    sleepers_.erase(first);
    fiber->timed_out = true;
    wake(*fiber);
    return true;
  }
  const auto first = timers_.begin();
  clock_.time = std::max(clock_.time, first->first.time_since_epoch());
  Job job = std::move(first->second);
  timers_.erase(first);
  wake(*new_fiber(std::move(job)));
  return true;
}

void SeededExecutor::sleep(Duration duration) {
  block_until(clock_.now() + duration);
}

void SeededExecutor::crash() {
  crashed_ = true;
  ready_.clear();
  timers_.clear();
  sleepers_.clear();
  if (current_ != nullptr) switch_to_scheduler();
}

}  // namespace spillway::testing
