#include "src/catalog.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "src/catalog_index.h"
#include "src/catalog_request.h"
#include "src/guarded.h"

namespace spillway {
namespace {

using Need = CatalogIndex::View::Need;

// Keys that can't be shown are named once; past so many, only counted.
constexpr std::size_t kMostReported = 10'000;

// One question to B2 that is on its way. Who needs the same answer waits for it.
struct Flight {
  bool done = false;
  Moment began;
  std::optional<Error> error;
  // Of a directory too large to be kept: what of it was asked for.
  std::optional<RemoteListing> listing;
  bool has_all_names = false;
};

struct CatalogState {
  explicit CatalogState(const CatalogSettings& settings) : index(settings) {}
  CatalogIndex index;
  std::map<std::string, std::shared_ptr<Flight>> flights;
  std::unordered_set<Key> reported;
};
using LockedCatalog = Guarded<CatalogState>::Locked;

// Keeps a directory in memory for as long as it lives. The lock is held when it is made and when
// it goes.
class Pin {
 public:
  Pin(LockedCatalog& state, Path directory) : state_(state), directory_(std::move(directory)) {
    state_->index.pin(directory_);
  }
  ~Pin() { state_->index.unpin(directory_); }
  Pin(const Pin&) = delete;
  Pin& operator=(const Pin&) = delete;

 private:
  LockedCatalog& state_;
  const Path directory_;
};

// The files of one learn(), taken by several threads.
struct Batch {
  explicit Batch(std::vector<Path> files) : left(std::move(files)) {}
  std::vector<Path> left;
  int working = 0;
  std::optional<Error> first_error;
};

// Asks for one after the other. A job that comes when nothing is left calls nothing: nobody has to
// wait for it.
template <class Ask>
void work_off(Guarded<Batch>& batch, const Ask& ask) {
  auto work = batch.lock();
  ++work->working;
  while (!work->left.empty()) {
    const Path path = std::move(work->left.back());
    work->left.pop_back();
    const std::optional<Error> error = work.unlocked([&] { return ask(path); });
    if (error && !work->first_error) work->first_error = error;
  }
  --work->working;
  work.notify_all();
}

RememberedObject remembered(const VersionIdentity& identity, const ObjectInfo& info) {
  return {.identity = identity,
          .version_id = info.version_id,
          .content_type = info.content_type,
          .metadata = info.metadata};
}

// An own upload's time is that of the answer: the listing's is bound to it when it comes.
RememberedObject remembered(const RemoteFile& file) {
  return {.identity = {.size = file.size,
                       .etag = file.etag,
                       .modified = file.last_modified,
                       .source = VersionIdentity::Source::answer},
          .version_id = file.version_id,
          .content_type = file.content_type,
          .metadata = to_map(file.metadata)};
}

// The attribute cache is asked name by name, when a name's metadata is wanted, and never for a whole
// directory: a plain `ls` of a million names needs none of it, and one question costs microseconds.
// What changes is noted with the lock held, so that the cache sees changes in the index's order;
// asking, which may read the disk, happens with it released.
class RemoteCatalog final : public Catalog {
 public:
  RemoteCatalog(Requests& requests, Executor& executor, const CatalogSettings& settings,
                HiddenKey on_hidden_key, AttributeCache& attributes)
      : requests_(requests),
        attributes_(attributes),
        executor_(executor),
        settings_(settings),
        on_hidden_key_(std::move(on_hidden_key)),
        state_(executor, settings) {}

  Result<RemoteEntry> find(const Path& path) override;
  RemoteListing list(const Path& directory, const ListPosition& from) override;
  Result<> learn(const std::vector<Path>& files) override;
  Result<bool> is_empty(const Path& directory) override;

  void file_stored(const Path& path, const RemoteFile& file) override;
  void file_removed(const Path& path) override;
  void directory_stored(const Path& path, const RemoteDirectory& directory) override;
  void directory_removed(const Path& path) override;
  void tree_stored(const Path& directory) override {
    state_.lock()->index.tree_stored(directory, now());
  }
  void tree_removed(const Path& directory) override {
    state_.lock()->index.tree_removed(directory, now());
  }
  void file_in_doubt(const Path& path) override;
  std::optional<RemoteEntry> recall(const Path& path) override {
    return state_.lock()->index.recall(path);
  }
  bool is_listed(const Path& path) override { return state_.lock()->index.is_listed(path); }
  Duration valid_for(const Path& path) override;

 private:
  using FlightPointer = std::shared_ptr<Flight>;

  [[nodiscard]] Instant now() const { return executor_.clock().now(); }

  // Waits for the flight of this name, or makes `ask(state, flight)` the flight. `ask` releases the
  // lock while B2 is asked. `pinned` stays in memory meanwhile.
  template <class Ask>
  FlightPointer join(LockedCatalog& state, const std::string& name, const Path& pinned, Ask ask);

  FlightPointer fetch_listing(LockedCatalog& state, const Path& directory, ListPurpose purpose,
                              const ListPosition& from = {});
  FlightPointer look_up(LockedCatalog& state, const Path& path);
  FlightPointer fetch_file_metadata(LockedCatalog& state, const Path& path);
  FlightPointer fetch_directory_metadata(LockedCatalog& state, const Path& path);
  FlightPointer fetch(LockedCatalog& state, const Path& path, Need need);
  // Whether the attribute cache knew what is needed, and it is in the index now.
  bool remember(LockedCatalog& state, const Path& path, Need need);
  bool remember_file(LockedCatalog& state, const Path& path);
  bool remember_marker(LockedCatalog& state, const Path& path);
  void note_head(const Key& key, const std::optional<VersionIdentity>& version,
                 const ObjectInfo* info);
  void report(LockedCatalog& state, const std::vector<Key>& hidden);

  Requests& requests_;
  AttributeCache& attributes_;
  Executor& executor_;
  const CatalogSettings settings_;
  const HiddenKey on_hidden_key_;
  Guarded<CatalogState> state_;
};

template <class Ask>
RemoteCatalog::FlightPointer RemoteCatalog::join(LockedCatalog& state, const std::string& name,
                                                 const Path& pinned, Ask ask) {
  if (const auto found = state->flights.find(name); found != state->flights.end()) {
    const auto flight = found->second;
    state.wait([&] { return flight->done; });
    return flight;
  }
  const auto flight = std::make_shared<Flight>();
  state->flights.emplace(name, flight);
  const Pin pin(state, pinned);
  flight->began = state->index.begin(now());
  ask(state, *flight);
  flight->done = true;
  state->flights.erase(name);
  state.notify_all();
  return flight;
}

RemoteCatalog::FlightPointer RemoteCatalog::fetch_listing(LockedCatalog& state,
                                                          const Path& directory,
                                                          ListPurpose purpose,
                                                          const ListPosition& from) {
  const std::string name = "list " + directory.text() + '\0' + from.token;
  return join(state, name, directory, [&](auto& held, Flight& flight) {
    auto fetched = held.unlocked([&] {
      return fetch_rows(requests_, directory, purpose, from, settings_.largest_listing);
    });
    const bool is_stretch = fetched.next || !from.is_start();
    flight.error = std::move(fetched.error);
    if (is_stretch) {
      flight.listing =
          held->index.add_stretch(directory, fetched.rows, from, fetched.next, flight.began);
      flight.listing->next = std::move(fetched.next);
    } else {
      flight.listing = held->index.add_listing(directory, fetched.rows, flight.began);
    }
    flight.has_all_names =
        (is_stretch || fetched.rows.extent == DirectoryRows::Extent::complete) &&
        !held->index.has_doubts(directory);
    report(held, fetched.hidden);
  });
}

RemoteCatalog::FlightPointer RemoteCatalog::look_up(LockedCatalog& state, const Path& path) {
  const Path parent = path.parent();
  if (!state->index.is_large(parent)) return fetch_listing(state, parent, ListPurpose::look_up);
  return join(state, "look " + path.text(), parent, [&](auto& held, Flight& flight) {
    const auto answer = held.unlocked([&] { return fetch_point(requests_, path); });
    if (answer.ok()) {
      held->index.add_point(path, answer->file, answer->is_directory, flight.began);
    } else {
      flight.error = answer.error();
    }
  });
}

RemoteCatalog::FlightPointer RemoteCatalog::fetch_file_metadata(LockedCatalog& state,
                                                                const Path& path) {
  return join(state, "head " + path.text(), path.parent(), [&](auto& held, Flight& flight) {
    const auto info = held.unlocked([&] { return fetch_head(requests_, path.text()); });
    if (info.ok()) {
      const ObjectInfo* const object = info->has_value() ? &**info : nullptr;
      note_head(path.text(), held->index.add_head(path, object, flight.began), object);
    } else {
      flight.error = info.error();
    }
  });
}

RemoteCatalog::FlightPointer RemoteCatalog::fetch_directory_metadata(LockedCatalog& state,
                                                                     const Path& path) {
  return join(state, "mark " + path.text(), path, [&](auto& held, Flight& flight) {
    const auto info = held.unlocked([&] { return fetch_head(requests_, path.prefix()); });
    if (info.ok()) {
      const ObjectInfo* const object = info->has_value() ? &**info : nullptr;
      note_head(path.prefix(), held->index.add_marker_head(path, object, flight.began), object);
    } else {
      flight.error = info.error();
    }
  });
}

RemoteCatalog::FlightPointer RemoteCatalog::fetch(LockedCatalog& state, const Path& path,
                                                  Need need) {
  switch (need) {
    case Need::nothing:
      break;
    case Need::lookup:
      return look_up(state, path);
    case Need::file_metadata:
      return fetch_file_metadata(state, path);
    case Need::directory_metadata:
      return fetch_directory_metadata(state, path);
  }
  return std::make_shared<Flight>();
}

void RemoteCatalog::note_head(const Key& key, const std::optional<VersionIdentity>& version,
                              const ObjectInfo* info) {
  if (info == nullptr) {
    attributes_.forget(key);
  } else if (version) {
    attributes_.keep(key, remembered(*version, *info));
  }
}

bool RemoteCatalog::remember(LockedCatalog& state, const Path& path, Need need) {
  if (need == Need::file_metadata) return remember_file(state, path);
  return need == Need::directory_metadata && remember_marker(state, path);
}

bool RemoteCatalog::remember_file(LockedCatalog& state, const Path& path) {
  const auto object = state.unlocked([&] { return attributes_.recall(path.text()); });
  // Somebody else may have asked meanwhile.
  if (state->index.metadata_need(path) == Need::nothing) return true;
  return object && state->index.add_remembered(path, *object);
}

// What tells that a marker is still the one remembered, or that there is none, is a listing of its
// directory. It costs the one request that a HEAD would, and who read the directory before will
// most likely read it again.
bool RemoteCatalog::remember_marker(LockedCatalog& state, const Path& path) {
  const Key key = path.prefix();
  if (!state->index.has_listed_marker(path)) {
    if (!state.unlocked([&] { return attributes_.knows_below(key); })) {
      return state->index.metadata_need(path) == Need::nothing;
    }
    if (state->index.metadata_need(path) == Need::nothing) return true;
    fetch_listing(state, path, ListPurpose::look_up);
  }
  const auto object = state.unlocked([&] { return attributes_.recall(key); });
  if (state->index.metadata_need(path) == Need::nothing) return true;
  return object && state->index.add_remembered_marker(path, *object);
}

Result<RemoteEntry> RemoteCatalog::find(const Path& path) {
  const Instant since = now();
  auto state = state_.lock();
  auto view = state->index.look(path, since);
  if (view.need == Need::nothing) return std::move(view.entry);
  // What one request brought must still be there when the next one has brought the rest.
  const Pin pin(state, path.parent());
  while (view.need != Need::nothing) {
    if (!remember(state, path, view.need)) {
      const auto flight = fetch(state, path, view.need);
      if (flight->error) return fail(*flight->error);
    }
    view = state->index.look(path, since);
  }
  return std::move(view.entry);
}

RemoteListing RemoteCatalog::list(const Path& directory, const ListPosition& from) {
  const Instant since = now();
  auto state = state_.lock();
  while (true) {
    auto fresh = from.is_start() ? state->index.listing(directory, since) : std::nullopt;
    if (fresh) return *std::move(fresh);
    const auto flight = fetch_listing(state, directory, ListPurpose::read, from);
    if (flight->error) {
      auto known = flight->listing.value_or(state->index.known_names(directory));
      known.error = flight->error;
      return known;
    }
    const Instant began = flight->began.time;
    const bool is_recent = began >= since || began + settings_.ttl > since;
    if (flight->listing && flight->has_all_names && is_recent) return *flight->listing;
  }
}

Result<> RemoteCatalog::learn(const std::vector<Path>& files) {
  std::vector<Path> unknown;
  {
    auto state = state_.lock();
    std::ranges::copy_if(files, std::back_inserter(unknown), [&](const Path& path) {
      const Need need = state->index.metadata_need(path);
      return need == Need::directory_metadata ||
             (need == Need::file_metadata && !remember_file(state, path));
    });
  }
  const std::size_t workers = std::min(settings_.heads_at_once, unknown.size());
  const auto batch = std::make_shared<Guarded<Batch>>(executor_, std::move(unknown));
  const auto ask = [this](const Path& path) {
    auto state = state_.lock();
    const Need need = state->index.metadata_need(path);
    if (need == Need::directory_metadata && remember_marker(state, path)) {
      return std::optional<Error>();
    }
    return fetch(state, path, need)->error;
  };
  for (std::size_t i = 1; i < workers; ++i) {
    executor_.submit([batch, ask] { work_off(*batch, ask); });
  }
  work_off(*batch, ask);
  auto work = batch->lock();
  work.wait([&] { return work->working == 0; });
  if (work->first_error) return fail(*work->first_error);
  return {};
}

Result<bool> RemoteCatalog::is_empty(const Path& directory) {
  while (true) {
    auto state = state_.lock();
    const Pin pin(state, directory);
    const Moment began = state->index.begin(now());
    const auto first = state.unlocked([&] { return fetch_first_keys(requests_, directory); });
    if (!first.ok()) return fail(first.error());
    if (state->index.filled_since(directory, began)) return false;
    bool removed_meanwhile = false;
    for (const auto& key : first->keys) {
      if (key == directory.prefix()) continue;
      if (!state->index.removed_since(key, began)) return false;
      removed_meanwhile = true;
    }
    // Others may come after those that have gone since.
    if (first->are_all || !removed_meanwhile) return true;
  }
}

// --- own changes

void RemoteCatalog::file_stored(const Path& path, const RemoteFile& file) {
  auto state = state_.lock();
  state->index.file_stored(path, file, now());
  attributes_.keep(path.text(), remembered(file));
}

void RemoteCatalog::file_removed(const Path& path) {
  auto state = state_.lock();
  state->index.file_removed(path, now());
  attributes_.forget(path.text());
}

void RemoteCatalog::directory_stored(const Path& path, const RemoteDirectory& directory) {
  auto state = state_.lock();
  state->index.directory_stored(path, directory, now());
  if (!directory.has_marker || !directory.version) return attributes_.forget(path.prefix());
  attributes_.keep(path.prefix(), {.identity = *directory.version,
                                   .version_id = {},
                                   .content_type = {},
                                   .metadata = to_map(directory.metadata)});
}

void RemoteCatalog::directory_removed(const Path& path) {
  auto state = state_.lock();
  state->index.directory_removed(path, now());
  attributes_.forget(path.prefix());
}

void RemoteCatalog::file_in_doubt(const Path& path) {
  auto state = state_.lock();
  state->index.file_in_doubt(path);
  attributes_.forget(path.text());
}

Duration RemoteCatalog::valid_for(const Path& path) {
  const Instant at = now();
  const auto view = state_.lock()->index.look(path, at);
  // Of a directory whose metadata is not known recall() gives a guess.
  if (view.need != Need::nothing) return Duration::zero();
  return std::max(view.until - at, Duration::zero());
}

void RemoteCatalog::report(LockedCatalog& state, const std::vector<Key>& hidden) {
  std::vector<Key> fresh;
  for (const auto& key : hidden) {
    if (state->reported.size() >= kMostReported) break;
    if (state->reported.insert(key).second) fresh.push_back(key);
  }
  if (fresh.empty() || !on_hidden_key_) return;
  state.unlocked([&] {
    for (const auto& key : fresh) on_hidden_key_(key);
  });
}

}  // namespace

std::unique_ptr<Catalog> make_catalog(Requests& requests, Executor& executor,
                                      const CatalogSettings& settings,
                                      Catalog::HiddenKey on_hidden_key,
                                      AttributeCache& attributes) {
  return std::make_unique<RemoteCatalog>(requests, executor, settings, std::move(on_hidden_key),
                                         attributes);
}

}  // namespace spillway
