// BucketFileSystem, continued: making versions durable, at once or when a held name gets its final
// one.
#include <algorithm>
#include <utility>

#include "src/bucket_file_system.h"

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

// Which upload stored the bytes, and what they are, is no matter of the caller's.
Metadata with_identity(Metadata metadata, const Metadata& stored) {
  metadata.correlation_id = stored.correlation_id;
  metadata.sha256 = stored.sha256;
  return metadata;
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
  request.is_unlinked = state->is_unlinked;
  request.own_ids = state->own_ids;
  if (state->local) add_own_ids(*state->local, request.own_ids);
  return request;
}

Result<> BucketFileSystem::commit(const FilePointer& file) {
  const auto held = take_name_of(*file);
  const Path path = file->state.lock()->path;
  return commit_named(file, path);
}

// A rename may be under way: the name is read again once its lock is ours.
PathLocks::Held BucketFileSystem::take_name_of(OpenFile& file) {
  for (;;) {
    const Path path = file.state.lock()->path;
    auto held = path_locks_.take(path);
    if (file.state.lock()->path == path) return held;
  }
}

// The caller holds the path's lock.
Result<> BucketFileSystem::commit_named(const FilePointer& file, const Path& path) {
  const auto writer = file->state.lock()->writer;
  if (!writer || !writer->is_dirty()) return {};
  if (file->state.lock()->is_unlinked) return {};
  CommitRequest request = describe(*file);
  request.path = path;
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
  // A caller may have changed it while its bytes were on their way.
  const auto [wanted, mtime_was_set] = [&] {
    auto state = file->state.lock();
    return std::pair(state->metadata, state->mtime_was_set);
  }();
  forget_waiting_metadata(path);
  if (result.record) {
    ShadowRecord record = *result.record;
    if (needs_metadata(wanted, record.metadata, mtime_was_set)) {
      record.metadata = with_identity(wanted, record.metadata);
      static_cast<void>(parts_.shadow.update(record));
    }
    auto state = file->state.lock();
    state->local = record;
    state->seen = record.seen;
    state->seen_etag = record.seen_etag;
    state->remote.reset();
    state->reader.reset();
    state->local_data.reset();
    state->stored_size = record.size;
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
  catalog_->file_stored(path, remote);
  if (needs_metadata(wanted, result.metadata, mtime_was_set)) {
    auto updated = store_metadata(path, remote, wanted);
    if (updated.ok()) {
      const VersionId superseded = std::exchange(remote, std::move(updated).value()).version_id;
      const auto writer = file->state.lock()->writer;
      if (writer) writer->rebase(version_of(path, remote));
      remove_version(path.text(), superseded);
    } else {
      const Metadata metadata = with_identity(wanted, remote.metadata);
      TRY(put_off_metadata({path, metadata, version_of(path, remote), now()}));
    }
  }
  auto state = file->state.lock();
  state->local.reset();
  state->remote = version_of(path, remote);
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

// A symlink, FIFO or socket: one small object, through the same door as every file.
Result<> BucketFileSystem::store_small(const Path& path, const Metadata& metadata,
                                       const std::string& body) {
  const Found found = find(path);
  if (found.exists()) return fail(ErrorCode::exists, path.text());
  TRY(check_creatable(path));
  auto file = make_open_file(path);
  const auto writer = [&] {
    auto state = file->state.lock();
    state->metadata = metadata;
    state->seen = found.doubt ? Seen::unknown : Seen::absent;
    state->writer = make_writer(file, *state, OpenFlags{.truncate = true});
    return state->writer;
  }();
  // Not with the file's lock held: a writer asks for it once it has its turn.
  writer->mark_dirty();
  TRY(writer->write(0, std::as_bytes(std::span(body))));
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
