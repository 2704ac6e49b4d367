// BucketFileSystem, continued: metadata of what is stored already. On B2 each change of it is a
// version of the whole object, so that changes are gathered for a moment: they are durable in the
// shadow's journal when the call returns, are shown from then on, and go to B2 in one copy.
#include <algorithm>
#include <utility>

#include "src/bucket_file_system.h"
#include "src/server_copy.h"

namespace spillway {
namespace {

// After the last change, and at most after the first one.
constexpr Duration kQuiet = std::chrono::seconds(1);
constexpr Duration kLongest = std::chrono::seconds(2);
// Before a failed copy is tried again; doubles. In an outage a try costs no request.
constexpr Duration kFirstPause = std::chrono::seconds(2);
constexpr Duration kLongestPause = std::chrono::minutes(5);
constexpr Duration kLongestPauseInOutage = std::chrono::seconds(20);

// Whether the change was made to this very version.
bool is_of(const MetadataChange& change, const RemoteFile& remote) {
  const RemoteVersion& version = change.version;
  const bool same_id = version.version_id.empty() || remote.version_id.empty() ||
                       version.version_id == remote.version_id;
  return same_id && version.etag == remote.etag && version.size == remote.size;
}

// The copy was made, and its answer was lost.
bool is_made(const MetadataChange& change, const RemoteFile& remote) {
  return !is_of(change, remote) && change.version.size == remote.size &&
         says_the_same(change.metadata, remote.metadata);
}

bool may_wait(const Error& error) {
  return means_outage(error.code) || error.code == ErrorCode::interrupted;
}

}  // namespace

// --- what is shown

void BucketFileSystem::show_waiting_metadata(const Path& path, RemoteEntry& entry,
                                             WallTime& changed_at) {
  const auto change = parts_.shadow.waiting_metadata(path);
  if (!change) return;
  const bool is_directory = change->metadata.kind == FileKind::directory;
  if (entry.directory && is_directory) {
    entry.directory->metadata = change->metadata;
  } else if (!entry.directory && entry.file && is_of(*change, *entry.file)) {
    entry.file->metadata = change->metadata;
    if (entry.file->history) entry.file->history->mtime = change->metadata.mtime;
  } else {
    return;
  }
  changed_at = change->changed_at;
}

// --- changing

Result<> BucketFileSystem::change_metadata(const Path& path, FileHandle* handle,
                                           const std::function<Result<>(Metadata&)>& change) {
  const FilePointer file = handle != nullptr ? handle->file : find_open(path);
  if (!file) {
    const auto held = path_locks_.take(path);
    return change_stored_metadata(path, TRY(find_existing(path)), change);
  }
  const auto fold = [&](OpenFile::State& state) -> Result<> {
    TRY(change(state.metadata));
    state.changed_at = now();
    return {};
  };
  // Of a file that is still to be committed the change goes along.
  const auto goes_along = [](const OpenFile::State& state) {
    return state.is_unlinked || (state.writer && state.writer->is_dirty());
  };
  {
    auto state = file->state.lock();
    if (goes_along(*state)) return fold(*state);
  }
  const auto held = take_name_of(*file);
  Path current;
  {
    auto state = file->state.lock();
    if (goes_along(*state)) return fold(*state);
    current = state->path;
  }
  const Found stored = TRY(find_stored(current));
  TRY(change_stored_metadata(current, stored, change));
  return fold(*file->state.lock());
}

// What is stored under the name, whatever is open there.
Result<BucketFileSystem::Found> BucketFileSystem::find_stored(const Path& path) {
  Found found;
  found.local = parts_.shadow.find(path);
  if (found.local) return found;
  RemoteEntry entry = TRY(catalog_->find(path));
  show_waiting_metadata(path, entry, found.changed_at);
  found.remote = std::move(entry.file);
  if (!found.remote) return fail(ErrorCode::not_found, path.text());
  return found;
}

Result<> BucketFileSystem::change_stored_metadata(
    const Path& path, const Found& found, const std::function<Result<>(Metadata&)>& change) {
  if (found.local) {
    ShadowRecord record = *found.local;
    TRY(change(record.metadata));
    return parts_.shadow.update(record);
  }
  Metadata before = found.directory;
  if (found.is_directory) before.kind = FileKind::directory;
  if (found.remote) before = found.remote->metadata;
  Metadata metadata = before;
  TRY(change(metadata));
  if (path.is_root() || metadata == before) return {};
  if (found.is_directory) return put_off_metadata({path, metadata, {}, now()});
  if (!found.remote) return fail(ErrorCode::not_found, path.text());
  return put_off_metadata({path, metadata, version_of(path, *found.remote), now()});
}

// Durable on return. The caller holds the path's lock.
Result<> BucketFileSystem::put_off_metadata(const MetadataChange& change) {
  if (parts_.shadow.note_metadata(change).ok()) {
    metadata_changed(change.path);
    return {};
  }
  // Nothing here can keep it: it is stored when B2 has it.
  return send_change(change);
}

// --- sending

// Begins to wait for more, or goes on waiting.
void BucketFileSystem::metadata_changed(const Path& path) {
  const Instant now = parts_.executor.clock().now();
  {
    auto waits = metadata_waits_.lock();
    const auto [wait, is_new] = waits->try_emplace(path, MetadataWait{.first = now, .last = now});
    wait->second.last = now;
    if (!is_new) return;
  }
  look_at_metadata(path, now + kQuiet);
}

void BucketFileSystem::look_at_metadata(const Path& path, Instant when) {
  parts_.executor.submit_at(when, [this, path] {
    Instant due{};
    {
      auto waits = metadata_waits_.lock();
      const auto wait = waits->find(path);
      if (wait == waits->end()) return;
      due = std::min(wait->second.last + kQuiet, wait->second.first + kLongest);
      due = std::max(due, wait->second.not_before);
    }
    if (parts_.executor.clock().now() < due) return look_at_metadata(path, due);
    send_when_due(path);
  });
}

void BucketFileSystem::send_when_due(const Path& path) {
  const Result<> sent = send_metadata(path);
  const Instant now = parts_.executor.clock().now();
  Instant next{};
  bool is_first = false;
  {
    auto waits = metadata_waits_.lock();
    const auto found = waits->find(path);
    if (found == waits->end()) return;
    MetadataWait& wait = found->second;
    if (!parts_.shadow.waiting_metadata(path)) {
      waits->erase(found);
      return;
    }
    // Changed once more while it was sent, or it failed.
    wait.first = now;
    is_first = wait.pause == Duration::zero();
    if (!sent.ok()) {
      const bool is_outage = may_wait(sent.error());
      wait.pause = std::clamp(wait.pause * 2, kFirstPause,
                              is_outage ? kLongestPauseInOutage : kLongestPause);
      wait.not_before = now + wait.pause;
    }
    next = std::max(wait.last + kQuiet, wait.not_before);
  }
  if (!sent.ok() && is_first) tell_waiting(path, sent.error());
  look_at_metadata(path, next);
}

void BucketFileSystem::tell_waiting(const Path& path, const Error& error) {
  Fields fields = to_failure_json(error);
  fields["path"] = path.text();
  parts_.log.event(Level::warning, "metadata_waits", std::move(fields));
}

// What waits for this name goes to B2 now. An error: it waits on.
Result<> BucketFileSystem::send_metadata(const Path& path) {
  if (!parts_.shadow.waiting_metadata(path)) return {};
  const auto outage = service_.outage();
  if (outage && service_.readiness() == Service::Readiness::closed) return fail(*outage);
  const auto held = path_locks_.take(path);
  const auto change = parts_.shadow.waiting_metadata(path);
  if (!change) return {};
  if (TRY(still_holds(*change))) {
    const Service::Admission admission = service_.admit();
    if (admission.refused) return fail(*admission.refused);
    const Result<> sent = send_change(*change);
    if (sent.ok()) {
      service_.upload_ended(admission, std::nullopt);
    } else if (means_outage(sent.error().code)) {
      service_.upload_ended(admission, sent.error());
    } else {
      service_.upload_abandoned(admission);
    }
    TRY(Result<>(sent));
  }
  forget_waiting_metadata(path);
  return {};
}

// false: the file was replaced or removed by somebody else meanwhile, and the change went with what
// it was made to; or B2 has it already.
Result<bool> BucketFileSystem::still_holds(const MetadataChange& change) {
  const RemoteEntry entry = TRY(catalog_->find(change.path));
  if (change.metadata.kind == FileKind::directory) return entry.directory.has_value();
  if (!entry.file || entry.directory) return false;
  if (is_made(change, *entry.file)) remove_version(change.path.text(), change.version.version_id);
  return is_of(change, *entry.file);
}

// The barrier of close() and fsync(). In an outage the journal is as good.
Result<> BucketFileSystem::end_metadata_wait(const FilePointer& file) {
  Path path;
  {
    auto state = file->state.lock();
    if (state->is_unlinked) return {};
    path = state->path;
  }
  const Result<> sent = send_metadata(path);
  if (!sent.ok() && may_wait(sent.error())) return {};
  return sent;
}

void BucketFileSystem::forget_waiting_metadata(const Path& path) {
  static_cast<void>(parts_.shadow.forget_metadata(path));
}

// The caller holds the path's lock.
Result<> BucketFileSystem::send_change(const MetadataChange& change) {
  const Path& path = change.path;
  if (change.metadata.kind == FileKind::directory) {
    Result<> stored = store_directory(path, change.metadata);
    // A server that refuses "name/" objects: it is so for as long as this mount is.
    if (!stored.ok() && stored.error().code == ErrorCode::invalid_request) {
      catalog_->directory_stored(
          path, {.has_marker = false, .marker_version = {}, .metadata = change.metadata});
      return {};
    }
    return stored;
  }
  const RemoteEntry entry = TRY(catalog_->find(path));
  if (!entry.file) return fail(ErrorCode::not_found, path.text());
  const RemoteFile stored = TRY(store_metadata(path, *entry.file, change.metadata));
  if (const FilePointer file = find_open(path)) version_replaced(*file, stored);
  // The version was made superfluous by us, not by the user.
  remove_version(path.text(), entry.file->version_id);
  return {};
}

// Who has the file open goes on with the new version, whose bytes are the same.
void BucketFileSystem::version_replaced(OpenFile& file, const RemoteFile& stored) {
  auto state = file.state.lock();
  if (!state->remote || state->local) return;
  state->remote = version_of(state->path, stored);
  state->report.etag = stored.etag;
  state->report.version_id = stored.version_id;
  state->seen_etag = stored.etag;
  state->reader.reset();
  if (state->writer) state->writer->rebase(*state->remote);
}

// A copy of the object onto itself, with other metadata. The version before stays.
Result<RemoteFile> BucketFileSystem::store_metadata(const Path& path, const RemoteFile& remote,
                                                    const Metadata& metadata) {
  RemoteFile updated = remote;
  updated.metadata = metadata;
  updated.metadata.correlation_id = remote.metadata.correlation_id;
  updated.metadata.sha256 = remote.metadata.sha256;
  CopyRequest copy;
  copy.source = path.text();
  copy.source_version = remote.version_id;
  copy.destination = path.text();
  copy.metadata = to_map(updated.metadata);
  copy.content_type = remote.content_type;
  const auto copied = server_copy(requests_, parts_.shadow, copy, remote.size);
  if (!copied.ok()) {
    if (copied.error().cause == Cause::ambiguous) catalog_->file_in_doubt(path);
    return fail(copied.error());
  }
  const StoredObject& stored = *copied;
  updated.is_first_version = false;
  updated.etag = stored.etag;
  updated.version_id = stored.version_id;
  updated.last_modified = stored.date == WallTime{} ? now() : stored.date;
  if (updated.history) {
    updated.history->etag = stored.etag;
    updated.history->version_id = stored.version_id;
    updated.history->mtime = metadata.mtime;
  }
  catalog_->file_stored(path, updated);
  return updated;
}

// Best effort: a version that stays costs room, and is nobody's newest one.
void BucketFileSystem::remove_version(const Key& key, const VersionId& version) {
  if (version.empty()) return;
  static_cast<void>(requests_.name([&](ObjectStore& store, const CallOptions& options) {
    return store.delete_object(key, version, options);
  }));
}

// --- all of it

void BucketFileSystem::take_up_waiting_metadata() {
  for (const MetadataChange& change : parts_.shadow.waiting_metadata()) {
    metadata_changed(change.path);
  }
}

void BucketFileSystem::forget_metadata_within(const Path& directory) {
  for (const MetadataChange& change : parts_.shadow.waiting_metadata()) {
    if (change.path.is_within(directory)) forget_waiting_metadata(change.path);
  }
}

// Changes that wait below a directory belong to its copies from now on. Both are in the journal until
// the rename is decided: the one whose version there is holds.
Result<> BucketFileSystem::carry_metadata(const TreeMove& move) {
  const Path& from = move.rename.from;
  forget_waiting_metadata(move.rename.to);
  for (MetadataChange change : parts_.shadow.waiting_metadata()) {
    if (!change.path.is_within(from)) continue;
    const auto object = std::ranges::find(move.objects, change.path.text(), [](const auto& each) {
      return each.member.source;
    });
    const bool is_directory = change.metadata.kind == FileKind::directory;
    if (!is_directory && (object == move.objects.end() || !object->copy)) continue;
    change.path = change.path.rebased(from, move.rename.to);
    if (!is_directory) {
      change.version = {change.path.text(), object->copy->version_id, object->copy->etag,
                        change.version.size};
    }
    TRY(parts_.shadow.note_metadata(change));
    metadata_changed(change.path);
  }
  return {};
}

Result<> BucketFileSystem::send_metadata_within(const Path& directory) {
  Result<> first;
  for (const MetadataChange& change : parts_.shadow.waiting_metadata()) {
    if (!change.path.is_within(directory)) continue;
    Result<> sent = send_metadata(change.path);
    if (first.ok() && !sent.ok() && !may_wait(sent.error())) first = std::move(sent);
  }
  return first;
}

}  // namespace spillway
