// The catalog against a model: whatever this mount and other clients do to the bucket, an answer is
// one that was true less than the ttl ago, and own changes show at once.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "src/catalog.h"
#include "tests/support/manual_executor.h"
#include "tests/support/memory_store.h"
#include "tests/support/store_calls.h"

namespace spillway {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kTtl = seconds(5);

// Files, markers, a name that is both, and one that sorts between a file and its directory.
const std::vector<Key> kKeys{"a",   "a/", "a/b", "a/b-1", "a/b/", "a/b/z",
                             "a/x", "b/", "b/c", "c",     "c/d/e"};
const std::vector<std::string> kPaths{"a", "a-1", "a/b", "a/b-1", "a/b/z", "a/x",
                                      "b", "b/c", "c",   "c/d",   "c/d/e", "c/d/e/f"};

// Every value a key has had: who wrote it, and until when it was there. "" is none.
struct Value {
  std::string id;
  Instant replaced = Instant::max();
};

class Model {
 public:
  void set(const Key& key, const std::string& id, Instant now) {
    auto& history = values_[key];
    if (history.empty()) history.push_back({});
    history.back().replaced = now;
    history.push_back({id});
  }
  // Nothing older may be shown for this key from now on.
  void forget_history(const Key& key) {
    auto& history = values_[key];
    if (history.size() > 1) history.erase(history.begin(), history.end() - 1);
  }
  std::string current(const Key& key) {
    const auto& history = values_[key];
    return history.empty() ? "" : history.back().id;
  }
  bool has_any_below(const std::string& prefix) {
    return std::ranges::any_of(kKeys, [&](const Key& key) {
      return key != prefix && key.starts_with(prefix) && !current(key).empty();
    });
  }
  // What a catalog may take for the value of the key at `now`.
  std::set<std::string> possible(const Key& key, Instant now) {
    std::set<std::string> ids;
    for (const auto& value : values_[key]) {
      if (value.replaced > now - kTtl) ids.insert(value.id);
    }
    if (ids.empty()) ids.insert("");
    return ids;
  }
  bool may_be_directory(const std::string& path, Instant now) {
    return any_below(path, now,
                     [](const auto& ids) { return ids.size() > 1 || !ids.contains(""); });
  }
  bool must_be_directory(const std::string& path, Instant now) {
    return any_below(path, now, [](const auto& ids) { return !ids.contains(""); });
  }

 private:
  template <class Test>
  bool any_below(const std::string& path, Instant now, Test test) {
    return std::ranges::any_of(kKeys, [&](const Key& key) {
      return key.starts_with(path + "/") && test(possible(key, now));
    });
  }
  std::map<Key, std::vector<Value>> values_;
};

struct World {
  explicit World(const CatalogSettings& settings, int page)
      : store(executor.clock(), {.most_keys = page}),
        catalog(make_catalog(requests, executor, settings, {})) {
    store.fail_before([this](StoreVerb verb, const Key&, int) -> std::optional<Error> {
      if (!broken || !asks(verb)) return std::nullopt;
      return Error{
          .code = ErrorCode::invalid_request, .detail = {}, .request_id = {}, .retry_after = {}};
    });
    // An own change between the moment at which B2 looked and the one at which its answer came.
    store.fail_after([this](StoreVerb verb, const Key&, int) -> std::optional<Error> {
      if (asks(verb) && std::exchange(races, false)) own_change(*rc::gen::elementOf(kKeys));
      return std::nullopt;
    });
  }

  static bool asks(StoreVerb verb) {
    return verb == StoreVerb::list_objects || verb == StoreVerb::head_object;
  }
  Instant now() const { return executor.clock().now(); }

  // `body` decides the ETag: one of few, so that versions may differ in their metadata only.
  StoredObject put(const Key& key, const std::string& id, const std::string& body) {
    auto stored = put_text(store, key, body, {{"spillway-id", id}});
    RC_ASSERT(stored.ok());
    model.set(key, id, now());
    return *stored;
  }
  void remove(const Key& key) {
    RC_ASSERT(store.delete_object(key, {}, {}).ok());
    model.set(key, "", now());
  }

  void foreign_change(const Key& key) {
    // A version with the same bytes less than two seconds after another can't be told from it.
    executor.step(seconds(3));
    if (*rc::gen::arbitrary<bool>()) {
      put(key, "foreign" + std::to_string(++ids), *rc::gen::element<std::string>("x", "y"));
    } else {
      remove(key);
    }
    if (*rc::gen::arbitrary<bool>()) executor.step(seconds(3));
  }
  void own_change(const Key& key) {
    executor.step(seconds(*rc::gen::element(0, 3)));
    const bool is_marker = key.ends_with('/');
    const Path path = Path::parse(is_marker ? key.substr(0, key.size() - 1) : key).value();
    if (*rc::gen::arbitrary<bool>()) {
      own_put(key, path);
    } else if (!is_marker) {
      remove(key);
      catalog->file_removed(path);
    } else if (!model.has_any_below(key)) {
      remove(key);
      catalog->directory_removed(path);
    } else {
      return;
    }
    model.forget_history(key);
  }
  void own_put(const Key& key, const Path& path) {
    const std::string id = "own" + std::to_string(++ids);
    const auto stored = put(key, id, id);
    RemoteFile file;
    file.size = id.size();
    file.etag = stored.etag;
    file.version_id = stored.version_id;
    file.last_modified = stored.date;
    file.metadata.correlation_id = id;
    if (key.ends_with('/')) {
      catalog->directory_stored(path, {.has_marker = true, .metadata = file.metadata});
    } else {
      catalog->file_stored(path, file);
    }
  }

  void check(const std::string& path, const RemoteEntry& entry) {
    RC_LOG() << path << (entry.directory ? " directory" : "")
             << (entry.file ? " file " + entry.file->metadata.correlation_id : "") << "\n";
    const Instant at = now();
    if (entry.directory) {
      RC_ASSERT(model.may_be_directory(path, at));
      return;
    }
    RC_ASSERT(!model.must_be_directory(path, at));
    const std::string id = entry.file ? entry.file->metadata.correlation_id : "";
    RC_ASSERT(model.possible(path, at).contains(id));
  }
  void find(const std::string& path) {
    const auto entry = catalog->find(Path::parse(path).value());
    RC_ASSERT(entry.ok() || broken);
    if (entry.ok()) check(path, *entry);
  }
  void list(const std::string& directory) {
    std::vector<ListedName> names;
    for (std::optional<ListPosition> from = ListPosition(); from;) {
      auto listing = catalog->list(Path::parse(directory).value(), *from);
      RC_ASSERT(!listing.error || broken);
      if (listing.error) return;
      std::ranges::move(listing.names, std::back_inserter(names));
      from = std::move(listing.next);
    }
    std::map<std::string, RemoteEntry> entries;
    const std::string prefix = directory.empty() ? "" : directory + "/";
    for (const auto& name : names) {
      RC_ASSERT(!entries.contains(prefix + name.name));
      auto& entry = entries[prefix + name.name];
      if (name.is_directory) {
        entry.directory = RemoteDirectory();
      } else if (name.metadata_known) {
        entry.file = name.file;
      } else {
        entries.erase(prefix + name.name);
        unchecked.insert(prefix + name.name);
      }
    }
    for (const auto& path : kPaths) {
      const bool is_here = path.starts_with(prefix) && !path.substr(prefix.size()).contains('/');
      if (is_here && !unchecked.contains(path)) check(path, entries[path]);
    }
    unchecked.clear();
  }
  void is_empty(const std::string& directory) {
    races = false;
    const auto empty = catalog->is_empty(Path::parse(directory).value());
    RC_ASSERT(empty.ok() || broken);
    if (empty.ok()) RC_ASSERT(*empty != model.has_any_below(directory + "/"));
  }

  void step() {
    switch (*rc::gen::inRange(0, 11)) {
      case 0:
        return foreign_change(*rc::gen::elementOf(kKeys));
      case 1:
      case 2:
        return own_change(*rc::gen::elementOf(kKeys));
      case 3:
        return executor.step(milliseconds(*rc::gen::inRange(0, 6'000)));
      case 4:
        return list(*rc::gen::element<std::string>("", "a", "a/b", "b", "c", "c/d"));
      case 5:
        return is_empty(*rc::gen::element<std::string>("a", "a/b", "b", "c"));
      case 6:
        broken = !broken && *rc::gen::inRange(0, 4) == 0;
        return;
      case 7:
        races = true;
        return;
      default:
        return find(*rc::gen::elementOf(kPaths));
    }
  }

  ManualExecutor executor{1};
  MemoryStore store;
  bool broken = false;
  bool races = false;
  int ids = 0;
  Model model;
  std::set<std::string> unchecked;
  Requests requests{store, executor, {.reading = {}, .naming = {}, .disabled = {}}};
  std::unique_ptr<Catalog> catalog;
};

RC_GTEST_PROP(CatalogModel, AnswersAreNeverOlderThanTheTtlAndOwnChangesShowAtOnce, ()) {
  World world({.ttl = kTtl,
               .largest_listing = *rc::gen::element<std::size_t>(2, 20'000),
               .kept_names = *rc::gen::element<std::size_t>(4, 9, 200'000)},
              *rc::gen::element(1, 2, 1'000));
  const int steps = *rc::gen::inRange(1, 60);
  for (int i = 0; i < steps; ++i) world.step();
}

}  // namespace
}  // namespace spillway
