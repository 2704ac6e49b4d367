#include "src/writer.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace spillway {
namespace {

// First allocation of a file's part 1: most files are small.
constexpr std::uint64_t kFirstBuffer = 64ULL << 10U;
// Changed parts of an older object that wait in RAM for more changes before they are sent.
constexpr std::size_t kMostWaitingParts = 4;

constexpr std::array<std::byte, 256U << 10U> kZeros{};

using Source = Extents::Source;

std::uint64_t next_capacity(std::uint64_t have, std::uint64_t needed, std::uint64_t most) {
  std::uint64_t capacity = std::max(have, kFirstBuffer);
  while (capacity < needed) capacity *= 4;
  return std::min(capacity, most);
}

}  // namespace

std::shared_ptr<Writer> Writer::make(const WriterParts& parts, const WriterSettings& settings,
                                     const WriterBase& base, Describe describe) {
  std::shared_ptr<Writer> writer(new Writer(parts, settings, std::move(describe)));
  writer->set_base(*writer->state_.lock(), base);
  return writer;
}

std::shared_ptr<Writer> Writer::resume(const WriterParts& parts, const WriterSettings& settings,
                                       const ShadowRecord& record, Describe describe) {
  std::shared_ptr<Writer> writer(new Writer(parts, settings, std::move(describe)));
  auto lock = writer->state_.lock();
  Extents& extents = lock->extents;
  extents.resize(record.size, Source::ram);
  std::vector<UploadedPart> kept;
  if (record.base) {
    lock->base = record.base;
    for (PartNumber number = 1; number <= extents.parts(); ++number) {
      extents.set_source(number, Source::base);
    }
    for (const ByteRange& range : record.ranges) {
      extents.set_source(settings.grid.part_at(range.offset), Source::ram);
    }
  }
  for (const AcknowledgedPart& part : record.upload->parts) {
    if (part.number <= extents.parts()) extents.set_source(part.number, Source::uploaded);
    kept.push_back({part.number, part.etag, part.range.size});
  }
  Run& run = writer->run_of(lock);
  run.upload = Upload::resumed(settings.rules, record.upload->id, kept);
  run.described_at_start = run.described;
  run.described_at_start.path = Path::parse(record.upload->key).value_or(record.path);
  run.described_at_start.metadata = record.metadata;
  lock->dirty_content = true;
  return writer;
}

Writer::Writer(const WriterParts& parts, const WriterSettings& settings, Describe describe)
    : parts_(parts),
      settings_(settings),
      describe_(std::move(describe)),
      turn_(parts.executor),
      state_(parts.executor, settings.grid),
      random_(static_cast<std::uint64_t>(parts.executor.clock().wall().time_since_epoch().count()) |
              1U) {}

Writer::~Writer() = default;

void Writer::set_base(State& state, const WriterBase& base) {
  state.base = base.remote;
  state.base_record = base.local;
  std::uint64_t size = 0;
  if (base.remote) size = base.remote->size;
  if (base.local) size = base.local->size;
  state.extents = Extents(settings_.grid, size);
}

// --- the verbs

Result<> Writer::write(std::uint64_t offset, std::span<const std::byte> bytes) {
  auto turn = turn_.lock();
  auto lock = state_.lock();
  return write_locked(lock, offset, bytes);
}

Result<> Writer::append(std::span<const std::byte> bytes) {
  auto turn = turn_.lock();
  auto lock = state_.lock();
  return write_locked(lock, lock->extents.size(), bytes);
}

Result<> Writer::truncate(std::uint64_t size) {
  auto turn = turn_.lock();
  auto lock = state_.lock();
  if (lock->failure) return fail(*lock->failure);
  if (size > settings_.grid.largest_file()) {
    return fail(ErrorCode::too_large, "larger than the largest file that --part-size allows");
  }
  if (size > lock->extents.size()) {
    TRY(extend(lock, size));
  } else {
    TRY(cut_to(lock, size));
  }
  lock->dirty_content = true;
  return {};
}

void Writer::rebase(const RemoteVersion& version) {
  auto lock = state_.lock();
  if (!lock->base) return;
  lock->base = version;
  lock->base_reader.reset();
  if (lock->intermediate) lock->intermediate = version;
  if (lock->made) lock->made = version.etag;
}

std::uint64_t Writer::size() { return state_.lock()->extents.size(); }

bool Writer::is_dirty() { return state_.lock()->dirty_content; }

void Writer::mark_dirty() { state_.lock()->dirty_content = true; }

bool Writer::is_untouched_in_ram() {
  auto lock = state_.lock();
  return !lock->run && !lock->draft && !lock->base_record && !lock->extents.has(Source::base) &&
         lock->extents.parts() <= 1;
}

bool Writer::has_begun() {
  auto lock = state_.lock();
  return lock->run && lock->run->upload.has_begun();
}

Result<> Writer::keep_local_base() {
  auto turn = turn_.lock();
  auto lock = state_.lock();
  return lock->base_record ? open_draft_of_base(lock) : Result<>{};
}

std::uint64_t Writer::pending_bytes() {
  auto lock = state_.lock();
  return lock->dirty_content ? lock->extents.size() : 0;
}

void Writer::give_up(const Error& reason) {
  auto lock = state_.lock();
  if (lock->run) post(lock, event::GiveUp{reason});
}

void Writer::discard() {
  auto turn = turn_.lock();
  auto lock = state_.lock();
  lock->failure.reset();
  lock->draft.reset();
  static_cast<void>(cut_to(lock, 0));
  lock->dirty_content = false;
}

// --- writing

Result<> Writer::write_locked(Lock& lock, std::uint64_t offset, std::span<const std::byte> bytes) {
  if (lock->broken) return fail(*lock->broken);
  if (lock->failure) return fail(*lock->failure);
  if (bytes.empty()) return {};
  if (offset + bytes.size() > settings_.grid.largest_file()) {
    return fail(ErrorCode::too_large, "larger than the largest file that --part-size allows");
  }
  TRY(await_parts(lock, offset, bytes.size()));
  Result<> done = write_pieces(lock, offset, bytes);
  // A part of the range left on the way, to make room for an earlier one: the whole write is made once
  // more. (An append has no part after its first one that could.)
  if (!done.ok() && done.error().cause != Cause::in_upload) lock->broken = done.error();
  return done;
}

// Before the first byte of a write is taken: none of its parts is under way, nor already where it
// can't be changed.
Result<> Writer::await_parts(Lock& lock, std::uint64_t offset, std::size_t size) {
  const PartNumber last = settings_.grid.part_at(offset + size - 1);
  for (PartNumber number = settings_.grid.part_at(std::min(offset, lock->extents.size()));
       number <= last; ++number) {
    lock.wait([&] { return !lock->run || !lock->run->upload.is_busy(number); });
    if (!lock->draft && lock->extents.source_of(number) == Source::uploaded) {
      return fail(in_upload());
    }
  }
  return {};
}

Result<> Writer::write_pieces(Lock& lock, std::uint64_t offset, std::span<const std::byte> bytes) {
  if (offset > lock->extents.size()) TRY(extend(lock, offset));
  while (!bytes.empty()) {
    const PartNumber number = settings_.grid.part_at(offset);
    const std::uint64_t part_end =
        settings_.grid.offset_of(number) + settings_.grid.size_of(number);
    const auto piece = bytes.first(std::min<std::uint64_t>(bytes.size(), part_end - offset));
    TRY(write_part(lock, number, offset, piece));
    offset += piece.size();
    bytes = bytes.subspan(piece.size());
  }
  return {};
}

Result<> Writer::write_part(Lock& lock, PartNumber number, std::uint64_t offset,
                            std::span<const std::byte> bytes) {
  const std::uint64_t start = settings_.grid.offset_of(number);
  const std::uint64_t end = offset + bytes.size();
  TRY(prepare_part(lock, number, end - start));
  lock->dirty_content = true;
  if (lock->draft) return draft_write(lock, offset, bytes);
  if (end > lock->extents.size()) lock->extents.resize(end, Source::ram);
  lock->extents.set_source(number, Source::ram);
  Buffer& buffer = lock->buffers[number];
  if (buffer.size() < end - start) buffer.resize_uninitialized(end - start);
  std::memcpy(buffer.bytes().data() + (offset - start), bytes.data(), bytes.size());
  lock->dirty[number] = true;
  send_full_parts(lock, number);
  return {};
}

Result<> Writer::draft_write(Lock& lock, std::uint64_t offset, std::span<const std::byte> bytes) {
  const std::uint64_t end = offset + bytes.size();
  const Instant began = parts_.executor.clock().now();
  TRY(lock->draft->write(offset, bytes));
  if (lock->run) lock->run->timing.shadow += parts_.executor.clock().now() - began;
  if (end > lock->extents.size()) lock->extents.resize(end, Source::shadow);
  return {};
}

Result<> Writer::extend(Lock& lock, std::uint64_t size) {
  while (lock->extents.size() < size) {
    const std::uint64_t at = lock->extents.size();
    const PartNumber number = settings_.grid.part_at(at);
    const std::uint64_t part_end =
        settings_.grid.offset_of(number) + settings_.grid.size_of(number);
    const std::uint64_t stretch =
        std::min({size - at, part_end - at, std::uint64_t{kZeros.size()}});
    TRY(write_part(lock, number, at, std::span(kZeros).first(stretch)));
  }
  return {};
}

// Until the part's bytes can be changed: in RAM with room for `needed` bytes and not under way, or
// the file is diverted and its bytes go to the draft.
Result<> Writer::prepare_part(Lock& lock, PartNumber number, std::uint64_t needed) {
  for (;;) {
    if (lock->failure) return fail(*lock->failure);
    // Nothing that is written from here on would leave RAM.
    if (lock->run && lock->run->upload.is_ended() &&
        lock->run->upload.outcome() == UploadOutcome::failed) {
      return fail(total_failure(*lock));
    }
    if (lock->base_record) {
      TRY(open_draft_of_base(lock));
      continue;
    }
    const Source source = lock->extents.source_of(number);
    if (lock->draft) {
      if (source == Source::base) {
        TRY(copy_base_to_draft(lock, number));
        continue;
      }
      if (source != Source::uploaded) return {};
      return fail(ErrorCode::server_error,
                  "this part of the file is in an unfinished upload to B2 and can't be changed yet");
    }
    if (lock->run && lock->run->upload.is_busy(number)) {
      lock.wait([&] { return !lock->run || !lock->run->upload.is_busy(number); });
      continue;
    }
    if (source == Source::uploaded) return fail(in_upload());
    if (source == Source::base) {
      TRY(load_part(lock, number));
      continue;
    }
    const auto buffer = lock->buffers.find(number);
    if (buffer != lock->buffers.end() && buffer->second.capacity() >= needed) return {};
    TRY(give_buffer(lock, number, needed));
  }
}

Result<> Writer::load_part(Lock& lock, PartNumber number) {
  const ByteRange range = lock->extents.range_of(number);
  TRY(give_buffer(lock, number, range.size));
  if (lock->extents.source_of(number) != Source::base || lock->draft) return {};
  Buffer buffer = std::move(lock->buffers[number]);
  lock->buffers.erase(number);
  buffer.resize_uninitialized(range.size);
  const std::size_t got = TRY(read_base(lock, range.offset, buffer.bytes()));
  if (got != range.size) return fail(ErrorCode::stale, "the object became shorter while it was open");
  if (lock->extents.source_of(number) != Source::base || lock->draft) return {};
  // All that is in RAM is on its way to the shadow: what came too late for that waits for its end.
  if (lock->run && lock->run->upload.is_busy(number)) return {};
  lock->buffers[number] = std::move(buffer);
  lock->dirty[number] = false;
  lock->extents.set_source(number, Source::ram);
  return {};
}

// An unchanged part of a diverted file is about to be changed, and the draft holds whole parts.
Result<> Writer::copy_base_to_draft(Lock& lock, PartNumber number) {
  TRY(copy_base_part(lock, *lock->draft, number));
  lock->extents.set_source(number, Source::shadow);
  return {};
}

// Room for `needed` bytes in the part's buffer. Memory is waited for with the lock released, so
// that what is under way can give some back.
Result<> Writer::give_buffer(Lock& lock, PartNumber number, std::uint64_t needed) {
  relieve_pressure(*lock);
  const auto had = lock->buffers.find(number);
  const std::uint64_t have = had == lock->buffers.end() ? 0 : had->second.capacity();
  const std::uint64_t most = settings_.grid.size_of(number);
  const std::uint64_t want = number == 1 ? next_capacity(have, needed, most) : most;
  Buffer larger = lock.unlocked([&] { return parts_.pool.take(want); });
  if (lock->draft) return {};
  Buffer& buffer = lock->buffers[number];
  if (lock->run && lock->run->upload.is_busy(number)) return {};
  larger.resize_uninitialized(buffer.size());
  if (buffer.size() > 0) {
    std::memcpy(larger.bytes().data(), buffer.bytes().data(), buffer.size());
  }
  buffer = std::move(larger);
  return {};
}

// A whole file in the shadow is changed there, in a copy, and drains as before.
Result<> Writer::open_draft_of_base(Lock& lock) {
  const ShadowRecord record = *lock->base_record;
  lock->draft = TRY(parts_.shadow.copy_to_draft(record));
  lock->draft_reason = record.reason;
  lock->base_record.reset();
  lock->extents = Extents(settings_.grid, 0);
  lock->extents.resize(record.size, Source::shadow);
  run_of(lock);
  return {};
}

// Announces what need not wait for the commit: a part that was written up to its end is not likely
// to be written again, and later parts can only follow if it leaves RAM.
void Writer::send_full_parts(Lock& lock, PartNumber touched) {
  if (lock->extents.size() <= settings_.grid.first_size()) return;
  const auto is_sendable = [&](PartNumber number) {
    const auto buffer = lock->buffers.find(number);
    if (buffer == lock->buffers.end() || !lock->dirty[number]) return false;
    if (buffer->second.size() != settings_.grid.size_of(number)) return false;
    return !lock->run || !lock->run->upload.is_busy(number);
  };
  std::vector<PartNumber> leaving;
  const bool first_is_new = !lock->run || !lock->run->upload.is_acknowledged(1);
  if (first_is_new && is_sendable(1)) leaving.push_back(1);
  const std::uint64_t next = settings_.grid.offset_of(touched + 1);
  if (touched != 1 && lock->extents.size() == next && is_sendable(touched)) {
    leaving.push_back(touched);
  }
  std::vector<PartNumber> waiting;
  for (const auto& [number, buffer] : lock->buffers) {
    if (number != 1 && number != touched && is_sendable(number)) waiting.push_back(number);
  }
  if (waiting.size() > kMostWaitingParts) leaving.push_back(waiting.front());
  for (const PartNumber number : leaving) {
    lock->dirty[number] = false;
    run_of(lock);
    post(lock, event::PartReady{{number, PartSource::ram, lock->buffers[number].size()}});
  }
}

// Gives back what is only kept for convenience.
void Writer::relieve_pressure(State& state) {
  if (!parts_.pool.is_pressed()) return;
  for (auto entry = state.buffers.begin(); entry != state.buffers.end();) {
    const PartNumber number = entry->first;
    const bool is_clean = !state.dirty[number] && state.extents.parts() >= number &&
                          state.extents.source_of(number) == Source::ram;
    const bool is_in_base = is_clean && !state.run && state.base;
    const bool is_in_upload = is_clean && state.run && state.run->upload.is_acknowledged(number);
    if (!is_in_base && !is_in_upload) {
      ++entry;
      continue;
    }
    if (is_in_upload) {
      static_cast<void>(state.run->upload.on(event::PartDropped{number}, moment()));
    }
    state.extents.set_source(number, is_in_base ? Source::base : Source::uploaded);
    entry = state.buffers.erase(entry);
  }
}

// --- truncating

Result<> Writer::cut_to(Lock& lock, std::uint64_t size) {
  if (lock->base_record && size > 0) TRY(open_draft_of_base(lock));
  lock->base_record.reset();
  lock.wait([&] {
    if (!lock->run) return true;
    for (const auto& [number, buffer] : lock->buffers) {
      if (lock->run->upload.is_busy(number)) return false;
    }
    return true;
  });
  if (lock->draft) {
    const bool cuts_upload = size > 0 && size < lock->extents.size() &&
                             lock->extents.source_of(settings_.grid.part_at(size - 1)) ==
                                 Source::uploaded;
    if (cuts_upload) {
      return fail(ErrorCode::server_error,
                  "this part of the file is in an unfinished upload to B2 and can't be cut yet");
    }
    TRY(lock->draft->truncate(size));
    lock->extents.resize(size, Source::shadow);
    return {};
  }
  if (size == 0) {
    reset_run(lock);
    lock->broken.reset();
    lock->buffers.clear();
    lock->dirty.clear();
    lock->extents.resize(0, Source::ram);
    return {};
  }
  const PartNumber last = settings_.grid.part_at(size - 1);
  const std::uint64_t start = settings_.grid.offset_of(last);
  if (size - start < lock->extents.range_of(last).size) {
    TRY(prepare_part(lock, last, size - start));
    if (lock->draft) return cut_to(lock, size);
    lock->buffers[last].resize_uninitialized(size - start);
    lock->dirty[last] = true;
  }
  std::erase_if(lock->buffers, [&](const auto& entry) { return entry.first > last; });
  std::erase_if(lock->dirty, [&](const auto& entry) { return entry.first > last; });
  lock->extents.resize(size, Source::ram);
  return {};
}

// Forgets the upload that was begun; the bytes in RAM have to be sent anew.
void Writer::reset_run(Lock& lock) {
  if (!lock->run) return;
  if (const auto id = lock->run->upload.upload_id()) do_abort(lock, *id);
  parts_.service.upload_abandoned(lock->run->admission);
  lock->run.reset();
  for (auto& [number, is_dirty_part] : lock->dirty) is_dirty_part = true;
}

}  // namespace spillway
