// BucketFileSystem, continued: making versions durable, at once or when a held name gets its final
// one.
#include <algorithm>
#include <utility>

#include "src/bucket_file_system.h"
#include "src/server_copy.h"

namespace spillway {
namespace {

// How long a closed temporary name waits for the rename that makes it final.
constexpr Duration kHoldTime = std::chrono::seconds(5);

// Of what an upload in parts sent when it began, what differs from what the file has at its end and
// a caller asked for.
bool needs_metadata(const Metadata& wanted, const Metadata& sent, bool mtime_was_set) {
  Metadata expected = wanted;
  expected.correlation_id = sent.correlation_id;
  expected.sha256 = sent.sha256;
  if (!mtime_was_set) expected.mtime = sent.mtime;
  return expected != sent;
}

Error left_behind() {
  Error error;
  error.code = ErrorCode::server_error;
  error.detail = "a rename onto this name may have left the only copy of another file there: both are "
                 "kept, this one as a conflict";
  return error;
}

}  // namespace

CommitRequest BucketFileSystem::describe(OpenFile& file) {
  auto state = file.state.lock();
  CommitRequest request;
  request.path = state->path;
  request.content_type = state->content_type;
  request.metadata = state->metadata;
  request.seen = state->seen;
  request.seen_etag = state->seen_etag;
  request.own_ids = state->own_ids;
  if (state->local) add_own_ids(*state->local, request.own_ids);
  return request;
}

Result<> BucketFileSystem::commit(const FilePointer& file) {
  // A rename may be under way: the name is read again once its lock is ours.
  for (;;) {
    const Path path = file->state.lock()->path;
    const auto held = path_locks_.take(path);
    if (file->state.lock()->path == path) return commit_named(file, path);
  }
}

// The caller holds the path's lock.
Result<> BucketFileSystem::commit_named(const FilePointer& file, const Path& path) {
  const auto writer = file->state.lock()->writer;
  if (!writer || !writer->is_dirty()) return {};
  if (file->state.lock()->is_unlinked) return {};
  CommitRequest request = describe(*file);
  request.path = path;
  file->state.lock()->metadata_changed = false;
  // What lies under the name now may be a renamed file's only whole copy: it is not covered unseen.
  if (const auto found = drain_->find_finished(path); !found.ok()) request.refused = found.error();
  if (request.seen == Seen::doubtful && !request.refused) request.refused = left_behind();
  const CommitResult result = TRY(writer->commit(request));
  Result<> settled = settle(file, request, result);
  if (!settled.ok()) writer->mark_dirty();  // so that the next flush tells it again
  return settled;
}

Result<> BucketFileSystem::settle(const FilePointer& file, const CommitRequest& request,
                              const CommitResult& result) {
  const Path& path = request.path;
  const StorageReport& report = result.report;
  if (result.record) {
    auto state = file->state.lock();
    state->local = result.record;
    state->remote.reset();
    state->reader.reset();
    state->local_data.reset();
    state->stored_size = result.record->size;
    state->report = report;
    return {};
  }
  RemoteFile remote;
  remote.size = report.size;
  remote.etag = report.etag;
  remote.version_id = report.version_id;
  remote.last_modified = result.answered_at == WallTime{} ? now() : result.answered_at;
  remote.content_type = request.content_type;
  remote.metadata = result.metadata;
  remote.history = report;
  remote.is_first_version = request.seen == Seen::absent && result.went_smoothly &&
                            parts_.shadow.begun_as(path).empty();
  TRY(remove_older(path));
  const bool mtime_was_set = file->state.lock()->mtime_was_set;
  catalog_->file_stored(path, remote);
  if (needs_metadata(request.metadata, result.metadata, mtime_was_set)) {
    auto updated = store_metadata(path, remote, request.metadata);
    if (updated.ok()) remote = std::move(updated).value();
  }
  auto state = file->state.lock();
  state->local.reset();
  state->remote = RemoteVersion{path.text(), remote.version_id, remote.etag, remote.size};
  state->stored_size = remote.size;
  state->reader.reset();
  state->local_data.reset();
  state->seen = Seen::object;
  state->seen_etag = remote.etag;
  state->own_ids.clear();
  state->report = remote.history.value_or(report);
  // What others are shown from now on is what the bucket has.
  if (!state->mtime_was_set) state->metadata.mtime = remote.metadata.mtime;
  state->metadata.correlation_id = remote.metadata.correlation_id;
  state->metadata.sha256 = remote.metadata.sha256;
  return {};
}

// Only now that B2 has the file may an older copy in the shadow go; and it must, or it would be taken
// for the newest one. A disk that fails once gets more chances.
Result<> BucketFileSystem::remove_older(const Path& path) {
  constexpr int kTries = 3;
  Result<> removed;
  for (int tries = 0; tries < kTries; ++tries) {
    const auto record = parts_.shadow.find(path);
    if (!record) return {};
    removed = parts_.shadow.remove(record->id);
    if (removed.ok()) return {};
  }
  Error error = removed.error();
  error.detail =
      "B2 has the file, but an older copy in the shadow could not be removed: " + error.detail;
  Fields fields = to_failure_json(error);
  fields["path"] = path.text();
  parts_.log.event(Level::error, "shadow_failed", std::move(fields));
  service_.set_last_error(error);
  return fail(error);
}

// --- temporary names

// A closed temporary name that is small waits for its rename. false: commit it now.
bool BucketFileSystem::hold(const FilePointer& file) {
  std::uint64_t hold_number = 0;
  {
    auto state = file->state.lock();
    if (!state->may_be_held || is_shutting_down_ || !state->writer) return false;
    if (!state->writer->is_untouched_in_ram() || !state->writer->is_dirty()) return false;
    if (state->is_held) return true;
    state->is_held = true;
    hold_number = ++state->holds;
  }
  parts_.executor.submit_at(parts_.executor.clock().now() + kHoldTime,
                            [this, weak = std::weak_ptr<OpenFile>(file), hold_number] {
                              if (const auto strong = weak.lock()) hold_ended(strong, hold_number);
                            });
  return true;
}

void BucketFileSystem::hold_ended(const FilePointer& file, std::uint64_t hold_number) {
  {
    auto state = file->state.lock();
    if (!state->is_held || state->holds != hold_number) return;
  }
  static_cast<void>(end_hold(file));
}

// No rename came, or somebody else wants to see the file: it is committed under the name it has.
Result<> BucketFileSystem::end_hold(const FilePointer& file) {
  {
    auto state = file->state.lock();
    if (!state->is_held) return {};
    state->may_be_held = false;
  }
  // Held until it is committed: nobody may take it for unused meanwhile.
  Result<> done = commit(file);
  file->state.lock()->is_held = false;
  drop_if_unused(file);
  return done;
}

// --- metadata of what is stored already

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
  if (!remote.version_id.empty() && remote.version_id != stored.version_id) {
    // The version was made superfluous by us, not by the user.
    static_cast<void>(requests_.name([&](ObjectStore& store, const CallOptions& options) {
      return store.delete_object(path.text(), remote.version_id, options);
    }));
  }
  return updated;
}

Result<> BucketFileSystem::change_metadata(const Path& path, FileHandle* handle,
                                           const std::function<Result<>(Metadata&)>& change) {
  const FilePointer file = handle != nullptr ? handle->file : find_open(path);
  if (file) {
    auto state = file->state.lock();
    // Folded into the commit that is still to come.
    if (state->is_unlinked || (state->writer && state->writer->is_dirty())) {
      TRY(change(state->metadata));
      state->changed_at = now();
      return {};
    }
  }
  const Path current = file ? file->state.lock()->path : path;
  const auto held = path_locks_.take(current);
  Found found = TRY(find_existing(current));
  if (found.open) {
    // What is stored is changed; the open file's own copy of its metadata follows below.
    found.local = parts_.shadow.find(current);
    const auto remembered = found.local ? std::nullopt : catalog_->recall(current);
    if (remembered) found.remote = remembered->file;
  }
  TRY(change_stored_metadata(current, found, change));
  if (found.open) {
    auto state = found.open->state.lock();
    TRY(change(state->metadata));
    state->changed_at = now();
    const auto entry = catalog_->recall(current);
    if (!state->local && entry && entry->file) {
      state->remote = RemoteVersion{current.text(), entry->file->version_id, entry->file->etag,
                                    entry->file->size};
      state->reader.reset();
      if (state->writer) state->writer->rebase(*state->remote);
    }
  }
  return {};
}

Result<> BucketFileSystem::change_stored_metadata(
    const Path& path, const Found& found, const std::function<Result<>(Metadata&)>& change) {
  if (found.local) {
    ShadowRecord record = *found.local;
    TRY(change(record.metadata));
    return parts_.shadow.update(record);
  }
  if (found.is_directory) {
    Metadata metadata = found.directory;
    const Metadata before = metadata;
    metadata.kind = FileKind::directory;
    TRY(change(metadata));
    if (path.is_root() || metadata == before) return {};
    const auto outage = service_.outage();
    Result<> stored = outage ? Result<>(fail(*outage)) : store_directory(path, metadata);
    if (stored.ok() || !means_outage(stored.error().code)) return stored;
    return keep_directory_locally(path, metadata, stored.error(), found);
  }
  if (!found.remote) return fail(ErrorCode::not_found, path.text());
  Metadata metadata = found.remote->metadata;
  TRY(change(metadata));
  if (metadata == found.remote->metadata) return {};
  TRY(store_metadata(path, *found.remote, metadata));
  return {};
}

// A symlink, FIFO or socket: one small object, through the same door as every file.
Result<> BucketFileSystem::store_small(const Path& path, const Metadata& metadata,
                                       const std::string& body) {
  const Found found = find(path);
  if (found.exists()) return fail(ErrorCode::exists, path.text());
  TRY(check_creatable(path));
  auto file = make_open_file(path);
  {
    auto state = file->state.lock();
    state->metadata = metadata;
    state->seen = found.doubt ? Seen::unknown : Seen::absent;
    state->writer = make_writer(file, *state, OpenFlags{.truncate = true});
    state->writer->mark_dirty();
    const auto bytes = std::as_bytes(std::span(body));
    TRY(state->writer->write(0, bytes));
  }
  {
    const auto held = TRY(take_new_name(path));
    auto files = open_files_.lock();
    if (!files->try_emplace(path, file).second) return fail(ErrorCode::exists, path.text());
  }
  Result<> done = commit(file);
  drop_if_unused(file);
  return done;
}

}  // namespace spillway
