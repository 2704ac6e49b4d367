#include "tests/simulation/facade.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <utility>

namespace spillway::testing {
namespace {

constexpr std::uint64_t kPart = 64;
constexpr int kCalls = 25;

Path path_of(const std::string& text) { return *Path::parse(text); }

EngineSettings settings_with(std::size_t largest_listing) {
  EngineSettings settings;
  settings.largest_listing = largest_listing;
  settings.bucket = "bucket";
  SpillwayOptions& options = settings.options;
  options.part_size = kPart;
  options.memory = kPart * 16;
  options.retry_for = {};
  options.name_retry_for = {};
  options.cooldown = seconds(5);
  options.shadow_reserve = 0;
  return settings;
}

std::string words(const Result<>& result) {
  return result.ok() ? "ok" : std::string(to_string(result.error().code)) + ": " + result.error().detail;
}

}  // namespace

Facade::Facade(std::uint64_t seed, Sky sky, std::size_t largest_listing)
    : sky_(sky), largest_listing_(largest_listing), choices_(seed), seed_(seed) {
  executor_ = std::make_unique<SeededExecutor>(seed);
  clock_.clock = &executor_->clock();
  MemoryStoreRules rules;
  rules.smallest_part = 1;
  rules.most_keys = static_cast<int>(largest_listing);
  store_ = std::make_unique<MemoryStore>(clock_, rules);
  store_->fail_before([this](StoreVerb, const Key&, int) -> std::optional<Error> {
    executor_->sleep(milliseconds(below(20)));
    const bool fails = weather_ == Weather::down || (weather_ == Weather::flaky && chance(20));
    if (!fails) return std::nullopt;
    Error error;
    error.code = ErrorCode::network_error;
    error.detail = "simulated";
    return error;
  });
  store_->fail_after([this](StoreVerb verb, const Key& key, int) -> std::optional<Error> {
    trace("  " + std::string(to_string(verb)) + " " + key);
    if (weather_ != Weather::flaky || !chance(8)) return std::nullopt;
    Error error;
    error.code = ErrorCode::timeout;
    error.detail = "lost answer";
    error.cause = Cause::ambiguous;
    return error;
  });
}

void Facade::run() {
  const auto lives = 1 + below(3);
  for (std::uint64_t life = 0; life < lives && !is_over_; ++life) {
    if (life > 0) {
      executor_ = std::make_unique<SeededExecutor>(seed_ * 31 + life, last_instant_);
      clock_.clock = &executor_->clock();
    }
    trace("mount");
    executor_->run([this] { live(); });
    disk_.process_ends();
    last_instant_ = executor_->clock().now().time_since_epoch();
    if (::testing::Test::HasFailure()) return;
  }
}

void Facade::live() {
  auto shadow = open_shadow(disk_, {.identity = "sim/bucket", .reserve_bytes = 0}, *executor_,
                            *hashing_, log());
  ASSERT_TRUE(shadow.ok()) << shadow.error().detail;
  const auto engine =
      make_file_system({*store_, **shadow, *hashing_, *executor_, log()},
                       settings_with(largest_listing_));
  engine_ = engine.get();
  shadow_ = shadow->get();
  check_tree();
  for (int i = 0; i < kCalls && !is_over_ && !::testing::Test::HasFailure(); ++i) {
    draw_weather();
    do_something();
    weather_ = Weather::fine;
    if (!chance(10) || is_over_) continue;
    if (sky_ == Sky::changing) {
      close_all();  // a file that is open for writing does not drain
      calm();
    }
    check_tree();
  }
  close_all();
  calm();
  if (!is_over_) check_tree();
  engine->shut_down(seconds(60));
  EXPECT_TRUE((*shadow)->waiting_metadata().empty());
  static_cast<void>((*shadow)->close_cleanly());
}

void Facade::draw_weather() {
  executor_->sleep(milliseconds(below(7'000)));
  if (sky_ == Sky::always_fine || !chance(40)) return;
  weather_ = chance(50) ? Weather::down : Weather::flaky;
  trace(weather_ == Weather::down ? "B2 is down" : "B2 is flaky");
}

// The breakers close, listings grow old, the shadow drains.
void Facade::calm() {
  weather_ = Weather::fine;
  do {
    executor_->sleep(seconds(60));
  } while (shadow_->usage().files > 0 && pairs_.empty() && ++waits_ < 100);
}

// --- telling both

void Facade::both(const std::string& what, const std::vector<std::string>& paths,
                  const Call& call) {
  const Result<> engine = call(*engine_);
  trace(what + ": " + words(engine));
  // A file in the shadow may be out of reach also when the weather is fine again.
  if (!engine.ok() && sky_ == Sky::changing) return settle(what, paths, call);
  const Result<> plain = call(plain_);
  ASSERT_EQ(engine.ok(), plain.ok()) << what << ": " << words(engine) << ", not " << words(plain);
  if (!engine.ok()) {
    EXPECT_EQ(to_string(engine.error().code), to_string(plain.error().code)) << what;
  }
}

// Whether a call that failed was made or not, and nothing in between.
void Facade::settle(const std::string& what, const std::vector<std::string>& paths,
                    const Call& call) {
  for (const std::string& path : paths) drop_handles(path);
  calm();
  const auto is_so = [&] {
    return std::ranges::all_of(paths, [&](const std::string& path) { return is_alike(path); });
  };
  if (is_so()) return;
  trace(what + " was made, and nobody heard");
  const bool has_source = paths.size() == 2 && kind(paths[0]) != FileKind::directory &&
                          is_alike(paths[0]);
  static_cast<void>(call(plain_));
  for (const std::string& path : paths) timed_.erase(path);
  if (is_so()) return;
  // B2 copied the file and did not say so: it is there twice, and its user was told of the error.
  is_over_ = has_source;
  EXPECT_TRUE(is_over_) << what << " was made by half";
}

bool Facade::is_alike(const std::string& path) {
  const auto engine = engine_->lookup(path_of(path));
  const auto plain = plain_.lookup(path_of(path));
  if (!engine.ok() || engine->attributes.has_value() != plain->attributes.has_value()) return false;
  if (!plain->attributes) return true;
  const Attributes& there = *engine->attributes;
  const Attributes& wanted = *plain->attributes;
  if (there.kind != wanted.kind || there.permissions != wanted.permissions ||
      there.uid != wanted.uid || there.gid != wanted.gid) {
    return false;
  }
  if (timed_.contains(path) && there.mtime != wanted.mtime) return false;
  return wanted.kind != FileKind::regular ||
         (there.size == wanted.size && content(*engine_, path) == content(plain_, path));
}

bool Facade::both_handles(Pair& pair, const std::string& what,
                          const std::function<Result<>(FileSystem&, FileHandle&)>& call) {
  const Result<> engine = call(*engine_, *pair.engine);
  trace(what + " " + pair.path + ": " + words(engine));
  if (!engine.ok() && sky_ == Sky::changing) {
    give_up(Pair(pair));
    return false;
  }
  const Result<> plain = call(plain_, *pair.plain);
  EXPECT_EQ(engine.ok(), plain.ok()) << what << " " << pair.path << ": " << words(engine);
  return engine.ok();
}

// The program that was told of the error closes all it has, and looks what is there.
void Facade::give_up(const Pair& pair) {
  const std::string path = pair.path;
  drop_handles(path);
  if (path.empty()) return;
  for (int tries = 0; tries < 10 && shadow_->find(path_of(path)); ++tries) calm();
  calm();
  const auto there = engine_->lookup(path_of(path));
  ASSERT_TRUE(there.ok()) << path;
  timed_.erase(path);
  if (!there->attributes) return plain_.drop(path);
  plain_.put(path, content(*engine_, path));
}

void Facade::drop_handles(const std::string& path) {
  std::erase_if(pairs_, [&](const Pair& pair) {
    if (pair.path != path) return false;
    static_cast<void>(engine_->flush(*pair.engine, {}));
    engine_->release(pair.engine);
    plain_.release(pair.plain);
    return true;
  });
}

void Facade::close_all() {
  while (!pairs_.empty()) drop_handles(std::string(pairs_.front().path));
}

// The open files below a name follow it; those of a name that was replaced have none any more.
void Facade::follow(const std::string& from, const std::string& to) {
  const auto moved = [&](const std::string& path) -> std::optional<std::string> {
    if (path == from || path.starts_with(from + "/")) return to + path.substr(from.size());
    return std::nullopt;
  };
  for (Pair& pair : pairs_) {
    if (pair.path == to) pair.path.clear();
    if (const auto path = moved(pair.path)) pair.path = *path;
  }
  timed_.erase(to);
  std::set<std::string> timed;
  for (const std::string& path : timed_) timed.insert(moved(path).value_or(path));
  timed_ = timed;
}

// --- looking

std::string Facade::content(FileSystem& tree, const std::string& path) {
  const auto opened = tree.open(path_of(path), {.read = true}, {});
  if (!opened.ok()) return "can't be opened: " + std::string(to_string(opened.error().code));
  std::string bytes(64 * kPart, ' ');
  const auto got = tree.read(*opened->handle, 0, std::as_writable_bytes(std::span(bytes)));
  tree.release(opened->handle);
  if (!got.ok()) return "can't be read: " + std::string(to_string(got.error().code));
  bytes.resize(*got);
  return bytes;
}

std::string Facade::describe(FileSystem& tree, const std::string& path) {
  const auto found = tree.lookup(path_of(path));
  if (!found.ok()) return std::string(to_string(found.error().code));
  if (!found->attributes) return "nothing";
  const Attributes& there = *found->attributes;
  return fmt::format("kind {}, {} bytes, mode {:o}, owner {}:{}, mtime {}{}: {}",
                     static_cast<int>(there.kind), there.size, there.permissions, there.uid,
                     there.gid, there.mtime.time_since_epoch().count(),
                     timed_.contains(path) ? " (as set)" : "", content(tree, path));
}

std::map<std::string, FileKind> Facade::names_below(FileSystem& tree,
                                                    const std::string& directory) {
  std::map<std::string, FileKind> names;
  const auto opened = tree.open_directory(path_of(directory));
  if (!opened.ok()) return names;
  Result<> listed;
  std::uint64_t last = 0;
  bool goes_on = true;
  const auto take = [&](const DirectoryEntry& entry) {
    EXPECT_FALSE(names.contains(entry.name)) << entry.name << " came twice in " << directory;
    names[entry.name] = entry.attributes ? entry.attributes->kind : entry.kind;
    last = entry.next;
    return goes_on = true;
  };
  while (listed.ok() && std::exchange(goes_on, false)) {
    listed = tree.read_directory(**opened, last, EntryDetail::attributes, take);
  }
  tree.release_directory(*opened);
  EXPECT_TRUE(listed.ok()) << directory << ": " << listed.error().detail;
  return names;
}

void Facade::check_tree() {
  std::vector<std::string> directories{""};
  while (!directories.empty()) {
    const std::string directory = directories.back();
    directories.pop_back();
    const auto names = names_below(plain_, directory);
    const auto there = names_below(*engine_, directory);
    // Both contents are kept where an outage left it open whose the older one is.
    is_over_ = sky_ == Sky::changing && std::ranges::any_of(there, [](const auto& entry) {
      return entry.first.find(" (conflict ") != std::string::npos;
    });
    if (is_over_) return;
    ASSERT_EQ(there, names) << "in /" << directory;
    for (const auto& [name, kind] : names) {
      const std::string path = directory.empty() ? name : directory + "/" + name;
      check_file(path);
      if (kind == FileKind::directory) directories.push_back(path);
    }
  }
}

void Facade::check_file(const std::string& path) {
  EXPECT_TRUE(is_alike(path)) << path << " differs: it is\n"
                              << describe(*engine_, path) << "\nnot\n"
                              << describe(plain_, path);
  const auto wanted = plain_.list_xattrs(path_of(path));
  for (const std::string& name : *wanted) {
    const auto value = engine_->get_xattr(path_of(path), name);
    ASSERT_TRUE(value.ok()) << path << " has no " << name;
    EXPECT_EQ(*value, *plain_.get_xattr(path_of(path), name)) << path;
  }
  if (kind(path) == FileKind::symlink) {
    const auto target = engine_->read_symlink(path_of(path));
    ASSERT_TRUE(target.ok()) << path;
    EXPECT_EQ(*target, *plain_.read_symlink(path_of(path))) << path;
  }
}

// --- drawing

std::string Facade::some_path() {
  static const std::vector<std::string> kPaths{"a", "b", "d", "d/a", "d/b", "e", "e/a", "d/e", "d/e/a"};
  return kPaths[below(kPaths.size())];
}

std::optional<FileKind> Facade::kind(const std::string& path) {
  const auto found = plain_.lookup(path_of(path));
  if (!found->attributes) return std::nullopt;
  return found->attributes->kind;
}

bool Facade::has_parent(const std::string& path) {
  const Path parent = path_of(path).parent();
  return parent.is_root() || kind(parent.text()) == FileKind::directory;
}

Facade::Pair* Facade::some_pair() {
  return pairs_.empty() ? nullptr : &pairs_[below(pairs_.size())];
}

std::string Facade::random_bytes(std::size_t size) {
  std::string bytes(size, ' ');
  for (char& c : bytes) c = static_cast<char>('a' + below(26));
  return bytes;
}

void Facade::trace(const std::string& text) const {
  if (!traces_) return;
  const auto now = to_milliseconds(executor_->clock().now().time_since_epoch());
  std::fprintf(stderr, "%8.3f %s\n", static_cast<double>(now) / 1e3, text.c_str());
}

}  // namespace spillway::testing
