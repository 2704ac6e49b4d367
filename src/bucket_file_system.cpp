#include "src/bucket_file_system.h"

#include <algorithm>
#include <utility>

namespace spillway {
namespace {

constexpr std::uint32_t kFilePermissions = 0644;
constexpr std::uint32_t kDirectoryPermissions = 0755;

Requests::Settings request_settings(const EngineSettings& settings) {
  Requests::Settings requests;
  requests.reading.retry_for = settings.options.retry_for;
  requests.naming.retry_for = settings.options.name_retry_for;
  requests.cooldown = settings.options.cooldown;
  if (settings.service.state == ServiceState::local_only) requests.disabled = settings.service.reason;
  return requests;
}

CatalogSettings catalog_settings(const EngineSettings& settings) {
  CatalogSettings catalog;
  catalog.ttl = settings.options.attr_ttl;
  catalog.largest_listing = settings.largest_listing;
  return catalog;
}

// FNV-1a over the path: the same on every mount. 0 and 1 are the kernel's.
std::uint64_t inode_of(const Path& path) {
  if (path.is_root()) return 1;
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : path.text()) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  }
  return hash < 2 ? hash + 2 : hash;
}

}  // namespace

std::unique_ptr<FileSystem> make_file_system(const EngineParts& parts,
                                             const EngineSettings& settings) {
  return std::make_unique<BucketFileSystem>(parts, settings);
}

BucketFileSystem::BucketFileSystem(const EngineParts& parts, const EngineSettings& settings)
    : jobs_(parts.executor),
      parts_{parts.store, parts.shadow, parts.hashing, jobs_, parts.log, parts.attributes},
      settings_(settings),
      requests_(parts.store, jobs_, request_settings(settings)),
      service_(jobs_, parts.log, requests_, settings.service, settings.options.cooldown,
               settings.options.uploads),
      pool_(jobs_, settings.options.memory),
      catalog_(make_catalog(requests_, jobs_, catalog_settings(settings),
                            [this](const Key& key) {
                              ++hidden_keys_;
                              Fields fields = Fields::object();
                              fields["key"] = key;
                              fields["detail"] = "not shown: this key can't be a path";
                              parts_.log.event(Level::warning, "key_hidden", std::move(fields));
                            },
                            parts.attributes)),
      path_locks_(jobs_),
      trees_(requests_, parts_.shadow, jobs_, parts_.log),
      open_files_(jobs_),
      handles_(jobs_),
      metadata_waits_(jobs_),
      purges_under_way_(jobs_, 0),
      drain_(make_drain()),
      started_(jobs_.clock().now()) {
  resume_renames();
  if (settings.service.state == ServiceState::local_only) return;
  drain_->start();
  take_up_waiting_metadata();
}

BucketFileSystem::~BucketFileSystem() {
  drain_->stop();
  requests_.cancel();
  jobs_.stop();
}

WriterParts BucketFileSystem::writer_parts() {
  return {parts_.store,   parts_.shadow, pool_,    parts_.executor,
          parts_.hashing, parts_.log,    service_, requests_};
}

PartGrid BucketFileSystem::part_grid() const {
  // A part is held whole until B2 has acknowledged it, several at once: none may be larger than
  // this share of the memory.
  constexpr std::uint64_t kPartShare = 8;
  return {settings_.options.part_size, settings_.options.memory / kPartShare};
}

// --- the way back

std::shared_ptr<Drain> BucketFileSystem::make_drain() {
  DrainSettings settings;
  settings.files_at_once = settings_.options.uploads;
  settings.conflict = settings_.options.conflict;
  settings.grid = part_grid();
  settings.retry.retry_for = settings_.options.retry_for;
  return Drain::make({.writer = writer_parts(),
                      .catalog = *catalog_,
                      .path_locks = path_locks_,
                      .is_being_written = [this](const Path& path) { return is_being_written(path); },
                      .put_off_metadata = [this](const MetadataChange& change) {
                        return put_off_metadata(change);
                      },
                      .on_drained = [this](const Path& path,
                                           const RemoteFile& remote) { drained(path, remote); }},
                     settings);
}

bool BucketFileSystem::is_being_written(const Path& path) {
  if (trees_.place_of(path) != path) return true;  // it is about to get another name
  const FilePointer file = find_open(path);
  if (!file) return false;
  return file->state.lock()->writer != nullptr;
}

// Who has the file open reads on from B2.
void BucketFileSystem::drained(const Path& path, const RemoteFile& remote) {
  const FilePointer file = find_open(path);
  if (!file) return;
  auto state = file->state.lock();
  if (state->path != path || !state->local) return;
  state->local.reset();
  state->local_data.reset();
  state->reader.reset();
  state->remote = version_of(path, remote);
  state->seen = Seen::object;
  state->seen_etag = remote.etag;
  if (remote.history) state->report = *remote.history;
}

// --- what is there

BucketFileSystem::FilePointer BucketFileSystem::find_open(const Path& path) {
  auto files = open_files_.lock();
  const auto found = files->find(path);
  return found == files->end() ? nullptr : found->second;
}

BucketFileSystem::Found BucketFileSystem::find_at(const Path& path) {
  Found found;
  if (path.is_root()) {
    found.is_directory = true;
    found.valid_for = settings_.options.attr_ttl;
    return found;
  }
  found.open = find_open(path);
  if (found.open) return found;
  found.local = parts_.shadow.find(path);
  if (found.local) {
    found.is_directory = found.local->metadata.kind == FileKind::directory;
    found.directory = found.local->metadata;
    return found;
  }
  if (settings_.service.state != ServiceState::local_only) {
    auto asked = catalog_->find(path);
    std::optional<RemoteEntry> entry;
    if (asked.ok()) {
      entry = std::move(asked).value();
      found.valid_for = catalog_->valid_for(path);
    } else {
      entry = catalog_->recall(path);
      found.doubt = std::move(asked).error();
      found.is_listed = catalog_->is_listed(path);
    }
    if (entry) show_waiting_metadata(path, *entry, found.changed_at);
    if (entry && entry->directory) {
      found.is_directory = true;
      found.directory = entry->directory->metadata;
      return found;
    }
    if (entry && entry->file && !is_only_a_means(path, *entry->file)) found.remote = entry->file;
  }
  if (!found.remote && !parts_.shadow.within(path).empty()) found.is_directory = true;
  return found;
}

// The object that finished a split file, under a name that the file no longer has; also where the file
// has been replaced or removed since, and the object is still to go.
bool BucketFileSystem::is_only_a_means(const Path& path, const RemoteFile& file) {
  const std::string& id = file.metadata.correlation_id;
  if (id.empty()) return false;
  const auto unwanted = parts_.shadow.unwanted_objects(path.text());
  if (std::ranges::find(unwanted, id) != unwanted.end()) return true;
  return std::ranges::any_of(parts_.shadow.begun_as(path), [&](const ShadowRecord& record) {
    return record.metadata.correlation_id == id;
  });
}

Result<BucketFileSystem::Found> BucketFileSystem::find_existing(const Path& path) {
  Found found = find(path);
  if (found.exists()) return found;
  if (found.doubt) return fail(*found.doubt);
  return fail(ErrorCode::not_found, path.text());
}

Attributes BucketFileSystem::make_attributes(const Path& path, const Metadata& metadata,
                                             std::uint64_t size, WallTime fallback_time) const {
  Attributes attributes;
  attributes.kind = metadata.kind;
  attributes.size = size;
  attributes.mtime = metadata.mtime.value_or(fallback_time);
  attributes.ctime = attributes.mtime;
  const bool is_directory = metadata.kind == FileKind::directory;
  attributes.permissions =
      metadata.permissions.value_or(is_directory ? kDirectoryPermissions : kFilePermissions);
  if (metadata.kind == FileKind::symlink) attributes.permissions = 0777;
  const SpillwayOptions& options = settings_.options;
  if (options.umask) attributes.permissions &= ~*options.umask;
  attributes.uid = options.uid.value_or(metadata.uid.value_or(settings_.default_uid));
  attributes.gid = options.gid.value_or(metadata.gid.value_or(settings_.default_gid));
  attributes.inode = inode_of(path);
  return attributes;
}

Attributes BucketFileSystem::attributes_of(OpenFile::State& state) {
  const std::uint64_t size = state.writer ? state.writer->size() : state.stored_size;
  Attributes attributes = make_attributes(state.path, state.metadata, size, state.changed_at);
  attributes.ctime = std::max(attributes.mtime, state.changed_at);
  attributes.is_unlinked = state.is_unlinked;
  return attributes;
}

Attributes BucketFileSystem::attributes_of(const Path& path, const Found& found) {
  if (found.open) return attributes_of(*found.open->state.lock());
  Attributes attributes;
  if (found.is_directory) {
    Metadata metadata = found.directory;
    metadata.kind = FileKind::directory;
    attributes = make_attributes(path, metadata, 0, WallTime(std::chrono::seconds(0)));
  } else if (found.local) {
    attributes = make_attributes(path, found.local->metadata, found.local->size,
                                 found.local->stored_at);
  } else {
    attributes = make_attributes(path, found.remote->metadata, found.remote->size,
                                 found.remote->last_modified);
  }
  // B2's own time of the version is known in seconds at first, and exactly later: it would move.
  attributes.ctime = std::max(attributes.mtime, found.changed_at);
  return attributes;
}

Result<Lookup> BucketFileSystem::lookup(const Path& path) {
  const Found found = find(path);
  Lookup lookup;
  lookup.valid_for = found.valid_for;
  // Who copies a directory and is told that a name of it is "not there" takes it for deleted.
  if (!found.exists() && found.doubt && found.is_listed) return fail(*found.doubt);
  // A name that was never seen, and B2 can't be asked: "not there", not to be remembered, so that
  // creating it still works.
  if (found.exists()) lookup.attributes = attributes_of(path, found);
  return lookup;
}

Result<Attributes> BucketFileSystem::attributes(const Path& path, FileHandle* handle) {
  if (handle != nullptr) return attributes_of(*handle->file->state.lock());
  const Found found = TRY(find_existing(path));
  return attributes_of(path, found);
}

Result<Attributes> BucketFileSystem::set_attributes(const Path& path, FileHandle* handle,
                                                    const AttributeChange& change,
                                                    const Caller& caller) {
  if (change.size) {
    if (handle != nullptr) {
      const auto writer = handle->file->state.lock()->writer;
      if (!writer) return fail(ErrorCode::bad_handle, path.text());
      TRY(with_checkpoints(handle->file, [&] { return writer->truncate(*change.size); }));
      handle->has_written = true;
      handle->file->state.lock()->metadata.mtime = now();
    } else {
      TRY(truncate_unopened(path, *change.size, caller));
    }
  }
  if (change.permissions || change.uid || change.gid || change.mtime) {
    const auto apply = [&](Metadata& metadata) -> Result<> {
      if (change.permissions) metadata.permissions = *change.permissions;
      if (change.uid) metadata.uid = *change.uid;
      if (change.gid) metadata.gid = *change.gid;
      if (change.mtime) metadata.mtime = *change.mtime;
      return {};
    };
    TRY(change_metadata(path, handle, apply));
    if (change.mtime) {
      const FilePointer file = handle != nullptr ? handle->file : find_open(path);
      if (file) file->state.lock()->mtime_was_set = true;
    }
  }
  return attributes(path, handle);
}

Result<Space> BucketFileSystem::space() {
  // B2 has no size: a number that programs which look for room are content with.
  constexpr std::uint64_t kTotal = 1ULL << 50U;
  return Space{.total_bytes = kTotal, .free_bytes = kTotal, .files = 1U << 30U};
}

// The kernel is told from a job: never from within a call of its own.
void BucketFileSystem::content_changed(const Path& path) {
  parts_.executor.submit([this, path] {
    if (KernelCache* cache = kernel_cache_.load()) cache->content_changed(path);
  });
}

}  // namespace spillway
