// The only way this program shares data between threads: a value that can be reached only with
// its lock held.
#pragma once

#include <memory>
#include <utility>

#include "src/executor.h"

namespace spillway {

template <class T>
class Guarded {
 public:
  template <class... Arguments>
  explicit Guarded(Executor& executor, Arguments&&... arguments)
      : monitor_(executor.make_monitor()), value_(std::forward<Arguments>(arguments)...) {}

  // Access to the value for as long as it lives. Move-only; unlocks when it goes.
  class Locked {
   public:
    explicit Locked(Guarded& owner) : owner_(&owner) { owner_->monitor_->lock(); }
    Locked(Locked&& other) noexcept : owner_(std::exchange(other.owner_, nullptr)) {}
    Locked& operator=(Locked&&) = delete;
    ~Locked() {
      if (owner_ != nullptr) owner_->monitor_->unlock();
    }

    T* operator->() { return &owner_->value_; }
    T& operator*() { return owner_->value_; }

    // Releases the lock until `condition()` holds; somebody must notify_all() after making it so.
    template <class Condition>
    void wait(Condition condition) {
      while (!condition()) owner_->monitor_->wait();
    }
    // The same, but gives up at `deadline`; returns condition() as it was then.
    template <class Condition>
    bool wait_until(Instant deadline, Condition condition) {
      while (!condition()) {
        if (!owner_->monitor_->wait_until(deadline)) return condition();
      }
      return true;
    }
    void notify_all() { owner_->monitor_->notify_all(); }

    // For a call that must not be made with the lock held: runs `call` with the lock released.
    template <class Call>
    auto unlocked(Call call) {
      struct Relock {
        Monitor* monitor;
        ~Relock() { monitor->lock(); }
      } relock{owner_->monitor_.get()};
      owner_->monitor_->unlock();
      return call();
    }

   private:
    Guarded* owner_;
  };

  [[nodiscard]] Locked lock() { return Locked(*this); }

 private:
  std::unique_ptr<Monitor> monitor_;
  T value_;
};

}  // namespace spillway
