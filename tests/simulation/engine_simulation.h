// The whole engine - writers, shadow, drain, catalog - over a simulated clock, network and disk.
// Programs write, rename and delete; the network fails, the disk fails, the power goes; after each
// crash the mount starts again. In the end the network is well, the shadow drains, and every file
// must be in the bucket as it was acknowledged.
//
// What fails is drawn from the seed, or is one call that a plan names.
#pragma once

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "s3/hash.h"
#include "src/engine.h"
#include "tests/simulation/engine_plan.h"
#include "tests/support/memory_disk.h"
#include "tests/support/memory_store.h"
#include "tests/support/seeded_executor.h"

namespace spillway::testing {

using std::chrono::milliseconds;
using std::chrono::seconds;

inline constexpr std::uint64_t kPart = 64;
inline constexpr std::uint32_t kNewMode = 0644;
// A file's content; nullopt: there is none.
using Content = std::optional<std::string>;

// What may be under a name: exactly one content once a call has returned ok, the old ones and the
// new one after a call that failed or was interrupted.
using Allowed = std::set<Content>;

class Simulation {
 public:
  explicit Simulation(std::uint64_t seed, std::optional<Plan> plan = std::nullopt)
      : plan_(plan), faults_(plan), seed_(seed), choices_(seed) {
    MemoryStoreRules rules;
    rules.smallest_part = 1;
    executor_ = std::make_unique<SeededExecutor>(seed);
    clock_.clock = &executor_->clock();
    store_ = std::make_unique<MemoryStore>(clock_, rules);
    store_->fail_before([this](StoreVerb verb, const Key& key, int) { return before(verb, key); });
    store_->fail_after([this](StoreVerb verb, const Key& key, int) { return after(verb, key); });
    if (plan_ && plan_->call) weather_ = Weather::down;
    names_ = {"a", "b", "d/c", ".x.abc123", "d/e"};
    for (const std::string& name : names_) allowed_[name] = {Content{}};
    for (const std::string& name : names_) modes_[name] = {kNewMode};
  }

  virtual ~Simulation() = default;

  void run() {
    const int lives = plan_ ? 1 : static_cast<int>(1 + below(3));
    for (int life = 0; life < lives; ++life) live(life);
    end();
  }
  // Whether the call that the plan names was made at all.
  [[nodiscard]] bool has_met_its_fault() const {
    return plan_->call ? disk_has_met_ : faults_.has_met();
  }

 protected:
  // A program of another simulation's, and what it expects in the end.
  virtual bool does_more() const { return false; }
  virtual void do_more(FileSystem&) {}
  virtual void check_more() {}

  Log& log() { return traces_ ? tracing_log_ : no_log(); }
  std::uint64_t below(std::uint64_t limit) { return choices_() % limit; }
  bool chance(std::uint64_t percent) { return below(100) < percent; }

  // --- network

  std::optional<Error> before(StoreVerb verb, const Key& key) {
    executor_->sleep(milliseconds(below(40)));
    if (auto planned = is_well_ ? std::nullopt : faults_.before(verb)) return planned;
    if (weather_ == Weather::down || (weather_ == Weather::flaky && chance(15))) {
      trace("refused", key, std::string(to_string(verb)));
      return failure();
    }
    return std::nullopt;
  }
  std::optional<Error> after(StoreVerb verb, const Key& key) {
    trace("done", key, std::string(to_string(verb)));
    executor_->sleep(milliseconds(below(40)));
    if (auto planned = is_well_ ? std::nullopt : faults_.after(verb)) return planned;
    if (weather_ == Weather::flaky && chance(8)) {
      trace("unheard", key, std::string(to_string(verb)));
      return Error{.code = ErrorCode::timeout, .detail = "lost answer", .request_id = {},
                   .cause = Cause::ambiguous, .retry_after = {}};
    }
    return std::nullopt;
  }
  Error failure() {
    constexpr ErrorCode kCodes[] = {ErrorCode::network_error, ErrorCode::server_error,
                                    ErrorCode::timeout, ErrorCode::rate_limited,
                                    ErrorCode::auth_error, ErrorCode::cap_exceeded};
    Error error;
    error.code = kCodes[below(std::size(kCodes))];
    error.detail = "simulated";
    // The request itself was lost: from here that looks like a lost answer.
    if (chance(25)) error.cause = Cause::ambiguous;
    return error;
  }
  void change_weather(const std::shared_ptr<bool>& is_over) {
    while (!*is_over && !plan_) {
      weather_ = static_cast<Weather>(below(3));
      trace("weather", std::to_string(static_cast<int>(weather_)), std::nullopt);
      executor_->sleep(seconds(1 + below(40)));
    }
  }

  // --- one mount's life

  EngineSettings settings() {
    EngineSettings settings;
    settings.bucket = "bucket";
    SpillwayOptions& options = settings.options;
    options.part_size = kPart;
    options.memory = kPart * 16;
    options.retry_for = seconds(below(2) * 10);
    options.name_retry_for = seconds(below(2) * 2);
    options.cooldown = seconds(5);
    options.shadow_reserve = 0;
    return settings;
  }

  void live(int life) {
    if (life > 0) {
      executor_ = std::make_unique<SeededExecutor>(seed_ * 31 + static_cast<unsigned>(life),
                                                   last_instant_);
      clock_.clock = &executor_->clock();
    }
    const bool crashes = !plan_ && chance(60);
    if (plan_ && plan_->call) {
      disk_has_failed_ = true;
      const auto lasts = plan_->for_ever ? DiskFault::Lasts::for_ever : DiskFault::Lasts::once;
      disk_.fail({.call = plan_->call, .nth = plan_->nth, .system_errno = plan_->system_errno,
                  .lasts = lasts});
    } else if (!plan_ && chance(10)) {
      disk_has_failed_ = true;
      disk_.fail({.call = {}, .nth = 1 + below(200), .system_errno = chance(50) ? ENOSPC : EIO});
    }
    trace("mount", crashes ? "to crash" : "to end", std::nullopt);
    executor_->run([&] {
      auto shadow = open_shadow(disk_, {.identity = "sim/bucket", .reserve_bytes = 0}, *executor_,
                                *hashing_, log());
      if (!shadow.ok()) return;  // the disk failed right away: the next life tries again
      auto file_system = make_file_system(
          {*store_, **shadow, *hashing_, *executor_, log()}, settings());
      use(*file_system, crashes);
      weather_ = Weather::fine;
      file_system->shut_down(seconds(60));
      static_cast<void>((*shadow)->close_cleanly());
    });
    if (plan_ && plan_->call) disk_has_met_ = disk_.calls(*plan_->call) >= plan_->nth;
    disk_.heal();
    last_instant_ = executor_->clock().now().time_since_epoch();
    if (executor_->has_crashed() && chance(50)) {
      disk_.power_cut(choices_());
    } else {
      disk_.process_ends();
    }
    if (executor_->has_crashed()) static_cast<void>(executor_.release());  // see crash()
  }

  // Programs at work on names of their own, in bad weather.
  virtual void use(FileSystem& file_system, bool crashes) {
    const auto is_over = std::make_shared<bool>(false);
    executor_->submit([this, is_over] { change_weather(is_over); });
    if (crashes) {
      executor_->submit([this, is_over] {
        executor_->sleep(milliseconds(below(60'000)));
        if (!*is_over) executor_->crash();
      });
    }
    Guarded<int> working(*executor_, does_more() ? 3 : 2);
    const auto ended = [&] {
      auto count = working.lock();
      --*count;
      count.notify_all();
    };
    const auto work = [&](std::vector<std::string> own) {
      for (int i = 0; i < 6; ++i) do_something(file_system, own);
      ended();
    };
    executor_->submit([&] { work({"a", "d/c", ".x.abc123"}); });
    executor_->submit([&] { work({"b", "d/e"}); });
    if (does_more()) {
      executor_->submit([&] {
        do_more(file_system);
        ended();
      });
    }
    auto count = working.lock();
    count.wait([&] { return *count == 0; });
    *is_over = true;
  }

  // --- what programs do

  void do_something(FileSystem& file_system, const std::vector<std::string>& own) {
    executor_->sleep(milliseconds(below(8'000)));
    const std::string name = own[below(own.size())];
    switch (below(8)) {
      case 0:
      case 1:
      case 2: return write_new(file_system, name);
      case 3: return change(file_system, name);
      case 4: return rename(file_system, name, own[below(own.size())]);
      case 5: return remove(file_system, name);
      case 6: return touch(file_system, name);
      default: return read_back(file_system, name);
    }
  }

  std::string random_bytes(std::size_t size) {
    std::string bytes(size, ' ');
    for (char& c : bytes) c = static_cast<char>('a' + below(26));
    return bytes;
  }
  static std::span<const std::byte> bytes_of(const std::string& text) {
    return std::as_bytes(std::span(text));
  }
  // An operation that may leave either: from its start, since a crash may come in the middle.
  void maybe(const std::string& name, const Content& content) {
    std::erase_if(moves_, [&](const Move& move) { return move.touches(name); });
    trace("maybe", name, content);
    allowed_[name].insert(content);
  }
  void surely(const std::string& name, const Content& content) {
    trace("surely", name, content);
    allowed_[name] = {content};
  }
  void trace(const char* what, const std::string& name, const Content& content) const {
    if (!traces_) return;
    const double now = static_cast<double>(to_milliseconds(
                           executor_->clock().now().time_since_epoch())) / 1e3;
    std::fprintf(stderr, "%8.3f %s %s %s\n", now, what, name.c_str(),
                 content ? (std::to_string(content->size()) + " " + content->substr(0, 12)).c_str()
                         : "nothing");
  }

  void write_new(FileSystem& file_system, const std::string& name) {
    // Temporary names are random: none is made where something may be.
    if (name.starts_with('.') && allowed_[name] != Allowed{Content{}}) return;
    const std::string content = random_bytes(below(6 * kPart));
    modes_[name].insert(kNewMode);
    maybe(name, content);
    maybe(name, "");
    OpenFlags flags{.read = true, .write = true, .truncate = true};
    flags.exclusive = name.starts_with('.');
    const auto opened = file_system.create(*Path::parse(name), kNewMode, flags, {});
    if (!opened.ok()) return;
    std::string written;
    bool well = true;
    while (written.size() < content.size() && well) {
      const std::string piece = content.substr(written.size(), 1 + below(100));
      well = file_system.write(*opened->handle, written.size(), bytes_of(piece)).ok();
      if (well) written += piece;
      if (well && chance(5)) {
        maybe(name, written);
        if (file_system.fsync(*opened->handle).ok()) {
          surely(name, written);
          maybe(name, content);
        }
      }
    }
    finish(file_system, opened->handle, name, content, well);
  }

  // close(2): FLUSH tells, RELEASE follows.
  void finish(FileSystem& file_system, FileHandle* handle, const std::string& name,
              const std::string& content, bool well) {
    const bool flushed = file_system.flush(*handle, {}).ok();
    // A held temporary name may be lost by a crash until it is renamed or its time is up.
    if (well && flushed && !content.empty() && !name.starts_with('.')) surely(name, content);
    file_system.release(handle);
  }

  void change(FileSystem& file_system, const std::string& name) {
    const auto opened =
        file_system.open(*Path::parse(name), {.read = true, .write = true}, {});
    if (!opened.ok()) return;
    const Content before = read_all(file_system, *opened->handle);
    if (!before || !may_read_as(name, before)) {
      EXPECT_FALSE(before.has_value())
          << name << " reads as" << to_text({before}) << "\nallowed is" << to_text(allowed_[name]);
      file_system.release(opened->handle);
      return;
    }
    std::string content = *before;
    const std::size_t at = chance(50) ? content.size() : below(content.size() + 1);
    const std::string piece = random_bytes(1 + below(2 * kPart));
    content.resize(std::max(content.size(), at + piece.size()));
    content.replace(at, piece.size(), piece);
    maybe(name, content);
    const bool well = file_system.write(*opened->handle, at, bytes_of(piece)).ok();
    if (!well) maybe(name, before);
    finish(file_system, opened->handle, name, content, well);
  }

  Content read_all(FileSystem& file_system, FileHandle& handle) {
    std::string content(16 * kPart, ' ');
    const auto got = file_system.read(handle, 0, std::as_writable_bytes(std::span(content)));
    if (!got.ok()) return std::nullopt;
    content.resize(*got);
    return content;
  }

  // After a conflict both contents are kept, and the name may have the other one.
  bool may_read_as(const std::string& name, const Content& content) {
    if (allowed_[name].contains(content)) return true;
    return std::ranges::any_of(allowed_[name], [&](const Content& each) {
      return each && is_stored(name, each) && store_->content(name) != each;
    });
  }

  void read_back(FileSystem& file_system, const std::string& name) {
    const auto opened = file_system.open(*Path::parse(name), {.read = true}, {});
    if (!opened.ok()) return;
    const Content content = read_all(file_system, *opened->handle);
    trace("read", name, content);
    if (content) {
      EXPECT_TRUE(may_read_as(name, content))
          << name << " reads as " << content->size() << " bytes\n  " << *content
          << "\nallowed is" << to_text(allowed_[name]);
    }
    file_system.release(opened->handle);
  }

  void rename(FileSystem& file_system, const std::string& from, const std::string& to) {
    if (from == to) return;
    const Allowed before = allowed_[from];
    for (const Content& content : before) maybe(to, content);
    maybe(from, std::nullopt);
    // Whatever comes of it, the content is under one of the two names.
    if (before.size() == 1 && before.begin()->has_value()) {
      moves_.push_back({from, to, *before.begin()});
    }
    modes_[to].insert(modes_[from].begin(), modes_[from].end());
    const auto renamed =
        file_system.rename(*Path::parse(from), *Path::parse(to), RenameMode::replace);
    if (!renamed.ok()) return;
    modes_[to] = modes_[from];
    allowed_[to] = before;
    if (before.size() > 1) allowed_[to].erase(std::nullopt);
    surely(from, std::nullopt);
  }

  void remove(FileSystem& file_system, const std::string& name) {
    maybe(name, std::nullopt);
    const auto removed = file_system.unlink(*Path::parse(name));
    if (removed.ok()) surely(name, std::nullopt);
  }

  // chmod(2) and utimes(2).
  void touch(FileSystem& file_system, const std::string& name) {
    AttributeChange change;
    if (chance(50)) change.mtime = WallTime(seconds(1'000'000'000 + below(1'000'000)));
    change.permissions = static_cast<std::uint32_t>(below(01000));
    modes_[name].insert(*change.permissions);
    const auto changed = file_system.set_attributes(*Path::parse(name), nullptr, change, {});
    if (!changed.ok()) return;
    trace("mode", name, std::to_string(*change.permissions));
    EXPECT_EQ(changed->permissions, *change.permissions);
    // What is not certain to be this very version may have another mode.
    if (allowed_[name].size() == 1) modes_[name] = {*change.permissions};
  }

  // --- the end: everything must be in the bucket

  void end() {
    weather_ = Weather::fine;
    is_well_ = true;
    executor_ = std::make_unique<SeededExecutor>(seed_ + 77, last_instant_);
    clock_.clock = &executor_->clock();
    executor_->run([&] {
      auto shadow = open_shadow(disk_, {.identity = "sim/bucket", .reserve_bytes = 0}, *executor_,
                                *hashing_, log());
      ASSERT_TRUE(shadow.ok()) << shadow.error().detail;
      auto file_system = make_file_system(
          {*store_, **shadow, *hashing_, *executor_, log()}, settings());
      const auto waits = [&] {
        return (*shadow)->usage().files > 0 || !(*shadow)->waiting_metadata().empty();
      };
      for (int i = 0; i < 600 && waits(); ++i) executor_->sleep(seconds(1));
      EXPECT_FALSE(waits()) << "the shadow did not drain";
      executor_->sleep(seconds(30));
      file_system->shut_down(seconds(60));
    });
    for (const std::string& name : names_) check(name);
    check_more();
    for (const Move& move : moves_) {
      const bool is_there = is_stored(move.from, move.content) || is_stored(move.to, move.content);
      EXPECT_TRUE(is_there) << "lost between " << move.from << " and " << move.to;
    }
    // An upload that the disk could not note in the ledger is nobody's to abort after a crash.
    if (disk_has_failed_) return;
    for (const auto& upload : store_->uploads()) {
      EXPECT_TRUE(upload.parts.empty()) << "an upload is left over: " << upload.key;
    }
  }

  void check(const std::string& name) {
    const bool is_right = std::ranges::any_of(
        allowed_[name], [&](const Content& content) { return is_stored(name, content); });
    if (is_right) return check_mode(name);
    ADD_FAILURE() << name << " is in the bucket as " << to_text({store_->content(name)})
                  << "\nallowed is" << to_text(allowed_[name]);
  }
  // Of a name with a conflict the other copy may be the one that was changed.
  void check_mode(const std::string& name) {
    const auto is_conflict = [&](const auto& version) {
      return version.key.starts_with(name + " (conflict ");
    };
    if (std::ranges::any_of(store_->versions(), is_conflict)) return;
    for (const auto& version : store_->versions()) {
      if (!version.newest || version.hide_marker || version.key != name) continue;
      const auto mode = metadata_from(version.metadata).permissions.value_or(kNewMode);
      EXPECT_TRUE(modes_[name].contains(mode)) << name << " has another mode: " << mode;
    }
  }
  static std::string to_text(const Allowed& contents) {
    std::string text;
    for (const Content& each : contents) {
      text += each ? "\n  " + std::to_string(each->size()) + " bytes " + *each : "\n  nothing";
    }
    return text;
  }

  // A conflict keeps both: then the acknowledged content is under the other name, which stays when
  // the first one is moved.
  bool is_stored(const std::string& name, const Content& content) {
    if (store_->content(name) == content) return true;
    for (const auto& version : store_->versions()) {
      if (version.newest && version.key.find(" (conflict ") != std::string::npos &&
          Content(version.bytes) == content) {
        return true;
      }
    }
    return false;
  }

  const std::optional<Plan> plan_;
  PlannedFaults faults_;
  bool disk_has_met_ = false;
  bool is_well_ = false;
  const bool traces_ = std::getenv("SPILLWAY_TRACE") != nullptr;
  TracingLog tracing_log_;
  const std::uint64_t seed_;
  std::mt19937_64 choices_;
  CurrentClock clock_;
  std::unique_ptr<SeededExecutor> executor_;
  std::unique_ptr<Hashing> hashing_ = s3::make_hashing();
  std::unique_ptr<MemoryStore> store_;
  MemoryDisk disk_;
  Duration last_instant_{};
  bool disk_has_failed_ = false;
  Weather weather_ = Weather::fine;
  std::vector<std::string> names_;
  std::map<std::string, Allowed> allowed_;
  std::map<std::string, std::set<std::uint32_t>> modes_;  // permissions that a file may have
  struct Move {
    std::string from;
    std::string to;
    Content content;
    [[nodiscard]] bool touches(const std::string& name) const { return name == from || name == to; }
  };
  std::vector<Move> moves_;
};

}  // namespace spillway::testing
