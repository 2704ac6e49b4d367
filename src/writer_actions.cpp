// Writer, continued: carries out what the upload machine decides, each call to B2 or the disk in a
// job of its own, and tells the machine what came of it.
#include <algorithm>
#include <utility>

#include "src/writer.h"

namespace spillway {
namespace {

using Source = Extents::Source;

constexpr int kAbortTries = 3;

std::string hex_of(const Hashing& hashing, std::span<const std::byte> bytes) {
  const auto hasher = hashing.make_sha256();
  hasher->update(bytes);
  return hasher->finish_hex();
}

}  // namespace

Moment Writer::moment() {
  // xorshift64: enough for jitter and ids.
  std::uint64_t bits = random_.load(std::memory_order_relaxed);
  std::uint64_t next = 0;
  do {
    next = bits;
    next ^= next << 13U;
    next ^= next >> 7U;
    next ^= next << 17U;
  } while (!random_.compare_exchange_weak(bits, next));
  return {parts_.executor.clock().now(), next};
}

void Writer::post(Lock& lock, const UploadEvent& event) {
  const auto actions = lock->run->upload.on(event, moment());
  for (const UploadAction& action : actions) carry_out(lock, action);
  lock.notify_all();
}

void Writer::deliver(std::uint64_t run, const UploadEvent& event) {
  auto lock = state_.lock();
  if (!lock->run || lock->run->number != run) return;
  post(lock, event);
}

void Writer::submit(std::uint64_t run, std::function<UploadEvent()> work) {
  parts_.executor.submit([self = shared_from_this(), run, work = std::move(work)] {
    self->deliver(run, work());
  });
}

void Writer::carry_out(Lock& lock, const UploadAction& action) {
  struct Visitor {
    Writer& writer;
    Lock& lock;
    void operator()(const action::PutObject& what) { writer.do_put(lock, what); }
    void operator()(const action::CreateUpload& what) { writer.do_create(lock, what); }
    void operator()(const action::SendPart& what) { writer.do_send(lock, what); }
    void operator()(const action::Complete& what) { writer.do_complete(lock, what); }
    void operator()(const action::Look&) { writer.do_look(lock); }
    void operator()(const action::Abort& what) { writer.do_abort(lock, what.id); }
    void operator()(const action::WakeAt& what) { writer.do_wake_at(lock, what.when); }
    void operator()(const action::FreePart& what) { writer.free_part(*lock, what.number); }
    void operator()(const action::Divert&) { writer.do_divert(lock); }
    void operator()(const action::PublishShadow&) { writer.do_publish(lock); }
    void operator()(const action::Finish&) {}  // post() wakes whoever waits for the outcome
  };
  std::visit(Visitor{*this, lock}, action);
}

void Writer::free_part(State& state, PartNumber number) {
  state.buffers.erase(number);
  state.dirty.erase(number);
  if (number <= state.extents.parts()) state.extents.set_source(number, Source::uploaded);
}

void Writer::do_wake_at(Lock& lock, Instant when) {
  // A timer must not keep the writer: it may be due after everything else has gone.
  parts_.executor.submit_at(when, [weak = weak_from_this(), run = lock->run->number] {
    if (const auto self = weak.lock()) self->deliver(run, event::Wake{});
  });
}

// Times a call to B2 and notes what its answer says besides the result.
template <class Call>
auto Writer::ask_b2(std::uint64_t run, Call call) {
  const auto slot = parts_.service.take_slot();
  const Instant began = parts_.executor.clock().now();
  auto result = call();
  const Duration took = parts_.executor.clock().now() - began;
  if (!result.ok() && result.error().code == ErrorCode::rate_limited) parts_.service.slow_down();
  auto lock = state_.lock();
  if (lock->run && lock->run->number == run) {
    lock->run->timing.b2 += took;
    if (!result.ok()) lock->run->timing.request_id = result.error().request_id;
    if constexpr (requires { result->request_id; }) {
      if (result.ok()) lock->run->timing.request_id = result->request_id;
    }
    // Others need not wait for the end of a file that may be written for hours.
    if constexpr (requires { result->etag; }) {
      if (result.ok() && std::exchange(lock->run->admission.is_probe, false)) {
        parts_.service.upload_ended(lock->run->admission, std::nullopt);
      }
    }
  }
  return result;
}

void Writer::do_put(Lock& lock, const action::PutObject& what) {
  Run& run = *lock->run;
  const auto held = lock->buffers.find(1);
  std::span<const std::byte> bytes;
  if (held != lock->buffers.end() && lock->extents.size() > 0) {
    bytes = std::as_const(held->second).bytes().first(lock->extents.size());
  }
  const CallOptions options{.fresh_connection = what.fresh_connection, .cancel = {}};
  submit(run.number, [this, bytes, options, request = run.described, number = run.number] {
    const BufferPool::Sending sending(parts_.pool, bytes.size());
    PutRequest put;
    put.key = request.path.text();
    if (!bytes.empty()) put.payload.pieces.push_back(bytes);
    put.payload.sha256 = hex_of(parts_.hashing, bytes);
    put.content_type = request.content_type;
    put.metadata = metadata_to_send(number, request, put.payload.sha256);
    return event::PutDone{ask_b2(number, [&] { return parts_.store.put_object(put, options); })};
  });
}

// Of the run's upload, with the hash where it is known before the bytes leave.
MetadataMap Writer::metadata_to_send(std::uint64_t run, const CommitRequest& request,
                                     const std::string& sha256) {
  auto lock = state_.lock();
  if (!lock->run || lock->run->number != run) return {};
  lock->run->sha256 = sha256;
  return to_map(sent_metadata(request, *lock->run));
}

void Writer::do_create(Lock& lock, const action::CreateUpload& what) {
  Run& run = *lock->run;
  run.described_at_start = run.described;
  const CallOptions options{.fresh_connection = what.fresh_connection, .cancel = {}};
  submit(run.number, [this, options, request = run.described, number = run.number] {
    const Key key = request.path.text();
    const MetadataMap metadata = metadata_to_send(number, request, "");
    auto created = ask_b2(number, [&] {
      return parts_.store.create_upload(key, request.content_type, metadata, options);
    });
    if (created.ok()) note_in_ledger({key, created.value()});
    return event::UploadCreated{std::move(created)};
  });
}

// Only uploads in the ledger are ever aborted; one that can't be noted may be left over by a crash.
void Writer::note_in_ledger(const LedgerEntry& entry) {
  const auto noted = parts_.shadow.note_upload(entry);
  if (noted.ok()) return;
  Fields fields = Fields::object();
  fields["path"] = entry.key;
  fields["detail"] = noted.error().detail;
  parts_.log.event(Level::warning, "ledger_failed", std::move(fields));
}

void Writer::do_send(Lock& lock, const action::SendPart& what) {
  Run& run = *lock->run;
  const CallOptions options{.fresh_connection = what.fresh_connection, .cancel = {}};
  const Key key = run.described_at_start.path.text();
  const auto part = what.part;
  if (part.source == PartSource::base) {
    const ByteRange range = lock->extents.range_of(part.number);
    submit(run.number, [this, options, key, part, id = what.id, range, number = run.number] {
      const auto copy_from = [&](const RemoteVersion& base) {
        return ask_b2(number, [&] {
          return parts_.store.upload_part_copy(key, id, part.number, base.key, base.version_id,
                                               range, options);
        });
      };
      const RemoteVersion base = *state_.lock()->base;
      auto copied = copy_from(base);
      // A version that got other metadata is replaced by one with the same bytes, and goes.
      const auto replaced_by = state_.lock()->base;
      if (!copied.ok() && replaced_by && *replaced_by != base) copied = copy_from(*replaced_by);
      return event::PartDone{part.number, etag_of(std::move(copied))};
    });
    return;
  }
  const auto bytes = std::as_const(lock->buffers[part.number]).bytes().first(part.size);
  submit(run.number, [this, options, key, part, id = what.id, bytes, number = run.number] {
    const BufferPool::Sending sending(parts_.pool, bytes.size());
    Payload payload;
    payload.pieces.push_back(bytes);
    auto sent = ask_b2(number, [&] {
      return parts_.store.upload_part(key, id, part.number, payload, options);
    });
    return event::PartDone{part.number, etag_of(std::move(sent))};
  });
}

Result<Etag> Writer::etag_of(Result<UploadedPart> part) {
  if (!part.ok()) return fail(std::move(part).error());
  return part->etag;
}

void Writer::do_complete(Lock& lock, const action::Complete& what) {
  const Key key = lock->run->described_at_start.path.text();
  // Under another name than the file has now the object is only a means: the drain ends that.
  const bool is_final = lock->run->described.path.text() == key;
  submit(lock->run->number, [this, key, what, is_final, number = lock->run->number] {
    auto done = ask_b2(number, [&] {
      return parts_.store.complete_upload(key, what.id, what.parts, {});
    });
    if (done.ok() && is_final) static_cast<void>(parts_.shadow.forget_upload(what.id));
    return event::Completed{std::move(done)};
  });
}

void Writer::do_look(Lock& lock) {
  const Key key = lock->run->described_at_start.path.text();
  const std::uint64_t size = lock->extents.size();
  const std::string own_id = lock->run->correlation_id;
  submit(lock->run->number, [this, key, size, own_id, number = lock->run->number] {
    const CallOptions fresh{.fresh_connection = true, .cancel = {}};
    const auto found = ask_b2(number, [&] { return parts_.store.head_object(key, "", fresh); });
    if (!found.ok() && found.error().code != ErrorCode::not_found) {
      return event::Looked{fail(found.error())};
    }
    if (!found.ok() || found->size != size ||
        metadata_from(found->metadata).correlation_id != own_id) {
      return event::Looked{std::optional<StoredObject>{}};
    }
    return event::Looked{std::optional(
        StoredObject{key, found->etag, found->version_id, "", found->last_modified})};
  });
}

void Writer::do_abort(Lock& lock, const UploadId& id) {
  const Key key = lock->run->described_at_start.path.text();
  parts_.executor.submit([parts = parts_, key, id] {
    Result<> aborted;
    for (int tries = 0; tries < kAbortTries; ++tries) {
      aborted = parts.store.abort_upload(key, id, {.fresh_connection = tries > 0, .cancel = {}});
      if (aborted.ok()) break;
    }
    Fields fields = Fields::object();
    fields["path"] = key;
    if (aborted.ok()) {
      static_cast<void>(parts.shadow.forget_upload(id));
    } else {
      parts.shadow.leave_upload(id);  // it is tried again later
      fields["error_code"] = to_string(aborted.error().code);
      fields["detail"] = aborted.error().detail;
    }
    parts.log.event(aborted.ok() ? Level::info : Level::warning, "upload_aborted",
                    std::move(fields));
  });
}

// --- the shadow

void Writer::do_divert(Lock& lock) {
  submit(lock->run->number, [this] { return event::Diverted{move_to_draft()}; });
}

// Every byte that is not in an unfinished upload goes to a draft. The parts are busy meanwhile, so
// buffers and base stand still without the lock.
Result<> Writer::move_to_draft() {
  auto lock = state_.lock();
  if (lock->draft) return {};
  const Instant began = parts_.executor.clock().now();
  auto draft = TRY(lock.unlocked([&] { return parts_.shadow.create_draft(); }));
  bool with_base = copies_base(*lock);
  // What B2 says is gone can't be left there.
  const auto reason = lock->run ? lock->run->upload.first_error() : std::nullopt;
  const bool base_is_gone = reason && (reason->code == ErrorCode::not_found ||
                                       reason->code == ErrorCode::stale ||
                                       reason->code == ErrorCode::bucket_not_found);
  if (lock->extents.has(Source::base) && base_is_gone) return fail(*reason);
  std::vector<PartNumber> moved;
  for (PartNumber number = 1; number <= lock->extents.parts(); ++number) {
    const Source source = lock->extents.source_of(number);
    if (source == Source::base && with_base) {
      const Result<> copied = copy_base_part(lock, *draft, number);
      const bool is_gone = !copied.ok() && (copied.error().code == ErrorCode::not_found ||
                                            copied.error().code == ErrorCode::stale);
      if (is_gone || (!copied.ok() && settings_.rules.on_failure == OnFailure::divert_whole)) {
        return copied;
      }
      with_base = copied.ok();
      if (!with_base) continue;
    } else if (source == Source::ram) {
      const ByteRange range = lock->extents.range_of(number);
      const auto bytes = std::as_const(lock->buffers[number]).bytes().first(range.size);
      TRY(lock.unlocked([&] { return draft->write(range.offset, bytes); }));
    } else {
      continue;
    }
    moved.push_back(number);
  }
  TRY(draft->truncate(lock->extents.size()));
  for (const PartNumber number : moved) lock->extents.set_source(number, Source::shadow);
  lock->buffers.clear();
  lock->dirty.clear();
  lock->draft = std::move(draft);
  if (lock->run) lock->run->timing.shadow += parts_.executor.clock().now() - began;
  return {};
}

// Unchanged parts of an older object are left where they are, in that version, unless the file can
// become whole in the shadow at little cost: B2 answers (it only refuses to store), and there is not
// much of it.
bool Writer::copies_base(const State& state) const {
  constexpr std::uint64_t kMostCopied = 64ULL << 20U;
  if (settings_.rules.on_failure == OnFailure::divert_whole) return true;
  if (state.extents.size() > kMostCopied || state.extents.has(Source::uploaded)) return false;
  const auto reason = state.run ? state.run->upload.first_error() : std::nullopt;
  if (!reason) return false;
  return reason->code == ErrorCode::cap_exceeded || reason->code == ErrorCode::auth_error ||
         !means_outage(reason->code);
}

Result<> Writer::copy_base_part(Lock& lock, ShadowDraft& draft, PartNumber number) {
  const ByteRange range = lock->extents.range_of(number);
  Buffer buffer = lock.unlocked([&] { return parts_.pool.take(range.size); });
  buffer.resize_uninitialized(range.size);
  const std::size_t got = TRY(read_base(lock, range.offset, buffer.bytes()));
  if (got != range.size) return fail(ErrorCode::stale, "the object became shorter meanwhile");
  return lock.unlocked([&] { return draft.write(range.offset, buffer.bytes()); });
}

void Writer::do_publish(Lock& lock) {
  ShadowRecord record = shadow_record(*lock);
  if (!record.upload) {
    if (const auto id = lock->run->upload.upload_id()) do_abort(lock, *id);
  }
  ShadowDraft* draft = lock->draft.get();
  submit(lock->run->number, [this, draft, record = std::move(record)] {
    const Instant began = parts_.executor.clock().now();
    auto published = parts_.shadow.publish(*draft, record);
    auto state = state_.lock();
    if (state->run) state->run->timing.shadow += parts_.executor.clock().now() - began;
    if (!published.ok()) return event::ShadowPublished{fail(std::move(published).error())};
    state->published = std::move(published).value();
    return event::ShadowPublished{{}};
  });
}

ShadowRecord Writer::shadow_record(State& state) {
  const Run& run = *state.run;
  ShadowRecord record;
  record.path = run.described.path;
  record.size = state.extents.size();
  record.content_type = run.described.content_type;
  record.metadata = sent_metadata(run.described, run);
  record.seen = run.described.seen;
  record.seen_etag = run.described.seen_etag;
  if (state.made) {
    record.seen = Seen::object;
    record.seen_etag = *state.made;
  }
  record.own_ids = run.described.own_ids;
  record.own_ids.insert(record.own_ids.end(), state.own_ids.begin(), state.own_ids.end());
  if (run.upload.attempts() > 0) record.own_ids.push_back(run.correlation_id);
  record.reason = run.upload.first_error().value_or(Error{});
  record.attempts = std::max(run.upload.attempts(), 1);
  record.duration = parts_.executor.clock().now() - run.timing.began;
  record.stored_at = parts_.executor.clock().wall();
  describe_places(state, record);
  return record;
}

// Which bytes are where: in the shadow, in parts of the unfinished upload, in the old version.
void Writer::describe_places(State& state, ShadowRecord& record) const {
  const bool needs_base = state.extents.has(Source::base);
  const bool needs_upload = state.extents.has(Source::uploaded);
  if (!needs_base && !needs_upload) {
    if (record.size > 0) record.ranges.push_back({0, record.size});
    return;
  }
  record.storage = Storage::split;
  for (PartNumber number = 1; number <= state.extents.parts(); ++number) {
    if (state.extents.source_of(number) == Source::shadow) {
      record.ranges.push_back(state.extents.range_of(number));
    }
  }
  if (needs_base) record.base = state.base;
  if (!needs_upload) return;
  const Run& run = *state.run;
  record.upload = UnfinishedUpload{run.described_at_start.path.text(),
                                   run.upload.upload_id().value_or(""),
                                   settings_.grid.first_size(), {}};
  record.upload->largest_part = settings_.grid.largest_size();
  for (const UploadedPart& part : run.upload.kept_parts()) {
    // Some may have been cut off since.
    if (part.number > state.extents.parts() ||
        state.extents.source_of(part.number) != Source::uploaded) {
      continue;
    }
    record.upload->parts.push_back(
        {part.number, state.extents.range_of(part.number), part.etag, ""});
  }
}

}  // namespace spillway
