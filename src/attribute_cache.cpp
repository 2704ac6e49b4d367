#include "src/attribute_cache.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <map>
#include <utility>

#include "src/attribute_database.h"
#include "src/guarded.h"
#include "src/tracked_executor.h"

namespace spillway {
namespace {

// Changes that are worth a transaction of their own before the time is up.
constexpr std::size_t kBatch = 1'024;

// Past so many unwritten ones (about 16 MB) the disk does not keep up.
constexpr std::size_t kMostPending = 32'768;

// Two versions of ours with equal bytes, stored within the tolerance of each other's times, can't
// be told apart later by what listings say (a directory is made, then gets its times). Should the
// program crash between the two, none of them may have been written.
constexpr Duration kSettled = 2 * kAnswerTolerance;

struct Change {
  std::optional<RememberedObject> object;  // nullopt: forget
  Instant due{};                           // not to be written before
};

struct State {
  std::map<Key, Change> pending;
  AttributeDatabase::Changes writing;
  std::size_t ready = 0;  // about so many of `pending` may be written at once
  bool is_writing = false;
  bool timer_is_set = false;
  bool has_failed = false;
};
using LockedState = Guarded<State>::Locked;

class WrittenBehind final : public AttributeCache {
 public:
  WrittenBehind(std::string file, std::unique_ptr<AttributeDatabase> database, Executor& executor,
                Log& log)
      : file_(std::move(file)),
        log_(log),
        jobs_(executor),
        database_(std::move(database)),
        state_(executor) {}
  ~WrittenBehind() override {
    jobs_.stop();
    write_due(Instant::max());
  }

  std::optional<RememberedObject> recall(const Key& key) override;
  bool knows_below(const std::string& prefix) override;
  void keep(const Key& key, const RememberedObject& object) override;
  void forget(const Key& key) override { note(key, {}); }

 private:
  [[nodiscard]] Instant now() const { return jobs_.clock().now(); }
  void note(const Key& key, std::optional<RememberedObject> object);
  void arrange(LockedState& state);
  void write_due(Instant due);
  static bool take_due(State& state, Instant due);
  void fail_with(const Error& error);

  const std::string file_;
  Log& log_;
  TrackedExecutor jobs_;
  const std::unique_ptr<AttributeDatabase> database_;
  Guarded<State> state_;
};

std::optional<RememberedObject> WrittenBehind::recall(const Key& key) {
  {
    auto state = state_.lock();
    if (state->has_failed) return std::nullopt;
    if (const auto found = state->pending.find(key); found != state->pending.end()) {
      return found->second.object;
    }
    if (const auto found = state->writing.find(key); found != state->writing.end()) {
      return found->second;
    }
  }
  auto found = database_->find(key);
  if (found.ok()) return std::move(found).value();
  fail_with(found.error());
  return std::nullopt;
}

bool WrittenBehind::knows_below(const std::string& prefix) {
  const auto is_below = [&](const auto& changes) {
    const auto first = changes.lower_bound(prefix);
    return first != changes.end() && first->first.starts_with(prefix);
  };
  {
    auto state = state_.lock();
    if (state->has_failed) return false;
    if (is_below(state->pending) || is_below(state->writing)) return true;
  }
  const auto found = database_->has_below(prefix);
  if (found.ok()) return *found;
  fail_with(found.error());
  return false;
}

void WrittenBehind::keep(const Key& key, const RememberedObject& object) {
  if (is_storable(key, object)) {
    note(key, object);
  } else {
    forget(key);
  }
}

void WrittenBehind::note(const Key& key, std::optional<RememberedObject> object) {
  auto state = state_.lock();
  if (state->has_failed) return;
  const bool settles =
      object && object->identity.source == VersionIdentity::Source::answer;
  if (!settles) ++state->ready;
  state->pending.insert_or_assign(
      key, Change{std::move(object), settles ? now() + kSettled : now()});
  arrange(state);
}

// Sees to it that what is pending gets written.
void WrittenBehind::arrange(LockedState& state) {
  if (state->pending.empty() || state->is_writing) return;
  if (state->ready >= kBatch || state->pending.size() > kMostPending) {
    state->ready = 0;
    jobs_.submit([this] { write_due(now()); });
  }
  if (state->timer_is_set) return;
  state->timer_is_set = true;
  jobs_.submit_at(now() + kSettled, [this] {
    state_.lock()->timer_is_set = false;
    write_due(now());
  });
}

bool WrittenBehind::take_due(State& state, Instant due) {
  for (auto entry = state.pending.begin(); entry != state.pending.end();) {
    auto& [key, change] = *entry;
    const bool is_due = change.due <= due;
    if (is_due) state.writing.emplace(key, std::move(change.object));
    entry = is_due ? state.pending.erase(entry) : std::next(entry);
  }
  state.ready = 0;
  return !state.writing.empty();
}

void WrittenBehind::write_due(Instant due) {
  auto state = state_.lock();
  if (state->is_writing || state->has_failed) return;
  const bool keeps_up = state->pending.size() <= kMostPending || due == Instant::max();
  Result<> written;
  state->is_writing = true;
  if (!keeps_up) {
    written = fail_errno(EAGAIN, "the disk does not keep up");
  } else if (take_due(*state, due)) {
    // Nobody else changes it while is_writing.
    const auto& changes = state->writing;
    written = state.unlocked([&] { return database_->write(changes); });
  }
  state->is_writing = false;
  state->writing.clear();
  if (written.ok() && due != Instant::max()) arrange(state);
  if (!written.ok()) state.unlocked([&] { fail_with(written.error()); });
}

// What it holds may be out of date from here on, so the next mount must not find it.
void WrittenBehind::fail_with(const Error& error) {
  {
    auto state = state_.lock();
    if (std::exchange(state->has_failed, true)) return;
    state->pending.clear();
  }
  Fields fields{{"file", file_}, {"detail", error.detail}};
  const bool is_damaged = error.system_errno == EUCLEAN;
  const std::string kept = file_ + ".damaged";
  const auto gone = is_damaged ? rename_attribute_database(file_, kept)
                               : remove_attribute_database(file_);
  if (is_damaged && gone.ok()) fields["kept"] = kept;
  log_.event(Level::warning, "attribute_cache_failed", std::move(fields));
}

class NoCache final : public AttributeCache {
 public:
  std::optional<RememberedObject> recall(const Key&) override { return std::nullopt; }
  bool knows_below(const std::string&) override { return false; }
  void keep(const Key&, const RememberedObject&) override {}
  void forget(const Key&) override {}
};

using Opened = Result<std::unique_ptr<AttributeDatabase>>;

Opened open_anew(const std::string& file, const AttributeCacheSettings& settings,
                 Executor& executor, Log& log) {
  auto opened = open_attribute_database(file, settings, executor);
  if (opened.ok()) return opened;
  if (opened.error().system_errno == ESTALE) {
    TRY(remove_attribute_database(file));
  } else if (opened.error().system_errno == EUCLEAN) {
    const std::string kept = file + ".damaged";
    TRY(rename_attribute_database(file, kept));
    log.event(Level::warning, "attribute_cache_failed",
              {{"file", file}, {"detail", opened.error().detail}, {"kept", kept}});
  } else {
    return opened;
  }
  return open_attribute_database(file, settings, executor);
}

}  // namespace

std::unique_ptr<AttributeCache> make_attribute_cache(const std::string& file,
                                                     const AttributeCacheSettings& settings,
                                                     Executor& executor, Log& log) {
  auto opened = open_anew(file, settings, executor, log);
  if (opened.ok()) {
    return std::make_unique<WrittenBehind>(file, std::move(opened).value(), executor, log);
  }
  log.event(Level::warning, "attribute_cache_failed",
            {{"file", file}, {"detail", opened.error().detail}});
  return std::make_unique<NoCache>();
}

AttributeCache& no_attribute_cache() {
  static NoCache none;
  return none;
}

}  // namespace spillway
