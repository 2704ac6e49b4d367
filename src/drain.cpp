#include "src/drain.h"

#include <algorithm>
#include <utility>

namespace spillway {
namespace {

constexpr Duration kTick = std::chrono::seconds(1);
constexpr std::uint64_t kChunk = 1ULL << 20U;

CommitRequest request_of(const ShadowRecord& record, const Path& target) {
  CommitRequest request;
  request.path = target;
  request.content_type = record.content_type;
  request.metadata = record.metadata;
  return request;
}

// An upload in parts got its metadata when it began; the file may have been changed since.
MetadataChange changed_metadata(const ShadowRecord& record, const Path& target,
                                const RemoteFile& remote) {
  MetadataChange change{target, record.metadata, version_of(target, remote), record.stored_at};
  change.metadata.correlation_id = remote.metadata.correlation_id;
  change.metadata.sha256 = remote.metadata.sha256;
  return change;
}

}  // namespace

std::shared_ptr<Drain> Drain::make(const DrainParts& parts, const DrainSettings& settings) {
  return std::shared_ptr<Drain>(new Drain(parts, settings));
}

Drain::Drain(const DrainParts& parts, const DrainSettings& settings)
    : parts_(parts), settings_(settings), state_(parts.writer.executor) {}

// --- when

void Drain::start() {
  tick();
}

void Drain::tick() {
  {
    auto state = state_.lock();
    if (state->is_stopping) return;
  }
  Executor& executor = parts_.writer.executor;
  executor.submit_at(executor.clock().now() + kTick,
                     [weak = weak_from_this()] {
                       if (const auto self = weak.lock()) self->tick();
                     });
  executor.submit([self = shared_from_this()] { self->abort_orphans(); });
  begin_files();
}

void Drain::kick() {
  state_.lock()->pauses.clear();
  parts_.writer.service.probe_now();
  parts_.writer.executor.submit([self = shared_from_this()] { self->begin_files(); });
}

void Drain::stop() {
  auto state = state_.lock();
  state->is_stopping = true;
  // What they bring is safe in the shadow: nobody waits for large files.
  const auto writers = std::exchange(state->writers, {});
  Error ending;
  ending.code = ErrorCode::interrupted;
  ending.detail = "the mount ends; the file stays in the shadow";
  state.unlocked([&] {
    for (const auto& [id, weak] : writers) {
      if (const auto writer = weak.lock()) writer->give_up(ending);
    }
  });
  state.wait([&] { return state->under_way.empty(); });
}

std::vector<Drain::Stuck> Drain::stuck() {
  auto state = state_.lock();
  std::vector<Stuck> stuck;
  for (const auto& [id, pause] : state->pauses) {
    // A file that was replaced or deleted since waits for nothing.
    const auto record = parts_.writer.shadow.find(pause.path);
    if (record && record->id == id) stuck.push_back({pause.path, pause.error});
  }
  return stuck;
}

// What may go now: while the breaker is open one file is the probe, and goes alone.
std::vector<ShadowRecord> Drain::due_files(State& state) {
  const Service::Readiness readiness = parts_.writer.service.readiness();
  if (readiness == Service::Readiness::closed || state.is_stopping) return {};
  const auto most = static_cast<std::size_t>(
      readiness == Service::Readiness::probe ? 1 : settings_.files_at_once);
  if (state.under_way.size() >= most) return {};
  std::vector<ShadowRecord> records = parts_.writer.shadow.within(Path());
  std::ranges::stable_partition(records, [](const ShadowRecord& record) {
    return record.storage == Storage::split;
  });
  const Instant now = parts_.writer.executor.clock().now();
  std::vector<ShadowRecord> due;
  for (ShadowRecord& record : records) {
    if (state.under_way.size() + due.size() >= most) break;
    const auto pause = state.pauses.find(record.id);
    if (pause != state.pauses.end() && pause->second.until > now) continue;
    if (state.under_way.contains(record.id) || parts_.is_being_written(record.path)) continue;
    due.push_back(std::move(record));
  }
  return due;
}

void Drain::begin_files() {
  std::vector<ShadowRecord> due;
  {
    auto state = state_.lock();
    due = due_files(*state);
    for (const ShadowRecord& record : due) state->under_way[record.id] = true;
  }
  for (const ShadowRecord& record : due) {
    parts_.writer.executor.submit([self = shared_from_this(), id = record.id,
                                   path = record.path] { self->drain_file(id, path); });
  }
}

// Of the file and of its upload, under which it appears for a moment.
std::vector<PathLocks::Held> Drain::take_names(const Path& path) {
  std::vector<PathLocks::Held> held;
  const auto record = parts_.writer.shadow.find(path);
  const auto begun_as = record && record->upload ? Path::parse(record->upload->key) : path;
  if (!begun_as || *begun_as == path) {
    held.push_back(parts_.path_locks.take(path));
    return held;
  }
  held.push_back(parts_.path_locks.take_both(path, *begun_as));
  return held;
}

void Drain::drain_file(const std::string& id, const Path& path) {
  bool went_well = false;
  {
    const auto held = take_names(path);
    const auto record = parts_.writer.shadow.find(path);
    // Overwritten, renamed or deleted meanwhile: nothing to do for this id.
    if (record && record->id == id && !parts_.is_being_written(path)) {
      const Result<> brought = bring(*record);
      went_well = brought.ok();
      if (!went_well) report_failure(*record, brought.error());
    }
  }
  {
    auto state = state_.lock();
    state->under_way.erase(id);
    state->writers.erase(id);
    if (went_well) state->pauses.erase(id);
    state.notify_all();
  }
  if (went_well) begin_files();
}

// Whether B2 has lost what it had acknowledged of a split file: the upload, or the version whose
// bytes were to be taken over. No try will bring these back.
bool Drain::lost_bytes(const ShadowRecord& record, const Error& error) {
  if (record.upload && error.cause == Cause::upload_gone) return true;
  return record.base && (error.code == ErrorCode::not_found || error.code == ErrorCode::stale);
}

// An outage pauses everything by the breaker; any other failure pauses this file alone.
void Drain::report_failure(const ShadowRecord& record, const Error& error) {
  if (means_outage(error.code) || error.code == ErrorCode::interrupted) return;
  const bool is_lost = lost_bytes(record, error);
  const bool was_lost = lost_bytes(record, record.reason);
  const Error told = is_lost ? as_loss(error) : error;
  bool is_first = false;
  {
    auto state = state_.lock();
    Pause& pause = state->pauses[record.id];
    is_first = pause.length == Duration::zero();
    pause.path = record.path;
    pause.error = told;
    pause.length = is_first ? settings_.first_pause
                            : std::min(pause.length * 2, settings_.longest_pause);
    if (is_lost) pause.length = settings_.longest_pause;
    pause.until = parts_.writer.executor.clock().now() + pause.length;
  }
  const bool is_news = is_lost ? !was_lost : is_first;
  if (!is_news) return;
  Fields fields = to_failure_json(told);
  fields["path"] = record.path.text();
  fields["correlation_id"] = record.metadata.correlation_id;
  fields["location"] = parts_.writer.shadow.location_of(record);
  if (is_lost) note_loss(record, told);
  parts_.writer.log.event(Level::error, is_lost ? "head_lost" : "drain_stuck", std::move(fields));
}

Error Drain::as_loss(Error error) {
  error.detail = "lost in B2: what B2 had acknowledged of this file is gone there (" + error.detail +
                 "); the rest is kept here and is not published";
  return error;
}

// Whoever asks for the file or its attributes is told; what is here of it stays.
void Drain::note_loss(const ShadowRecord& record, const Error& error) {
  ShadowRecord noted = parts_.writer.shadow.find(record.path).value_or(record);
  if (noted.id != record.id) return;
  noted.reason = error;
  parts_.writer.service.set_last_error(noted.reason);
  static_cast<void>(parts_.writer.shadow.update(noted));  // else the next mount finds it again
}

// --- one file

// The caller holds the path's lock, from here until the shadow's copy is gone.
Result<> Drain::bring(const ShadowRecord& record) {
  if (record.metadata.kind == FileKind::directory) {
    return conclude(record, record.path, TRY(upload_directory(record)));
  }
  std::optional<ObjectInfo> there;
  const Verdict verdict = TRY(compare(record, there));
  if (verdict == Verdict::drop) {
    log_conflict(record, record.path, *there);
    return parts_.writer.shadow.remove(record.id);
  }
  Path target = record.path;
  if (verdict == Verdict::conflict) {
    target = conflict_path(record);
    // An earlier try may have brought it there, and nobody heard of its last request.
    if (auto made = TRY(find_ours(record, target))) return end(record, target, *std::move(made));
    log_conflict(record, target, *there);
  }
  if (verdict != Verdict::already_there) {
    TRY(find_finished(target));
    TRY(note_attempt(record));
    TRY(upload(record, target));
  }
  return end(record, target, TRY(confirm(record, target)));
}

// B2 has the file, whole: nothing else of it needs to stay.
Result<> Drain::end(const ShadowRecord& record, const Path& target, RemoteFile remote) {
  TRY(remove_begun_as(record, target));
  if (record.upload) static_cast<void>(parts_.writer.shadow.forget_upload(record.upload->id));
  return conclude(record, target, std::move(remote));
}

// From here on B2 may have the name, whatever becomes of the answer.
Result<> Drain::note_attempt(const ShadowRecord& record) {
  const std::string& id = record.metadata.correlation_id;
  if (std::ranges::find(record.own_ids, id) != record.own_ids.end()) return {};
  ShadowRecord noted = record;
  noted.own_ids.push_back(id);
  return parts_.writer.shadow.update(noted);
}

// Looks before anything is put over what B2 has now.
Result<Drain::Verdict> Drain::compare(const ShadowRecord& record,
                                      std::optional<ObjectInfo>& there) {
  // This question is the probe of an outage as well: it doesn't wait for anybody else's.
  Service& service = parts_.writer.service;
  const Service::Admission admission = service.admit();
  if (admission.refused) return fail(*admission.refused);
  const CallOptions fresh{.fresh_connection = true, .cancel = {}};
  auto head = parts_.writer.store.head_object(record.path.text(), "", fresh);
  if (!head.ok() && means_outage(head.error().code)) {
    service.upload_ended(admission, head.error());
  } else {
    service.upload_abandoned(admission);  // whether it can store anything is seen next
  }
  if (!head.ok()) {
    if (head.error().code == ErrorCode::not_found) return Verdict::put;
    return fail(head.error());
  }
  there = std::move(head).value();
  const std::string id = metadata_from(there->metadata).correlation_id;
  const bool is_ours = !id.empty() && id == record.metadata.correlation_id;
  if (is_ours && there->size == record.size) return Verdict::already_there;
  const bool is_our_older =
      !id.empty() && std::ranges::find(record.own_ids, id) != record.own_ids.end();
  // Also where a rename of ours might have come there since (`doubtful`): it has not.
  const bool was_seen = record.seen == Seen::object || record.seen == Seen::doubtful;
  const bool is_as_seen = was_seen && record.seen_etag == there->etag;
  const bool is_older = record.seen == Seen::unknown && there->last_modified < record.stored_at;
  // Another file's, which gets its own name next.
  const auto means = parts_.writer.shadow.begun_as(record.path);
  const bool is_a_means = !id.empty() && std::ranges::any_of(means, [&](const ShadowRecord& other) {
    return other.metadata.correlation_id == id;
  });
  if (is_as_seen || is_our_older || is_a_means || is_older ||
      settings_.conflict == ConflictMode::ours) {
    return Verdict::put;
  }
  return settings_.conflict == ConflictMode::theirs ? Verdict::drop : Verdict::conflict;
}

void Drain::log_conflict(const ShadowRecord& record, const Path& target, const ObjectInfo& there) {
  Fields fields = Fields::object();
  fields["path"] = record.path.text();
  fields["correlation_id"] = record.metadata.correlation_id;
  fields["location"] = target.text();
  fields["detail"] = "the object changed in B2 while this file was in the shadow";
  fields["etag"] = there.etag;
  fields["version_id"] = there.version_id;
  parts_.writer.log.event(Level::warning, "drain_conflict", std::move(fields));
}

Result<> Drain::upload(const ShadowRecord& record, const Path& target) {
  const bool is_resumed = record.upload.has_value();
  if (const auto made = TRY(made_before(record, target))) {
    return copy_made(record, target, made->version_id);
  }
  WriterSettings settings;
  settings.grid = is_resumed ? PartGrid(record.upload->part_size, record.upload->largest_part)
                           : settings_.grid;
  settings.rules.retry = settings_.retry;
  settings.rules.on_failure = is_resumed ? OnFailure::fail_keeping_upload : OnFailure::fail;
  settings.event = "drain";
  settings.correlation_id = record.metadata.correlation_id;
  const auto describe = [record, target] { return request_of(record, target); };
  WriterBase base;
  base.remote = record.base;
  const auto writer = is_resumed
                          ? Writer::resume(parts_.writer, settings, record, describe)
                          : Writer::make(parts_.writer, settings, base, describe);
  {
    auto state = state_.lock();
    if (state->is_stopping) return fail(ErrorCode::interrupted, "the mount ends");
    state->writers[record.id] = writer;
  }
  writer->mark_dirty();
  if (writer->size() > record.size) TRY(writer->truncate(record.size));
  TRY(feed(*writer, record));
  const CommitResult result = TRY(writer->commit(request_of(record, target)));
  return is_resumed ? finish_split(record, target, result.report.version_id) : Result<>{};
}

// The shadow's ranges, in order, in pieces that --memory has room for.
Result<> Drain::feed(Writer& writer, const ShadowRecord& record) {
  const auto data = TRY(parts_.writer.shadow.open_data(record));
  std::vector<std::byte> chunk(kChunk);
  for (const ByteRange& range : record.ranges) {
    for (std::uint64_t at = range.offset; at < range.end();) {
      const auto want = std::span(chunk).first(std::min(kChunk, range.end() - at));
      const std::size_t got = TRY(data->read_at(at, want));
      if (got != want.size()) {
        return fail(ErrorCode::local_error, "the shadow's copy is shorter than its journal says");
      }
      TRY(writer.write(at, want));
      at += got;
    }
  }
  return {};
}

Result<RemoteFile> Drain::upload_directory(const ShadowRecord& record) {
  PutRequest put;
  put.key = record.path.prefix();
  put.content_type = "application/x-directory";
  put.metadata = to_map(record.metadata);
  const StoredObject stored =
      TRY(parts_.writer.requests.name([&](ObjectStore& store, const CallOptions& options) {
        return store.put_object(put, options);
      }));
  RemoteFile remote;
  remote.etag = stored.etag;
  remote.version_id = stored.version_id;
  remote.last_modified = stored.date;
  remote.metadata = record.metadata;
  return remote;
}

// What B2 has under the name, if it is this file, whole.
Result<std::optional<RemoteFile>> Drain::find_ours(const ShadowRecord& record,
                                                   const Path& target) {
  const auto info = parts_.writer.requests.name([&](ObjectStore& store, const CallOptions& options) {
    return store.head_object(target.text(), "", options);
  });
  if (!info.ok() && info.error().code == ErrorCode::not_found) return std::optional<RemoteFile>{};
  if (!info.ok()) return fail(info.error());
  RemoteFile remote = file_from(*info);
  const bool is_ours = remote.metadata.correlation_id == record.metadata.correlation_id;
  if (remote.size != record.size || !is_ours) return std::optional<RemoteFile>{};
  return std::optional(std::move(remote));
}

// B2's own word that the object is whole and ours: only then the shadow's copy may go.
Result<RemoteFile> Drain::confirm(const ShadowRecord& record, const Path& target) {
  auto remote = TRY(find_ours(record, target));
  if (remote) return *std::move(remote);
  return fail(ErrorCode::checksum_mismatch,
              "what B2 has under the name is not what was sent: the local copy stays");
}

Result<bool> Drain::is_there_already(const ShadowRecord& record) {
  const auto tried = std::ranges::find(record.own_ids, record.metadata.correlation_id);
  if (tried == record.own_ids.end()) return false;
  auto remote = TRY(find_ours(record, record.path));
  if (!remote) return false;
  TRY(end(record, record.path, *std::move(remote)));
  return true;
}

Result<> Drain::conclude(const ShadowRecord& record, const Path& target, RemoteFile remote) {
  const bool is_directory = record.metadata.kind == FileKind::directory;
  StorageReport history;
  history.storage = Storage::b2;
  history.name = std::string(target.name());
  history.location = target.text();
  history.fallback_from_b2 = true;
  history.error = record.reason;
  history.correlation_id = record.metadata.correlation_id;
  history.duration = record.duration;
  history.uploaded_at = parts_.writer.executor.clock().wall();
  history.attempts = record.attempts;
  history.size = remote.size;
  history.mtime = record.metadata.mtime;
  history.etag = remote.etag;
  history.version_id = remote.version_id;
  history.sha256 = remote.metadata.sha256;
  history.content_type = remote.content_type;
  history.writer_killed = record.metadata.writer_killed;
  remote.history = std::move(history);
  if (is_directory) {
    const VersionIdentity version{.size = remote.size,
                                  .etag = remote.etag,
                                  .modified = remote.last_modified,
                                  .source = VersionIdentity::Source::answer};
    parts_.catalog.directory_stored(record.path, {.has_marker = true,
                                                  .marker_version = remote.version_id,
                                                  .metadata = record.metadata,
                                                  .version = version});
  } else {
    parts_.catalog.file_stored(target, remote);
    if (!says_the_same(remote.metadata, record.metadata)) {
      TRY(parts_.put_off_metadata(changed_metadata(record, target, remote)));
    }
  }
  TRY(parts_.writer.shadow.remove(record.id));
  ++drained_;
  if (!is_directory && target == record.path) parts_.on_drained(target, remote);
  return {};
}

}  // namespace spillway
