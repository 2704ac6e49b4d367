// BucketFileSystem, continued: renaming and removing. What can't be done in B2 now fails and changes
// nothing: a name removed here only would rise again with B2's older object.
#include <utility>

#include "src/bucket_file_system.h"
#include "src/server_copy.h"

namespace spillway {

// --- removing

// Whether B2 surely has no object under the name of this shadow file. When B2 can't be asked, what
// was seen when the file diverted decides.
Result<bool> BucketFileSystem::bucket_lacks(const Path& path, const ShadowRecord& record) {
  if (settings_.service.state == ServiceState::local_only) return true;
  if (!record.own_ids.empty()) {
    // An upload without an answer may have come after the listing: only B2 itself knows.
    const auto there = requests_.name([&](ObjectStore& store, const CallOptions& options) {
      return store.head_object(path.text(), "", options);
    });
    if (there.ok()) return false;
    if (there.error().code == ErrorCode::not_found) return true;
    return fail(there.error());
  }
  const auto entry = catalog_->find(path);
  if (entry.ok()) return !entry->file.has_value();
  if (record.seen == Seen::absent) return true;
  return fail(entry.error());
}

Result<> BucketFileSystem::remove_remote(const Path& path) {
  TRY(drain_->find_finished(path));
  const auto removed = requests_.name([&](ObjectStore& store, const CallOptions& options) {
    return store.delete_object(path.text(), "", options);
  });
  if (!removed.ok()) {
    if (removed.error().cause == Cause::ambiguous) catalog_->file_in_doubt(path);
    return fail(removed.error());
  }
  catalog_->file_removed(path);
  return {};
}

Result<bool> BucketFileSystem::remove_committed(const Path& path) {
  const auto record = parts_.shadow.find(path);
  // Where B2 has a split file whole already, its object is the only whole copy until it is gone.
  const bool is_local = record && !(record->upload && TRY(drain_->is_there_already(*record)));
  if (is_local) {
    const bool is_remote = !TRY(bucket_lacks(path, *record));
    if (is_remote) TRY(remove_remote(path));
    TRY(parts_.shadow.remove(record->id));
    return is_remote;
  }
  if (settings_.service.state == ServiceState::local_only) return false;
  const auto entry = TRY(catalog_->find(path));
  // Deleting what B2 never had would only leave a hide marker.
  if (!entry.file) return false;
  TRY(remove_remote(path));
  return true;
}

Result<> BucketFileSystem::unlink(const Path& path) {
  const auto held = path_locks_.take(path);
  const Found found = TRY(find_existing(path));
  if (found.is_directory) return fail(ErrorCode::is_directory, path.text());
  if (found.open) keep_readable(found.open, path);
  const bool was_in_bucket = TRY(remove_committed(path));
  forget_waiting_metadata(path);
  const FilePointer file = forget_open(path);
  keep_parent(path);
  if (was_in_bucket) purge(path.text(), file);
  return {};
}

// The name is about to go. What only an unfinished upload has can't be read, so that it is finished
// first; what the shadow has is opened. What fails here fails again for who reads it.
void BucketFileSystem::keep_readable(const FilePointer& file, const Path& path) {
  const auto writer = file->state.lock()->writer;
  if (writer && writer->has_begun()) static_cast<void>(commit_named(file, path));
  if (writer) static_cast<void>(writer->keep_local_base());
  auto state = file->state.lock();
  if (!state->local || state->local_data || state->handles == 0) return;
  auto data = parts_.shadow.open_data(*state->local);
  if (data.ok()) state->local_data = std::move(data).value();
}

// The name is gone; who has the file open goes on with it. Gives that file.
BucketFileSystem::FilePointer BucketFileSystem::forget_open(const Path& path) {
  FilePointer file;
  {
    auto files = open_files_.lock();
    const auto found = files->find(path);
    if (found == files->end()) return nullptr;
    file = found->second;
    files->erase(found);
  }
  auto state = file->state.lock();
  state->is_unlinked = true;
  state->is_held = false;
  if (state->handles == 0) state->writer.reset();
  return file;
}

// --- renaming

Result<> BucketFileSystem::rename(const Path& from, const Path& to, RenameMode mode) {
  if (from == to) return {};
  TRY(check_creatable(to));
  std::optional<PathLocks::Held> held(path_locks_.take_both(from, to));
  TRY(check_new_name(to, *held));
  const Found source = TRY(find_existing(from));
  if (source.is_directory) {
    held.reset();  // the whole tree is locked instead
    return rename_directory(from, to, mode);
  }
  const Found target = find(to);
  if (mode == RenameMode::no_replace && target.exists()) return fail(ErrorCode::exists, to.text());
  if (target.is_directory) return fail(ErrorCode::is_directory, to.text());
  if (target.open) keep_readable(target.open, to);
  TRY(rename_file(from, to, source, target));
  keep_parent(from);
  return {};
}

Result<> BucketFileSystem::rename_file(const Path& from, const Path& to, const Found& source,
                                       const Found& target) {
  const FilePointer file = source.open;
  const auto record = parts_.shadow.find(from);
  const auto writer = file ? file->state.lock()->writer : nullptr;
  if (writer && writer->is_dirty()) {
    const bool is_only_here = !record && is_unknown_to_bucket(*file);
    if (is_only_here && writer->is_untouched_in_ram()) return rename_uncommitted(file, to, target);
    TRY(commit_named(file, from));
  }
  const auto committed = parts_.shadow.find(from);
  // The object that finished a split file is its only whole copy: it is moved, not removed.
  const bool is_remote =
      !committed || (committed->upload && TRY(drain_->is_there_already(*committed)));
  if (!is_remote) {
    TRY(rename_local(*committed, to, target));
  } else {
    const Found stored = TRY(find_stored(from));
    TRY(rename_remote(from, to, *stored.remote));
  }
  moved(from, to);
  return {};
}

bool BucketFileSystem::is_unknown_to_bucket(OpenFile& file) {
  auto state = file.state.lock();
  return !state->remote && !state->local && state->seen == Seen::absent;
}

// Nothing of the file has left RAM: it gets its final name, and is committed under it if it was
// closed already.
Result<> BucketFileSystem::rename_uncommitted(const FilePointer& file, const Path& to,
                                              const Found& target) {
  const Path from = file->state.lock()->path;
  const auto give_name = [&](const Path& name) {
    auto state = file->state.lock();
    state->path = name;
    state->report.name = std::string(name.name());
    state->report.location = name.text();
    state->content_type = content_type_for(name.name());
  };
  bool was_held = false;
  {
    auto state = file->state.lock();
    was_held = state->is_held;
    if (target.open) {
      auto other = target.open->state.lock();
      state->seen = other->seen;
      state->seen_etag = other->seen_etag;
      state->own_ids = other->own_ids;
      if (other->local) add_own_ids(*other->local, state->own_ids);
    } else if (target.local) {
      state->seen = target.local->seen;
      state->seen_etag = target.local->seen_etag;
      add_own_ids(*target.local, state->own_ids);
    } else if (target.remote) {
      state->seen = Seen::object;
      state->seen_etag = target.remote->etag;
    } else if (target.doubt) {
      state->seen = Seen::unknown;
    }
  }
  if (was_held) {
    give_name(to);
    Result<> done = commit_named(file, to);
    if (!done.ok()) {
      give_name(from);
      return done;
    }
    file->state.lock()->is_held = false;
  }
  moved(from, to);
  give_name(to);
  drop_if_unused(file);
  return {};
}

Result<> BucketFileSystem::rename_local(const ShadowRecord& record, const Path& to,
                                        const Found& target) {
  const Path from = record.path;
  const auto replaced = parts_.shadow.find(to);
  if (!TRY(bucket_lacks(from, record))) TRY(remove_remote(from));
  ShadowRecord renamed = TRY(parts_.shadow.rename(record.id, to));
  renamed.seen = target.doubt ? Seen::unknown : Seen::absent;
  renamed.seen_etag.clear();
  if (replaced) {
    renamed.seen = replaced->seen;
    renamed.seen_etag = replaced->seen_etag;
    add_own_ids(*replaced, renamed.own_ids);
  } else if (target.open) {
    auto other = target.open->state.lock();
    renamed.seen = other->seen;
    renamed.seen_etag = other->seen_etag;
    renamed.own_ids.insert(renamed.own_ids.end(), other->own_ids.begin(), other->own_ids.end());
  }
  if (target.remote) {
    renamed.seen = Seen::object;
    renamed.seen_etag = target.remote->etag;
  }
  const auto remembered = catalog_->recall(to);
  if (remembered && remembered->file) {
    renamed.seen = Seen::object;
    renamed.seen_etag = remembered->file->etag;
  }
  return parts_.shadow.update(renamed);
}

// The source's version goes by its id: it was only a means. Where older versions may lie below it,
// a hide marker comes first, or the newest of them would rise again.
Result<> BucketFileSystem::remove_source(const Path& from, const RemoteFile& remote) {
  const bool by_id = remote.is_first_version && !remote.version_id.empty();
  TRY(requests_.name([&](ObjectStore& store, const CallOptions& options) {
    return store.delete_object(from.text(), by_id ? remote.version_id : "", options);
  }));
  if (by_id || remote.version_id.empty()) return {};
  static_cast<void>(requests_.name([&](ObjectStore& store, const CallOptions& options) {
    return store.delete_object(from.text(), remote.version_id, options);
  }));
  return {};
}

Result<> BucketFileSystem::rename_remote(const Path& from, const Path& to,
                                         const RemoteFile& remote) {
  // A split file whose upload was finished unheard is known by the newest object of its name: it is
  // asked for before a copy hides it, which may have to be taken back.
  const auto replaced = parts_.shadow.find(to);
  if (replaced && replaced->upload) TRY(drain_->is_there_already(*replaced));
  TRY(drain_->find_finished(to));
  // A file that waits under the target must not cover the copy later, where the copy has to be taken
  // back and can't be: it may be the only one.
  const auto waiting = parts_.shadow.find(to);
  if (waiting) {
    ShadowRecord doubted = *waiting;
    doubted.seen = Seen::doubtful;
    // The copy can't be told from what is there now.
    if (doubted.seen_etag == remote.etag) doubted.seen_etag.clear();
    TRY(parts_.shadow.update(doubted));
  }
  const Result<> moved = move_object(from, to, remote);
  const FilePointer unfinished = find_open(to);
  if (unfinished && !moved.ok() && moved.error().cause == Cause::ambiguous) {
    auto state = unfinished->state.lock();
    state->seen = Seen::doubtful;
    if (state->seen_etag == remote.etag) state->seen_etag.clear();
  }
  if (!waiting) return moved;
  if (moved.ok()) return remove_older(to);
  if (moved.error().cause != Cause::ambiguous) {
    static_cast<void>(parts_.shadow.update(*waiting));
  }
  return moved;
}

// An error whose cause is `ambiguous`: nobody knows what is under the two names now.
Result<> BucketFileSystem::move_object(const Path& from, const Path& to,
                                       const RemoteFile& remote) {
  CopyRequest copy;
  copy.source = from.text();
  copy.source_version = remote.version_id;
  copy.destination = to.text();
  copy.metadata = to_map(remote.metadata);
  copy.content_type = content_type_for(to.name());
  const auto copied = server_copy(requests_, parts_.shadow, copy, remote.size);
  if (!copied.ok()) {
    if (copied.error().cause == Cause::ambiguous) catalog_->file_in_doubt(to);
    return fail(copied.error());
  }
  const StoredObject& stored = *copied;
  RemoteFile moved_file = remote;
  moved_file.etag = stored.etag;
  moved_file.version_id = stored.version_id;
  moved_file.last_modified = stored.date == WallTime{} ? now() : stored.date;
  moved_file.content_type = copy.content_type;
  moved_file.is_first_version = false;
  if (moved_file.history) {
    moved_file.history->name = std::string(to.name());
    moved_file.history->location = to.text();
    moved_file.history->etag = stored.etag;
    moved_file.history->version_id = stored.version_id;
  }
  const Result<> removed = remove_source(from, remote);
  if (!removed.ok()) TRY(take_back_copy(from, remote, removed.error(), to, stored));
  catalog_->file_removed(from);
  catalog_->file_stored(to, moved_file);
  return {};
}

// The source could not be removed, as far as was heard. ok: it is gone all the same, and the rename
// is done. Otherwise half a rename is none, so the copy goes again and the old target is the newest
// version, but only where the source is surely still there.
Result<> BucketFileSystem::take_back_copy(const Path& from, const RemoteFile& source, Error error,
                                          const Path& to, const StoredObject& copy) {
  if (error.cause == Cause::ambiguous) {
    const auto left = requests_.name([&](ObjectStore& store, const CallOptions& options) {
      return store.head_object(from.text(), "", options);
    });
    if (!left.ok() && left.error().code == ErrorCode::not_found) return {};
    // Another object under the name says as well that the source is gone.
    if (left.ok() && !source.version_id.empty() && left->version_id != source.version_id) return {};
    if (!left.ok()) {
      catalog_->file_in_doubt(from);
      catalog_->file_in_doubt(to);
      return fail(error);
    }
  }
  const auto taken_back = requests_.name([&](ObjectStore& store, const CallOptions& options) {
    return store.delete_object(to.text(), copy.version_id, options);
  });
  if (!taken_back.ok()) catalog_->file_in_doubt(to);
  error.cause = taken_back.ok() ? Cause::none : Cause::ambiguous;
  return fail(error);
}

// The open files follow their names; a file that was open under the target has lost its name.
void BucketFileSystem::moved(const Path& from, const Path& to) {
  forget_open(to);
  forget_waiting_metadata(from);
  forget_waiting_metadata(to);
  FilePointer file;
  {
    auto files = open_files_.lock();
    const auto found = files->find(from);
    if (found == files->end()) return;
    file = found->second;
    files->erase(found);
    files->emplace(to, file);
  }
  const auto record = parts_.shadow.find(to);
  const auto entry = catalog_->recall(to);
  auto state = file->state.lock();
  state->path = to;
  state->report.name = std::string(to.name());
  if (record) {
    state->local = record;
    state->report.location = parts_.shadow.location_of(*record);
    state->local_data.reset();
  } else if (entry && entry->file && state->remote) {
    state->remote = version_of(to, *entry->file);
    state->report.location = to.text();
    state->reader.reset();
    if (state->writer) state->writer->rebase(*state->remote);
  }
}

// --- what is neither file nor directory

Result<Attributes> BucketFileSystem::make_symlink(const Path& path, const std::string& target,
                                                  const Caller& caller) {
  Metadata metadata;
  metadata.kind = FileKind::symlink;
  metadata.permissions = 0777;
  metadata.uid = caller.uid;
  metadata.gid = caller.gid;
  metadata.mtime = now();
  TRY(store_small(path, metadata, target));
  return attributes(path, nullptr);
}

Result<Attributes> BucketFileSystem::make_special(const Path& path, FileKind kind,
                                                  std::uint32_t permissions,
                                                  const Caller& caller) {
  Metadata metadata;
  metadata.kind = kind;
  metadata.permissions = permissions & 07777U;
  metadata.uid = caller.uid;
  metadata.gid = caller.gid;
  metadata.mtime = now();
  TRY(store_small(path, metadata, ""));
  return attributes(path, nullptr);
}

Result<std::string> BucketFileSystem::read_symlink(const Path& path) {
  constexpr std::size_t kLongestTarget = 4'095;
  const Opened opened = TRY(open(path, OpenFlags{.read = true}, Caller{}));
  std::string target(kLongestTarget, '\0');
  const auto got = read(*opened.handle, 0, std::as_writable_bytes(std::span(target)));
  release(opened.handle);
  if (!got.ok()) return fail(got.error());
  target.resize(*got);
  return target;
}

}  // namespace spillway
