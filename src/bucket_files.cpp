// BucketFileSystem, continued: open files.
#include <algorithm>
#include <utility>

#include "src/bucket_file_system.h"
#include "src/temporary_names.h"

namespace spillway {
namespace {

// How long a question about a file's storage waits for the RELEASE that follows an answered FLUSH.
constexpr Duration kReleaseWait = std::chrono::milliseconds(200);

WriterSettings writer_settings(const SpillwayOptions& options, const PartGrid& grid) {
  WriterSettings settings;
  settings.grid = grid;
  settings.rules.retry.retry_for = options.retry_for;
  settings.rules.parts_at_once = options.parts_at_once;
  settings.rules.on_failure =
      options.on_split == SplitMode::fail ? OnFailure::divert_whole : OnFailure::divert;
  return settings;
}

// What a reader of the head of a split file is told.
Error unreadable(const ShadowRecord& record) {
  Error error;
  error.code = ErrorCode::server_error;
  error.detail = record.reason.cause == Cause::upload_gone
                     ? record.reason.detail
                     : "this part of the file is in an unfinished upload to B2, which can be read "
                       "once it is finished";
  return error;
}

StorageReport pending_report(const Path& path) {
  StorageReport report;
  report.storage = Storage::pending;
  report.name = std::string(path.name());
  report.location = path.text();
  return report;
}

}  // namespace

// --- opening

BucketFileSystem::FilePointer BucketFileSystem::make_open_file(const Path& path) {
  auto file = std::make_shared<OpenFile>(parts_.executor);
  auto state = file->state.lock();
  state->path = path;
  state->content_type = content_type_for(path.name());
  state->changed_at = now();
  state->report = pending_report(path);
  return file;
}

BucketFileSystem::FilePointer BucketFileSystem::open_found(const Path& path, const Found& found) {
  auto file = make_open_file(path);
  auto state = file->state.lock();
  if (found.local) {
    state->local = found.local;
    state->stored_size = found.local->size;
    state->metadata = found.local->metadata;
    state->content_type = found.local->content_type;
    state->changed_at = found.local->stored_at;
    state->seen = found.local->seen;
    state->seen_etag = found.local->seen_etag;
  } else {
    const RemoteFile& remote = *found.remote;
    state->remote = version_of(path, remote);
    state->stored_size = remote.size;
    state->metadata = remote.metadata;
    if (!remote.content_type.empty()) state->content_type = remote.content_type;
    state->changed_at = remote.last_modified;
    state->seen = Seen::object;
    state->seen_etag = remote.etag;
  }
  return file;
}

Result<Opened> BucketFileSystem::create(const Path& path, std::uint32_t permissions,
                                        OpenFlags flags, const Caller& caller) {
  TRY(check_creatable(path));
  const Found found = find(path);
  if (found.exists()) {
    if (flags.exclusive) return fail(ErrorCode::exists, path.text());
    return open(path, flags, caller);
  }
  // Who neither replaces a file nor makes a new one wants the content that there may be.
  if (found.doubt && !flags.exclusive && !flags.truncate) return fail(*found.doubt);
  auto file = make_open_file(path);
  {
    auto state = file->state.lock();
    state->metadata.mtime = now();
    state->metadata.permissions = permissions & 07777U;
    state->metadata.uid = caller.uid;
    state->metadata.gid = caller.gid;
    state->creator = caller.pid;
    state->may_be_held =
        flags.exclusive && is_temporary_name(path.name(), settings_.options.temp_names);
    // A temporary name is random: nobody else's.
    state->seen = found.doubt && !state->may_be_held ? Seen::unknown : Seen::absent;
  }
  {
    const auto held = TRY(take_new_name(path));
    auto files = open_files_.lock();
    const auto [entry, is_new] = files->try_emplace(path, file);
    if (!is_new) {
      if (flags.exclusive) return fail(ErrorCode::exists, path.text());
      file = entry->second;
    }
    ++file->state.lock()->handles;
  }
  flags.truncate = true;
  return add_handle(file, flags);
}

// Counts the handle while the table of open files is locked: the last RELEASE of an earlier one, which
// may come at any time after its close(), would else take out of the table what is being opened.
// Nothing where the file has left the table since it was found.
BucketFileSystem::FilePointer BucketFileSystem::enter(const Path& path, const Found& found) {
  const FilePointer candidate = found.open ? found.open : open_found(path, found);
  auto files = open_files_.lock();
  if (name_now(path) != path) return nullptr;
  if (found.open && (!files->contains(path) || files->at(path) != found.open)) return nullptr;
  const FilePointer file = files->try_emplace(path, candidate).first->second;
  ++file->state.lock()->handles;
  return file;
}

void BucketFileSystem::leave(const FilePointer& file) {
  --file->state.lock()->handles;
  drop_if_unused(file);
}

Result<Opened> BucketFileSystem::open(const Path& asked_for, OpenFlags flags,
                                      const Caller& caller) {
  FilePointer file;
  while (!file) {
    const Path path = name_now(asked_for);
    const Found found = TRY(find_existing(path));
    if (found.is_directory) return fail(ErrorCode::is_directory, path.text());
    file = enter(path, found);
  }
  const bool by_another = [&] {
    auto state = file->state.lock();
    return state->is_held && state->creator != caller.pid;
  }();
  const Result<> shown = by_another ? end_hold(file) : Result<>{};
  if (shown.ok()) return add_handle(file, flags);
  leave(file);
  return fail(shown.error());
}

std::shared_ptr<Writer> BucketFileSystem::make_writer(const FilePointer& file,
                                                      OpenFile::State& state, OpenFlags flags) {
  WriterBase base;
  if (!flags.truncate) base = {state.remote, state.local};
  if (base.local) base.remote.reset();
  std::weak_ptr<OpenFile> weak = file;
  return Writer::make(writer_parts(), writer_settings(settings_.options, part_grid()), base, [this, weak] {
    const auto strong = weak.lock();
    if (!strong) return CommitRequest{};
    CommitRequest request = describe(*strong);
    const auto found = drain_->find_finished(request.path);
    if (!found.ok()) request.refused = found.error();
    return request;
  });
}

// The handle is counted already.
Result<Opened> BucketFileSystem::add_handle(const FilePointer& file, const OpenFlags& flags) {
  Result<Opened> opened = make_handle(file, flags);
  if (!opened.ok()) leave(file);
  return opened;
}

Result<Opened> BucketFileSystem::make_handle(const FilePointer& file, const OpenFlags& flags) {
  if (flags.truncate) {
    const auto writer = file->state.lock()->writer;
    if (writer) TRY(writer->truncate(0));
  }
  auto state = file->state.lock();
  const bool is_split = state->local && state->local->storage == Storage::split;
  if (is_split && flags.write && !flags.truncate && !state->writer) {
    return fail(ErrorCode::server_error,
                "a part of the file is in an unfinished upload to B2: it can be changed once it has "
                "drained");
  }
  state->flush_answered = false;
  const bool is_new = state->report.storage == Storage::pending && !state->remote && !state->local;
  if (flags.write || flags.truncate) {
    state->writing_handles += flags.write ? 1 : 0;
    if (!state->writer) {
      state->writer = make_writer(file, *state, flags);
      state->reader.reset();
      state->local_data.reset();
      if (flags.truncate) state->writer->mark_dirty();
    }
    if (flags.truncate) {
      state->metadata.mtime = now();
      state->mtime_was_set = false;
      if (!is_new) content_changed(state->path);
    }
  }
  Opened opened;
  auto handle = std::make_unique<FileHandle>(file, flags);
  opened.handle = handle.get();
  handles_.lock()->emplace(opened.handle, std::move(handle));
  opened.attributes = attributes_of(*state);
  // Bytes of a file that is being written are asked for anew each time: the kernel has one cache
  // for all handles of a file, and knows nothing of what a direct write did.
  // The kernel would also ask for more of a split file than its reader wants.
  opened.direct_io = state->writer != nullptr || is_split;
  opened.keep_cache = false;
  return opened;
}

// --- bytes

Result<std::size_t> BucketFileSystem::read(FileHandle& handle, std::uint64_t offset,
                                           std::span<std::byte> bytes) {
  const FilePointer& file = handle.file;
  return with_checkpoints(file, [&]() -> Result<std::size_t> {
    const auto writer = [&] {
      auto state = file->state.lock();
      const bool is_split = state->local && state->local->storage == Storage::split;
      const bool is_stored = !state->writer || !state->writer->is_dirty();
      return is_split && is_stored ? nullptr : state->writer;
    }();
    return writer ? writer->read(offset, bytes) : read_stored(file, offset, bytes);
  });
}

// Publishes what was accepted so far, so that all of it can be read and changed again; the next
// commit replaces that version.
Result<> BucketFileSystem::checkpoint(const FilePointer& file) {
  const auto held = take_name_of(*file);
  Path path;
  {
    auto state = file->state.lock();
    if (state->is_unlinked) {
      return fail(ErrorCode::stale, "the file was removed while this part of it was on its way to B2");
    }
    path = state->path;
  }
  return commit_named(file, path);
}

Result<std::size_t> BucketFileSystem::read_stored(const FilePointer& file, std::uint64_t offset,
                                                  std::span<std::byte> bytes) {
  std::optional<ShadowRecord> record;
  std::shared_ptr<Reader> reader;
  std::shared_ptr<DiskFile> data;
  {
    auto state = file->state.lock();
    record = state->local;
    if (record && !state->local_data) state->local_data = TRY(parts_.shadow.open_data(*record));
    const auto version = record ? record->base : state->remote;
    if (version && !state->reader) {
      state->reader = make_reader(requests_, pool_, parts_.executor, *version);
    }
    reader = state->reader;
    data = state->local_data;
  }
  if (!record) return read_object(file, reader, offset, bytes);
  std::size_t done = 0;
  while (done < bytes.size() && offset + done < record->size) {
    const std::uint64_t at = offset + done;
    const BytePlace place = place_of(*record, at);
    const auto piece = bytes.subspan(done, std::min(bytes.size() - done, place.end - at));
    if (place.kind == BytePlace::Kind::upload) return fail(unreadable(*record));
    const bool is_here = place.kind == BytePlace::Kind::shadow;
    const std::size_t got = TRY(is_here ? data->read_at(at, piece) : reader->read(at, piece));
    if (got == 0) break;
    done += got;
  }
  return done;
}

// A version that got new metadata is replaced by another one with the same bytes, and goes.
Result<std::size_t> BucketFileSystem::read_object(const FilePointer& file,
                                                  const std::shared_ptr<Reader>& reader,
                                                  std::uint64_t offset,
                                                  std::span<std::byte> bytes) {
  if (!reader) return 0;
  auto got = reader->read(offset, bytes);
  if (got.ok() || file->state.lock()->reader == reader) return got;
  return read_stored(file, offset, bytes);
}

Result<> BucketFileSystem::write(FileHandle& handle, std::uint64_t offset,
                                 std::span<const std::byte> bytes) {
  std::shared_ptr<Writer> writer;
  {
    auto state = handle.file->state.lock();
    writer = state->writer;
    state->metadata.mtime = now();
    state->mtime_was_set = false;
    state->flush_answered = false;
    state->metadata.writer_killed = false;
  }
  if (!writer || !handle.flags.write) return fail(ErrorCode::bad_handle, "not open for writing");
  handle.has_written = true;
  return with_checkpoints(handle.file, [&] {
    return handle.flags.append ? writer->append(bytes) : writer->write(offset, bytes);
  });
}

Result<> BucketFileSystem::allocate(FileHandle& handle, Allocation mode, std::uint64_t offset,
                                    std::uint64_t size) {
  const auto writer = handle.file->state.lock()->writer;
  if (!writer) return fail(ErrorCode::bad_handle, "not open for writing");
  if (mode == Allocation::keep_size || offset + size <= writer->size()) return {};
  handle.has_written = true;
  {
    auto state = handle.file->state.lock();
    state->metadata.mtime = state->changed_at = now();
    state->mtime_was_set = false;
  }
  return with_checkpoints(handle.file, [&] { return writer->truncate(offset + size); });
}

// --- closing

Result<> BucketFileSystem::flush(FileHandle& handle, const Caller& caller) {
  const FilePointer file = handle.file;
  {
    auto state = file->state.lock();
    state->flush_answered = true;
    // A killed child may share the file with a parent that goes on writing: RELEASE decides, unless
    // a write or the flush of somebody alive comes before it. Who truncated it has changed it, too.
    const bool has_changed = handle.has_written || handle.flags.truncate;
    if (has_changed) state->metadata.writer_killed = caller.was_killed;
  }
  if (caller.was_killed) return {};
  // A shell opens, dups and closes before the first byte: nothing of this handle's to publish yet.
  if (!handle.has_written) return handle.flags.write ? end_metadata_wait(file) : Result<>{};
  if (hold(file)) return {};
  TRY(commit(file));
  return end_metadata_wait(file);
}

Result<> BucketFileSystem::fsync(FileHandle& handle) {
  handle.file->state.lock()->may_be_held = false;
  TRY(commit(handle.file));
  return end_metadata_wait(handle.file);
}

void BucketFileSystem::release(FileHandle* handle) {
  const auto owned = std::move(handles_.lock()->extract(handle).mapped());
  const FilePointer file = owned->file;
  const bool was_writing = owned->flags.write;
  bool is_last_writer = false;
  bool is_unlinked = false;
  {
    auto state = file->state.lock();
    --state->handles;
    if (was_writing) --state->writing_handles;
    is_last_writer = state->writer && state->writing_handles == 0;
    is_unlinked = state->is_unlinked;
  }
  // What came after the last flush; a failure diverts, or is in the log and in last_error.
  if (is_last_writer && !is_unlinked && !end_of_killed(file) && !hold(file)) {
    static_cast<void>(commit(file));
  }
  drop_if_unused(file);
}

// The last writer was killed in the middle of its work. true: what it wrote is not published.
bool BucketFileSystem::end_of_killed(const FilePointer& file) {
  std::shared_ptr<Writer> writer;
  Fields fields = Fields::object();
  {
    auto state = file->state.lock();
    if (!state->metadata.writer_killed || !state->writer->is_dirty()) return false;
    writer = state->writer;
    state->may_be_held = false;
    fields["path"] = state->path.text();
  }
  fields["bytes"] = writer->size();
  const bool discards = settings_.options.on_kill == KillMode::discard;
  fields["detail"] = discards ? "the process that wrote this file was killed: nothing of it is "
                                "published (--on-kill=discard)"
                              : "the process that wrote this file was killed: it may be incomplete";
  parts_.log.event(Level::warning, "writer_killed", std::move(fields));
  if (!discards) return false;
  writer->discard();
  auto state = file->state.lock();
  state->metadata.writer_killed = false;
  content_changed(state->path);
  return true;
}

void BucketFileSystem::drop_if_unused(const FilePointer& file) {
  auto files = open_files_.lock();
  auto state = file->state.lock();
  if (state->writing_handles == 0 && !state->is_held) {
    // What could not be published, or lost its name, is dropped with the last handle.
    if (state->writer && state->writer->is_dirty() && state->handles == 0) {
      parts_.executor.submit([writer = state->writer] { writer->discard(); });
    }
    if (!state->writer || !state->writer->is_dirty() || state->handles == 0) state->writer.reset();
  }
  state->flush_answered = false;
  state.notify_all();
  if (state->handles > 0 || state->is_held) return;
  purge_later(std::exchange(state->purges, {}));
  const auto found = files->find(state->path);
  if (found != files->end() && found->second == file) files->erase(found);
}

// At the unmount: whether all that its writers meant to write has been closed. Bytes of a handle
// that is still open are nobody's file yet.
bool BucketFileSystem::may_be_committed(OpenFile& file) {
  auto state = file.state.lock();
  state->is_held = false;
  return state->writing_handles == 0 || state->flush_answered;
}

// After an answered FLUSH the RELEASE that commits a file without bytes is on its way: who asks
// where the file is gets the answer that is about to be true.
void BucketFileSystem::wait_for_release(const FilePointer& file) {
  auto state = file->state.lock();
  const Instant deadline = parts_.executor.clock().now() + kReleaseWait;
  state.wait_until(deadline, [&] { return !state->flush_answered || state->handles == 0; });
}

Result<> BucketFileSystem::truncate_unopened(const Path& path, std::uint64_t size,
                                             const Caller& caller) {
  OpenFlags flags{.read = true, .write = true};
  flags.truncate = size == 0;
  const Opened opened = TRY(open(path, flags, caller));
  FileHandle& handle = *opened.handle;
  const auto writer = handle.file->state.lock()->writer;
  Result<> done =
      size == 0 ? Result<>{}
                : with_checkpoints(handle.file, [&] { return writer->truncate(size); });
  if (done.ok()) {
    handle.file->state.lock()->metadata.mtime = now();
    content_changed(path);
    done = commit(handle.file);
  }
  release(opened.handle);
  return done;
}

}  // namespace spillway
