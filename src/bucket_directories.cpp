// BucketFileSystem, continued: directories.
#include <algorithm>
#include <utility>

#include "src/bucket_file_system.h"
#include "src/open_directory.h"

namespace spillway {
namespace {

// Names whose metadata is learned together while a directory is read.
constexpr std::size_t kLearnAhead = 256;

}  // namespace

Result<DirectoryHandle*> BucketFileSystem::open_directory(const Path& path) {
  return new DirectoryHandle(parts_.executor, path);  // release_directory() deletes it
}

void BucketFileSystem::release_directory(DirectoryHandle* handle) { delete handle; }

// The names from there on, as far as they are read at once, in place of those before.
void BucketFileSystem::take_stretch(const Path& directory, const ListPosition& from,
                                    DirectoryHandle::Snapshot& snapshot) {
  const std::uint64_t first = from.is_start() ? 0 : snapshot.end();
  snapshot = {};
  snapshot.is_taken = true;
  snapshot.first = first;
  snapshot.from = from;
  std::map<std::string, DirectoryEntry> names;
  gather_names(directory, snapshot, names);
  snapshot.entries.reserve(names.size());
  for (auto& [name, entry] : names) {
    entry.next = snapshot.end() + 1;
    snapshot.entries.push_back(std::move(entry));
  }
}

// All names of a stretch, the more important source overwriting the less important one.
void BucketFileSystem::gather_names(const Path& asked_for, DirectoryHandle::Snapshot& snapshot,
                                    std::map<std::string, DirectoryEntry>& names) {
  const auto place = trees_.place_of(asked_for);
  if (!place) return;
  const Path& directory = *place;
  const auto add = [&](std::string_view name, FileKind kind, std::optional<Attributes> known) {
    DirectoryEntry entry;
    entry.name = std::string(name);
    entry.kind = kind;
    entry.attributes = known;
    const auto path = directory.child(name);
    const bool is_here = snapshot.from.is_before(name) &&
                         !(snapshot.next && snapshot.next->is_before(name));
    if (!path || !is_here) return;
    entry.inode = make_attributes(*path, {}, 0, {}).inode;
    names[entry.name] = std::move(entry);
  };
  if (settings_.service.state != ServiceState::local_only) {
    RemoteListing listing = catalog_->list(directory, snapshot.from);
    snapshot.error = std::move(listing.error);
    snapshot.next = std::move(listing.next);
    for (const ListedName& listed : listing.names) {
      const auto path = directory.child(listed.name);
      const bool may_be_a_means = path && (!parts_.shadow.begun_as(*path).empty() ||
                                           !parts_.shadow.unwanted_objects(path->text()).empty());
      if (may_be_a_means && !find(*path).exists()) continue;
      add(listed.name, listed.is_directory ? FileKind::directory : FileKind::regular, {});
    }
  }
  for (const ShadowRecord& record : parts_.shadow.within(directory)) {
    if (record.path == directory) continue;
    const std::string rest = record.path.text().substr(directory.prefix().size());
    const std::size_t slash = rest.find('/');
    const bool is_here = slash == std::string::npos;
    add(rest.substr(0, slash), is_here ? record.metadata.kind : FileKind::directory, {});
  }
  auto files = open_files_.lock();
  for (const auto& [path, file] : *files) {
    if (path.parent() == directory && !path.is_root()) {
      auto state = file->state.lock();
      add(path.name(), state->metadata.kind, attributes_of(*state));
    }
  }
  std::erase_if(names, [&](const auto& entry) {
    const auto path = directory.child(entry.first);
    return path && trees_.place_of(*path) != path;
  });
}

Result<> BucketFileSystem::read_directory(
    DirectoryHandle& handle, std::uint64_t from, EntryDetail detail,
    const std::function<bool(const DirectoryEntry&)>& visit) {
  auto snapshot = handle.snapshot.lock();
  // Who goes back in a large directory has it read again from the start.
  if (from == 0 || !snapshot->is_taken || from < snapshot->first) {
    take_stretch(handle.path, {}, *snapshot);
  }
  while (from >= snapshot->end() && snapshot->next) {
    const ListPosition next = *std::exchange(snapshot->next, std::nullopt);
    take_stretch(handle.path, next, *snapshot);
  }
  // No call goes on into the next stretch: the kernel may ask once more for what it got last.
  for (std::size_t i = from - snapshot->first; i < snapshot->entries.size(); ++i) {
    DirectoryEntry& entry = snapshot->entries[i];
    if (detail == EntryDetail::attributes && i >= snapshot->learned) {
      learn_ahead(handle.path, *snapshot, i);
    }
    if (detail == EntryDetail::attributes && !entry.attributes) {
      fill_attributes(handle.path, entry);
    }
    if (!visit(entry)) return {};
  }
  if (snapshot->next) return {};
  if (snapshot->error) return fail(*snapshot->error);
  return {};
}

// Asks for the metadata of the next names, many at once.
void BucketFileSystem::learn_ahead(const Path& directory, DirectoryHandle::Snapshot& snapshot,
                                   std::size_t from) {
  const std::size_t end = std::min(from + kLearnAhead, snapshot.entries.size());
  std::vector<Path> files;
  for (std::size_t i = from; i < end; ++i) {
    const DirectoryEntry& entry = snapshot.entries[i];
    if (entry.attributes) continue;
    const auto path = directory.child(entry.name);
    if (path && !parts_.shadow.find(*path)) files.push_back(*path);
  }
  snapshot.learned = end;
  // What can't be learned is given without attributes: the kernel asks for it by name.
  if (!files.empty()) static_cast<void>(catalog_->learn(files));
}

void BucketFileSystem::fill_attributes(const Path& directory, DirectoryEntry& entry) {
  const auto path = directory.child(entry.name);
  if (!path) return;
  Found found;
  found.local = parts_.shadow.find(*path);
  if (!found.local) {
    auto remembered = catalog_->recall(*path);
    if (!remembered) return;
    show_waiting_metadata(*path, *remembered, found.changed_at);
    if (remembered->directory) {
      // Owner and permissions of a guess would let others in: the kernel asks for it by name.
      if (!remembered->directory->is_known) return;
      found.is_directory = true;
      found.directory = remembered->directory->metadata;
    } else if (remembered->file && !remembered->file->version_id.empty()) {
      found.remote = remembered->file;
    } else {
      return;
    }
    entry.valid_for = catalog_->valid_for(*path);
  }
  entry.attributes = attributes_of(*path, found);
  entry.kind = entry.attributes->kind;
}

// --- making and removing

Result<> BucketFileSystem::store_directory(const Path& path, const Metadata& metadata) {
  PutRequest put;
  put.key = path.prefix();
  put.content_type = "application/x-directory";
  put.metadata = to_map(metadata);
  const auto known = catalog_->recall(path);
  const StoredObject stored =
      TRY(requests_.name([&](ObjectStore& store, const CallOptions& options) {
        return store.put_object(put, options);
      }));
  const VersionIdentity identity{.size = 0,
                                 .etag = stored.etag,
                                 .modified = stored.date == WallTime{} ? now() : stored.date,
                                 .source = VersionIdentity::Source::answer};
  catalog_->directory_stored(path, {.has_marker = true,
                                    .marker_version = stored.version_id,
                                    .metadata = metadata,
                                    .version = identity});
  if (known && known->directory && known->directory->marker_version != stored.version_id) {
    remove_version(put.key, known->directory->marker_version);
  }
  return {};
}

Result<Attributes> BucketFileSystem::make_directory(const Path& path, std::uint32_t permissions,
                                                    const Caller& caller) {
  TRY(check_creatable(path));
  const auto held = TRY(take_new_name(path));
  const Found found = find(path);
  if (found.exists()) return fail(ErrorCode::exists, path.text());
  Metadata metadata;
  metadata.kind = FileKind::directory;
  metadata.permissions = permissions & 07777U;
  metadata.uid = caller.uid;
  metadata.gid = caller.gid;
  metadata.mtime = now();
  // In an outage that is known of already nobody waits for its retries once more.
  const auto outage = service_.outage();
  const Result<> stored = outage ? Result<>(fail(*outage)) : store_directory(path, metadata);
  if (!stored.ok() && stored.error().code == ErrorCode::invalid_request) {
    // Servers that refuse "name/" objects: the directory is there for as long as this mount is, and
    // for good with its first file.
    catalog_->directory_stored(path, {.has_marker = false, .marker_version = {}, .metadata = metadata});
  } else if (!stored.ok()) {
    TRY(keep_directory_locally(path, metadata, stored.error(), found));
  }
  Found made;
  made.is_directory = true;
  made.directory = metadata;
  return attributes_of(path, made);
}

// In an outage a tree can still be copied in: the directory waits in the shadow like its files.
Result<> BucketFileSystem::keep_directory_locally(const Path& path, const Metadata& metadata,
                                                  const Error& reason, const Found& found) {
  ShadowRecord record;
  record.path = path;
  record.metadata = metadata;
  record.reason = reason;
  record.seen = found.doubt ? Seen::unknown : Seen::absent;
  if (found.is_directory) record.seen = Seen::object;
  if (reason.cause == Cause::ambiguous) record.seen = Seen::doubtful;
  record.stored_at = now();
  record.attempts = 1;
  auto draft = parts_.shadow.create_draft();
  Result<ShadowRecord> kept = draft.ok() ? parts_.shadow.publish(**draft, record)
                                         : Result<ShadowRecord>(fail(draft.error()));
  Fields fields = to_failure_json(reason);
  fields["path"] = path.text() + "/";
  if (!kept.ok()) {
    fields["detail"] = reason.detail + "; shadow: " + kept.error().detail;
    parts_.log.event(Level::error, "mkdir_failed", std::move(fields));
    return fail(reason);
  }
  fields["storage"] = "local";
  parts_.log.event(Level::warning, "mkdir", std::move(fields));
  return {};
}

Result<bool> BucketFileSystem::is_empty(const Path& directory) {
  const auto records = parts_.shadow.within(directory);
  const bool has_record = std::ranges::any_of(
      records, [&](const ShadowRecord& record) { return record.path != directory; });
  if (has_record) return false;
  {
    auto files = open_files_.lock();
    const auto below = [&](const auto& entry) {
      return entry.first != directory && entry.first.is_within(directory);
    };
    if (std::ranges::any_of(*files, below)) return false;
  }
  if (settings_.service.state == ServiceState::local_only) return true;
  return catalog_->is_empty(directory);
}

Result<> BucketFileSystem::remove_directory(const Path& path) {
  const auto held = path_locks_.take(path);
  const Found found = TRY(find_existing(path));
  if (!found.is_directory) return fail(ErrorCode::not_directory, path.text());
  const auto record = parts_.shadow.find(path);
  const bool is_local_only = record && record->seen == Seen::absent;
  bool was_in_bucket = false;
  const auto empty = is_empty(path);
  if (!empty.ok() && !is_local_only) return fail(empty.error());
  if (empty.ok() && !empty.value()) return fail(ErrorCode::not_empty, path.text());
  if (!is_local_only && settings_.service.state != ServiceState::local_only) {
    const auto remembered = catalog_->recall(path);
    const bool has_marker =
        remembered && remembered->directory && remembered->directory->has_marker;
    if (has_marker || record) {
      TRY(requests_.name([&](ObjectStore& store, const CallOptions& options) {
        return store.delete_object(path.prefix(), "", options);
      }));
      was_in_bucket = true;
    }
    catalog_->directory_removed(path);
  }
  if (record) TRY(parts_.shadow.remove(record->id));
  forget_waiting_metadata(path);
  keep_parent(path);
  if (was_in_bucket) purge(path.prefix(), nullptr);
  return {};
}

// A directory that was only implied by what it held would vanish with its last file; programs
// expect it to stay until they remove it.
void BucketFileSystem::keep_parent(const Path& path) {
  const Path parent = path.parent();
  if (parent.is_root()) return;
  const auto known = catalog_->recall(parent);
  if (known && known->directory) catalog_->directory_stored(parent, *known->directory);
}

Result<> BucketFileSystem::sync_directory(const Path& path) {
  std::vector<FilePointer> waiting;
  {
    auto files = open_files_.lock();
    for (const auto& [name, file] : *files) {
      if (name.is_within(path)) waiting.push_back(file);
    }
  }
  Result<> first;
  for (const FilePointer& file : waiting) {
    Result<> done = end_hold(file);
    if (first.ok() && !done.ok()) first = std::move(done);
  }
  Result<> sent = send_metadata_within(path);
  return first.ok() ? std::move(sent) : std::move(first);
}

}  // namespace spillway
