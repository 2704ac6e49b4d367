// One operation at a time on a name: a commit, a rename, a delete and the drain of the same path
// take turns; other paths never wait. A directory that is renamed is locked with all below it.
//
// Order: who holds a lock of this table takes no other one from it; what is needed together is
// taken together. A tree waits for the names held below it, and from then on new ones below it wait
// for the tree, so that it can't starve; of trees that overlap the one that came first goes first.
#pragma once

#include <algorithm>
#include <cstdint>
#include <set>
#include <vector>

#include "src/guarded.h"
#include "src/path.h"

namespace spillway {

class PathLocks {
  struct Tree {
    Path top;
    std::uint64_t ticket = 0;
    bool is_held = false;
  };
  struct State {
    std::set<Path> paths;
    std::vector<Tree> trees;  // held, and waited for
    std::uint64_t last_ticket = 0;
  };

 public:
  explicit PathLocks(Executor& executor) : state_(executor) {}

  // Names, or trees, of one taker. Gives them back when it goes.
  class Held {
   public:
    Held(Held&& other) noexcept
        : locks_(std::exchange(other.locks_, nullptr)),
          paths_(std::move(other.paths_)),
          ticket_(other.ticket_),
          has_waited_for_tree_(other.has_waited_for_tree_) {}
    Held& operator=(Held&&) = delete;
    ~Held() {
      if (locks_ != nullptr) locks_->give_back(paths_, ticket_);
    }
    // A directory above was being renamed when the name was asked for: it may be elsewhere now.
    [[nodiscard]] bool has_waited_for_tree() const { return has_waited_for_tree_; }

   private:
    friend class PathLocks;
    Held(PathLocks& locks, std::vector<Path> paths) : locks_(&locks), paths_(std::move(paths)) {}
    PathLocks* locks_;
    std::vector<Path> paths_;
    std::uint64_t ticket_ = 0;  // of trees
    bool has_waited_for_tree_ = false;
  };

  // Waits until nobody holds the path, nor a tree that it lies in.
  [[nodiscard]] Held take(const Path& path) { return take_paths({path}); }
  // Both at once; the paths must differ.
  [[nodiscard]] Held take_both(const Path& one, const Path& other) {
    return take_paths({one, other});
  }
  // Each with all below it, both at once.
  [[nodiscard]] Held take_trees(const Path& one, const Path& other) {
    auto state = state_.lock();
    const std::uint64_t ticket = ++state->last_ticket;
    state->trees.push_back({one, ticket});
    state->trees.push_back({other, ticket});
    state.wait([&] { return is_free(*state, one, ticket) && is_free(*state, other, ticket); });
    for (Tree& tree : state->trees) tree.is_held |= tree.ticket == ticket;
    Held held(*this, {});
    held.ticket_ = ticket;
    return held;
  }

 private:
  [[nodiscard]] Held take_paths(std::vector<Path> paths) {
    auto state = state_.lock();
    bool has_waited = false;
    const auto is_in_tree = [&](const Path& path) {
      return std::ranges::any_of(state->trees,
                                 [&](const Tree& tree) { return path.is_within(tree.top); });
    };
    state.wait([&] {
      const bool waits = std::ranges::any_of(paths, is_in_tree);
      has_waited |= waits;
      return !waits && std::ranges::none_of(
                           paths, [&](const Path& path) { return state->paths.contains(path); });
    });
    state->paths.insert(paths.begin(), paths.end());
    Held held(*this, std::move(paths));
    held.has_waited_for_tree_ = has_waited;
    return held;
  }

  // For a tree: no name below it is held, and no tree that came before overlaps it.
  [[nodiscard]] static bool is_free(const State& state, const Path& top, std::uint64_t ticket) {
    const auto overlaps = [&](const Tree& tree) {
      const bool comes_first = tree.ticket != ticket && (tree.is_held || tree.ticket < ticket);
      return comes_first && (tree.top.is_within(top) || top.is_within(tree.top));
    };
    if (std::ranges::any_of(state.trees, overlaps)) return false;
    return std::ranges::none_of(state.paths,
                                [&](const Path& path) { return path.is_within(top); });
  }

  void give_back(const std::vector<Path>& paths, std::uint64_t ticket) {
    auto state = state_.lock();
    for (const Path& path : paths) state->paths.erase(path);
    std::erase_if(state->trees, [&](const Tree& tree) { return tree.ticket == ticket; });
    state.notify_all();
  }

  Guarded<State> state_;
};

}  // namespace spillway
