// One operation at a time on a name: a commit, a rename, a delete and the drain of the same path
// take turns; other paths never wait.
#pragma once

#include <set>

#include "src/guarded.h"
#include "src/path.h"

namespace spillway {

class PathLocks {
 public:
  explicit PathLocks(Executor& executor) : held_(executor) {}

  class Held {
   public:
    Held(PathLocks& locks, Path path) : locks_(&locks), path_(std::move(path)) {}
    Held(Held&& other) noexcept
        : locks_(std::exchange(other.locks_, nullptr)), path_(std::move(other.path_)) {}
    Held& operator=(Held&&) = delete;
    ~Held() {
      if (locks_ == nullptr) return;
      auto held = locks_->held_.lock();
      held->erase(path_);
      held.notify_all();
    }

   private:
    PathLocks* locks_;
    Path path_;
  };

  // Waits until nobody holds the path. Who needs two takes the smaller one first: take_both().
  [[nodiscard]] Held take(const Path& path) {
    auto held = held_.lock();
    held.wait([&] { return !held->contains(path); });
    held->insert(path);
    return Held(*this, path);
  }
  // In an order that can't deadlock; the paths must differ.
  [[nodiscard]] std::pair<Held, Held> take_both(const Path& one, const Path& other) {
    Held first = take(std::min(one, other));
    Held second = take(std::max(one, other));
    return {std::move(first), std::move(second)};
  }

 private:
  Guarded<std::set<Path>> held_;
};

}  // namespace spillway
