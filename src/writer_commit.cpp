// Writer, continued: from bytes to a version that others see.
#include <algorithm>
#include <utility>

#include "src/correlation.h"
#include "src/writer.h"

namespace spillway {
namespace {

using Source = Extents::Source;

// Removing a version of our own that nobody needs any more is tried this often; then it stays.
constexpr int kRemovalTries = 3;

}  // namespace

Result<CommitResult> Writer::commit(const CommitRequest& request) {
  auto turn = turn_.lock();
  auto lock = state_.lock();
  return commit_locked(lock, request);
}

Result<CommitResult> Writer::commit_locked(Lock& lock, const CommitRequest& request) {
  if (lock->broken) return fail(*lock->broken);
  // An upload that was lost stays lost; a shadow that was full may have room now.
  const bool is_final = !lock->run || lock->run->upload.is_ended();
  if (lock->failure && is_final) return fail(*lock->failure);
  if (lock->base_record) TRY(open_draft_of_base(lock));
  TRY(gather_small_file(lock));
  Run& run = run_of(lock);
  run.described = request;
  lock->failure.reset();
  if (request.refused) post(lock, event::GiveUp{*request.refused});
  post(lock, commit_event(*lock));
  lock.wait([&] { return lock->run->upload.outcome() != UploadOutcome::open; });
  return conclude(lock, request);
}

// A file that fits one part goes as one PutObject: its part must be in RAM, and an upload that was
// begun when it was larger is given up.
Result<> Writer::gather_small_file(Lock& lock) {
  if (lock->draft || lock->extents.parts() > 1) return {};
  if (lock->extents.parts() == 1 && lock->extents.source_of(1) == Source::base) {
    TRY(load_part(lock, 1));
  }
  const bool begun = lock->run && lock->run->upload.upload_id();
  const bool in_ram = lock->extents.parts() == 0 || lock->extents.source_of(1) == Source::ram;
  if (begun && in_ram) {
    lock.wait([&] { return !lock->run->upload.is_busy(1); });
    if (!lock->draft) reset_run(lock);
  }
  return {};
}

Result<std::string> Writer::set_aside(const CommitRequest& request, const Error& reason) {
  auto turn = turn_.lock();
  auto lock = state_.lock();
  if (lock->base_record) TRY(open_draft_of_base(lock));
  run_of(lock).described = request;
  post(lock, event::GiveUp{reason});
  lock.wait([&] { return lock->draft || lock->run->upload.is_ended() ||
                         lock->run->upload.outcome() == UploadOutcome::failed; });
  lock->broken = reason;
  if (!lock->draft) return fail(total_failure(*lock));
  const ShadowRecord record = shadow_record(*lock);
  ShadowDraft& draft = *lock->draft;
  auto kept = lock.unlocked([&] { return parts_.shadow.set_aside(draft, record); });
  if (record.upload) {
    // Not ours to abort any more: a person may finish it.
    if (kept.ok()) static_cast<void>(parts_.shadow.forget_upload(record.upload->id));
  } else if (const auto id = lock->run->upload.upload_id()) {
    do_abort(lock, *id);
  }
  return kept;
}

Writer::Run& Writer::run_of(Lock& lock) {
  if (lock->run) return *lock->run;
  const Clock& clock = parts_.executor.clock();
  // The file's own lock comes before the writer's.
  CommitRequest described = lock.unlocked([&] { return describe_(); });
  State& state = *lock;
  Service::Admission admission;
  if (state.draft) {
    // The file was in the shadow already, and stays there until it drains.
    admission.refused = state.draft_reason;
  } else if (described.is_unlinked) {
    Error removed;
    removed.code = ErrorCode::stale;
    removed.detail = "the file was removed";
    admission.refused = std::move(removed);
  } else {
    admission = parts_.service.admit();
  }
  UploadRules rules = settings_.rules;
  if (admission.is_probe) rules.retry.retry_for = Duration::zero();
  Run& run = state.run.emplace(Upload(rules, admission.refused));
  run.number = ++state.runs;
  run.described = std::move(described);
  run.admission = std::move(admission);
  run.correlation_id = settings_.correlation_id.empty()
                           ? make_correlation_id(clock.wall(), moment().random)
                           : settings_.correlation_id;
  run.timing.began = clock.now();
  run.timing.began_at = clock.wall();
  return run;
}

event::Commit Writer::commit_event(State& state) {
  event::Commit commit;
  commit.parts = std::max<PartNumber>(state.extents.parts(), 1);
  if (state.draft) return commit;
  if (state.extents.parts() == 0) {
    commit.rest.push_back({1, PartSource::ram, 0});
    return commit;
  }
  for (PartNumber number = 1; number <= commit.parts; ++number) {
    const Source source = state.extents.source_of(number);
    const Upload& upload = state.run->upload;
    const bool sent = upload.is_acknowledged(number) || upload.is_busy(number);
    if (source == Source::uploaded || (sent && !state.dirty[number])) continue;
    const PartSource from = source == Source::base ? PartSource::base : PartSource::ram;
    commit.rest.push_back({number, from, state.extents.range_of(number).size});
    if (from == PartSource::ram) state.dirty[number] = false;
  }
  return commit;
}

// The outcome is known: tells service, log and caller, and makes the state ready for the next
// version.
Result<CommitResult> Writer::conclude(Lock& lock, const CommitRequest& request) {
  Run& run = *lock->run;
  const UploadOutcome outcome = run.upload.outcome();
  const bool stored = outcome == UploadOutcome::stored;
  if (request.refused) {
    parts_.service.upload_abandoned(run.admission);  // B2 was not asked
  } else {
    parts_.service.upload_ended(run.admission,
                                stored ? std::nullopt : run.upload.first_error());
  }
  CommitResult result;
  result.report = report_of(*lock, request);
  result.record = lock->published;
  result.metadata = sent_metadata(run.upload.upload_id() ? run.described_at_start : request, run);
  if (stored) result.answered_at = run.upload.stored()->date;
  log_outcome(*lock, request, result.report);
  result.went_smoothly =
      run.upload.failures() == 0 && lock->own_ids.empty() && request.own_ids.empty();
  if (stored) {
    lock->own_ids.clear();
  } else if (run.upload.attempts() > 0) {
    lock->own_ids.push_back(run.correlation_id);
  }
  if (outcome == UploadOutcome::failed) {
    const Error error = total_failure(*lock);
    Error told = run.upload.first_error().value_or(error);
    told.detail = error.detail;
    parts_.service.set_last_error(told);
    lock->failure = error;
    run.admission = {.refused = run.upload.first_error(), .is_probe = false};
    return fail(error);
  }
  if (stored) {
    settle_stored(*lock, request, *run.upload.stored());
  } else {
    parts_.service.set_last_error(run.upload.first_error().value_or(Error{}));
    settle_diverted(*lock);
  }
  lock->dirty_content = false;
  return result;
}

void Writer::settle_stored(State& state, const CommitRequest& request,
                           const StoredObject& stored) {
  if (state.intermediate) {
    remove_version(state.intermediate->key, state.intermediate->version_id);
  }
  const std::uint64_t size = state.extents.size();
  state.made = stored.etag;
  state.base = RemoteVersion{request.path.text(), stored.version_id, stored.etag, size};
  state.base_reader.reset();
  if (stored.version_id.empty()) {
    state.intermediate.reset();
  } else {
    state.intermediate = *state.base;
  }
  // What stays in RAM is what is likely to be changed next: the header and the end.
  const PartNumber last = state.extents.parts();
  for (PartNumber number = 1; number <= last; ++number) {
    const bool keep = (number == 1 || number == last) &&
                      state.extents.source_of(number) == Source::ram && !parts_.pool.is_pressed();
    if (keep) continue;
    state.extents.set_source(number, Source::base);
    state.buffers.erase(number);
    state.dirty.erase(number);
  }
  state.run.reset();
}

void Writer::settle_diverted(State& state) {
  state.draft.reset();
  state.buffers.clear();
  state.dirty.clear();
  state.run.reset();
  state.base.reset();
  state.intermediate.reset();
  if (!state.published) return;
  if (state.published->storage == Storage::local) {
    state.base_record = std::exchange(state.published, std::nullopt);
    return;
  }
  // The head can't be read back before the drain has finished the upload.
  state.failure = state.published->reason;
  state.published.reset();
}

StorageReport Writer::report_of(State& state, const CommitRequest& request) {
  const Run& run = *state.run;
  const Clock& clock = parts_.executor.clock();
  StorageReport report;
  report.name = std::string(request.path.name());
  report.correlation_id = run.correlation_id;
  report.duration = clock.now() - run.timing.began;
  report.uploaded_at = clock.wall();
  report.attempts = std::max(run.upload.attempts(), 1);
  report.size = state.extents.size();
  report.mtime = request.metadata.mtime;
  report.content_type = request.content_type;
  report.sha256 = run.sha256;
  report.writer_killed = request.metadata.writer_killed;
  if (run.upload.outcome() == UploadOutcome::stored) {
    const StoredObject& stored = *run.upload.stored();
    report.storage = Storage::b2;
    report.location = request.path.text();
    report.etag = stored.etag;
    report.version_id = stored.version_id;
    return report;
  }
  report.error = run.upload.first_error();
  if (!state.published) return report;
  report.storage = state.published->storage;
  report.location = parts_.shadow.location_of(*state.published);
  report.fallback_from_b2 = true;
  report.sha256 = state.published->metadata.sha256;
  return report;
}

// B2's word is the reason, the shadow's errno is what the call answers.
Error Writer::total_failure(const State& state) {
  const std::optional<Error> first = state.run ? state.run->upload.first_error() : state.failure;
  Error error = first.value_or(Error{});
  const std::optional<Error> shadow =
      state.run ? state.run->upload.shadow_error() : std::optional<Error>{};
  if (!shadow) return error;
  error.detail = "B2: " + std::string(to_string(error.code)) + ": " + error.detail +
                 "; shadow: " + shadow->detail;
  if (shadow->code == ErrorCode::local_error) {
    error.code = ErrorCode::local_error;
    error.system_errno = shadow->system_errno;
  }
  return error;
}

void Writer::log_outcome(State& state, const CommitRequest& request, const StorageReport& report) {
  const Run& run = *state.run;
  const bool failed = run.upload.outcome() == UploadOutcome::failed;
  Fields fields = Fields::object();
  fields["correlation_id"] = report.correlation_id;
  fields["path"] = request.path.text();
  if (!failed) {
    fields["storage"] = to_string(report.storage);
    fields["location"] = report.location;
  }
  fields["fallback_from_b2"] = report.fallback_from_b2;
  if (report.error) {
    Error error = *report.error;
    if (failed) error.detail = total_failure(state).detail;
    const auto failure = to_failure_json(error);
    for (const auto& [name, value] : failure.items()) {
      if (failed || name != "error") fields[name] = value;
    }
  }
  fields["bytes"] = report.size;
  fields["duration_ms"] = to_milliseconds(*report.duration);
  fields["b2_ms"] = to_milliseconds(run.timing.b2);
  fields["shadow_ms"] = to_milliseconds(run.timing.shadow);
  fields["attempts"] = run.upload.attempts();
  fields["parts"] = state.extents.parts();
  if (!run.timing.request_id.empty()) fields["request_id"] = run.timing.request_id;
  Level level = report.fallback_from_b2 ? Level::warning : Level::info;
  if (failed) level = Level::error;
  parts_.log.event(level, failed ? settings_.event + "_failed" : settings_.event, std::move(fields));
}

void Writer::remove_version(const Key& key, const VersionId& version) {
  parts_.executor.submit([parts = parts_, key, version] {
    for (int tries = 0; tries < kRemovalTries; ++tries) {
      const auto removed = parts.store.delete_object(key, version, {});
      if (removed.ok() || removed.error().code == ErrorCode::not_found) return;
    }
    Fields fields = Fields::object();
    fields["path"] = key;
    fields["version_id"] = version;
    parts.log.event(Level::warning, "version_left", std::move(fields));
  });
}

Metadata Writer::sent_metadata(const CommitRequest& request, const Run& run) {
  Metadata metadata = request.metadata;
  metadata.correlation_id = run.correlation_id;
  metadata.sha256 = run.sha256;
  return metadata;
}

}  // namespace spillway
