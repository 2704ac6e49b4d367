// BucketFileSystem, continued: renaming directories. B2 has none: every object below is copied to its
// new key inside B2, and once all copies exist the sources go.
//
//   1. the trees are locked, what is written below the source is committed, the source is listed
//   2. journal "copying"; from now on the target is hidden
//   3. the copies; when one fails they are taken back, and nothing has changed
//   4. journal "moving": from here on the rename is done, whatever comes
//   5. shadow, catalog and open files get the new names
//   6. the sources go; what B2 does not remove now is hidden, and removed by a job or the next mount
#include <algorithm>
#include <map>
#include <utility>

#include "src/bucket_file_system.h"
#include "src/correlation.h"

namespace spillway {
namespace {

using Stage = TreeRename::Stage;
using End = TreeMember::End;

Error under_way(const Path& path) {
  Error error;
  error.code = ErrorCode::rate_limited;
  error.detail = "a rename of this directory is not finished in B2 yet, try again: " + path.text();
  return error;
}

bool is_marker(const Key& key) { return key.ends_with('/'); }

// The file or directory that an object stands for.
std::optional<Path> path_of(const Key& key) {
  return Path::parse(is_marker(key) ? std::string_view(key).substr(0, key.size() - 1) : key);
}

// Whether the catalog's knowledge is of the very version that was listed.
bool is_same_version(const RemoteFile& known, const ObjectInfo& listed) {
  return !known.version_id.empty() && known.size == listed.size && known.etag == listed.etag &&
         std::chrono::abs(known.last_modified - listed.last_modified) <= std::chrono::seconds(2);
}

}  // namespace

// --- names while trees move

BucketFileSystem::Found BucketFileSystem::find(const Path& path) {
  for (;;) {
    const auto place = trees_.place_of(path);
    Found found = place ? find_at(*place) : Found{};
    // A rename that ended in the middle has taken the name elsewhere.
    if (found.exists() || trees_.place_of(path) == place) return found;
  }
}

Path BucketFileSystem::name_now(const Path& path) { return trees_.place_of(path).value_or(path); }

Result<PathLocks::Held> BucketFileSystem::take_new_name(const Path& path) {
  auto held = path_locks_.take(path);
  TRY(check_new_name(path, held));
  return held;
}

Result<> BucketFileSystem::check_new_name(const Path& path, const PathLocks::Held& held) {
  if (trees_.place_of(path) != path) return fail(under_way(path));
  // The directory may have gone elsewhere while its lock was waited for.
  if (held.has_waited_for_tree() && !find(path.parent()).exists()) {
    return fail(ErrorCode::not_found, path.text());
  }
  return {};
}

// --- whether it may be

Result<> BucketFileSystem::rename_directory(const Path& from, const Path& to, RenameMode mode) {
  if (to.is_within(from)) return fail(ErrorCode::invalid_argument, to.text());
  static_cast<void>(send_metadata_within(from));  // what can't be sent now is carried along
  const auto held = path_locks_.take_trees(from, to);
  if (trees_.concern(from) || trees_.concern(to)) return fail(under_way(from));
  const Found source = TRY(find_existing(from));
  if (!source.is_directory) return fail(ErrorCode::stale, from.text());
  const Found target = find(to);
  TRY(check_replaceable(from, to, target, mode));
  TRY(commit_below(from));
  TreeMove move = TRY(plan_move(from, to, source, target));
  TRY(carry_out(move));
  keep_parent(from);
  return {};
}

Result<> BucketFileSystem::check_replaceable(const Path& from, const Path& to, const Found& target,
                                             RenameMode mode) {
  if (from.is_within(to)) return fail(ErrorCode::not_empty, to.text());
  if (target.doubt && !target.exists()) {
    // What was listed before the outage is good enough for a name that was not there.
    const auto remembered = catalog_->recall(to);
    if (!remembered) return fail(*target.doubt);
  }
  if (!target.exists()) return {};
  if (mode == RenameMode::no_replace) return fail(ErrorCode::exists, to.text());
  if (!target.is_directory) return fail(ErrorCode::not_directory, to.text());
  if (!TRY(is_empty(to))) return fail(ErrorCode::not_empty, to.text());
  return {};
}

// What is written below is committed under its old name, but for files of which nothing has left RAM:
// those get their new names there.
Result<> BucketFileSystem::commit_below(const Path& directory) {
  std::vector<std::pair<Path, FilePointer>> below;
  {
    auto files = open_files_.lock();
    for (const auto& [path, file] : *files) {
      if (path.is_within(directory)) below.emplace_back(path, file);
    }
  }
  for (const auto& [path, file] : below) {
    const auto writer = file->state.lock()->writer;
    if (!writer || !writer->is_dirty()) continue;
    const bool is_only_here = !parts_.shadow.find(path) && is_unknown_to_bucket(*file);
    if (is_only_here && writer->is_untouched_in_ram()) continue;
    TRY(commit_named(file, path));
  }
  return {};
}

// --- what is to be done

// B2 has nothing of it, as far as was seen when it was made.
bool BucketFileSystem::is_only_here(const Path& directory) {
  if (settings_.service.state == ServiceState::local_only) return true;
  const auto itself = parts_.shadow.find(directory);
  if (!itself) return false;
  return std::ranges::all_of(parts_.shadow.within(directory), [](const ShadowRecord& record) {
    return record.seen == Seen::absent && record.own_ids.empty();
  });
}

Result<std::vector<ObjectInfo>> BucketFileSystem::list_tree(const Path& directory) {
  if (settings_.service.state == ServiceState::local_only) return std::vector<ObjectInfo>{};
  auto listed = trees_.mover.list(directory);
  const bool is_refused = !listed.ok() && listed.error().code == ErrorCode::cross_device;
  if (!listed.ok() && !is_refused && is_only_here(directory)) return std::vector<ObjectInfo>{};
  return listed;
}

// What waits in the shadow, or is open, gets its new name without B2's consent.
Result<> BucketFileSystem::check_new_names(const Path& from, const Path& to) {
  for (const ShadowRecord& record : parts_.shadow.within(from)) {
    TRY(check_creatable(record.path.rebased(from, to)));
  }
  auto files = open_files_.lock();
  for (const auto& [path, file] : *files) {
    if (path.is_within(from)) TRY(check_creatable(path.rebased(from, to)));
  }
  return {};
}

Result<std::optional<MovingObject>> BucketFileSystem::plan_object(const ObjectInfo& listed,
                                                                  const Path& from,
                                                                  const Path& to) {
  MovingObject object;
  object.member.source = listed.key;
  object.member.target = TRY(moved_key(listed.key, from, to));
  object.member.size = listed.size;
  object.etag = listed.etag;
  object.last_modified = listed.last_modified;
  const auto path = path_of(listed.key);
  if (!path) return std::optional(std::move(object));
  const auto new_path = path->rebased(from, to);
  if (!parts_.shadow.begun_as(new_path).empty()) TRY(drain_->find_finished(new_path));
  if (!is_marker(listed.key) && !parts_.shadow.begun_as(*path).empty()) {
    // The object that finished a split file of another name is none of the directory's.
    TRY(drain_->find_finished(*path));
    if (!find(*path).exists()) return std::optional<MovingObject>{};
  }
  const auto record = parts_.shadow.find(*path);
  const bool is_directory = record && record->metadata.kind == FileKind::directory;
  if (record && is_directory == is_marker(listed.key)) {
    object.member.target.clear();
    object.member.end = End::hidden;
    return std::optional(std::move(object));
  }
  if (is_marker(listed.key)) return std::optional(std::move(object));
  const auto remembered = catalog_->recall(*path);
  if (remembered && remembered->file && is_same_version(*remembered->file, listed)) {
    object.known = remembered->file;
    object.member.version = object.known->version_id;
    if (object.known->is_first_version) object.member.end = End::removed;
  }
  return std::optional(std::move(object));
}

Result<BucketFileSystem::TreeMove> BucketFileSystem::plan_move(const Path& from, const Path& to,
                                                               const Found& source,
                                                               const Found& target) {
  TRY(check_new_names(from, to));
  for (const ShadowRecord& record : parts_.shadow.within(from)) {
    // The object that finished a split file is its only whole copy: it is moved, not removed.
    if (record.upload) TRY(drain_->is_there_already(record));
  }
  TreeMove move;
  move.directory = source.directory;
  move.rename.id = make_correlation_id(now(), ++renames_begun_);
  move.rename.from = from;
  move.rename.to = to;
  move.rename.target_was_there = target.is_directory;
  const auto listed = TRY(list_tree(from));
  for (const ObjectInfo& each : listed) {
    if (auto object = TRY(plan_object(each, from, to))) move.objects.push_back(*std::move(object));
  }
  const bool may_have_marker =
      target.is_directory && settings_.service.state != ServiceState::local_only;
  if (may_have_marker) {
    // Superseded, and it may tell other attributes: learn() drops it where there is none.
    MovingObject marker;
    marker.member.source = to.prefix();
    move.objects.push_back(std::move(marker));
  }
  TRY(trees_.mover.learn(move.objects));
  for (const MovingObject& object : move.objects) move.rename.members.push_back(object.member);
  for (const ShadowRecord& record : parts_.shadow.within(from)) {
    move.rename.records.push_back(record.id);
  }
  return move;
}

// --- doing it

Result<> BucketFileSystem::carry_out(TreeMove& move) {
  const auto progress = begin_progress(move);
  const Result<> done = copy_all(move, *progress);
  if (!done.ok()) {
    end_progress(progress);
    return undo(move, done.error());
  }
  const bool records_moved = settle_names(move);
  const TreeMover::Left left = trees_.mover.remove_sources(move.rename);
  conclude(move.rename, left, records_moved);
  end_progress(progress);
  Fields fields = fields_of(move.rename);
  fields["files"] = progress->total.load();
  fields["bytes"] = progress->bytes.load();
  fields["duration_ms"] = to_milliseconds(parts_.executor.clock().now() - progress->began);
  fields["failed"] = left.objects;
  parts_.log.event(Level::info, "rename", std::move(fields));
  return {};
}

Result<> BucketFileSystem::copy_all(TreeMove& move, TreeProgress& progress) {
  const bool copies = std::ranges::any_of(
      move.objects, [](const MovingObject& object) { return !object.member.target.empty(); });
  trees_.places.lock()->hide(move.rename.id, move.rename.to,
                             move.rename.target_was_there ? MovingTrees::Hides::below
                                                          : MovingTrees::Hides::all);
  if (copies) {
    TRY(parts_.shadow.note_rename(move.rename));
    move.is_noted = true;
    TRY(trees_.mover.copy(move.objects, progress));
    TRY(carry_metadata(move));
  }
  move.rename.stage = Stage::moving;
  move.is_noted = true;
  return parts_.shadow.note_rename(move.rename);
}

// Nothing has changed for the caller, nor for anybody else once the copies are gone again.
Result<> BucketFileSystem::undo(TreeMove& move, Error error) {
  Result<> undone;
  forget_metadata_within(move.rename.to);
  if (move.is_noted) {
    undone = take_back(move.rename, move.objects);
  } else {
    static_cast<void>(parts_.shadow.forget_rename(move.rename.id));
    trees_.places.lock()->show(move.rename.id);
  }
  Fields fields = to_failure_json(error);
  fields.update(fields_of(move.rename));
  if (!undone.ok()) {
    fields["left"] = "copies that are taken back later: " + undone.error().detail;
    remember(move.rename);
  }
  parts_.log.event(Level::error, "rename_failed", std::move(fields));
  error.cause = Cause::none;
  return fail(error);
}

Result<> BucketFileSystem::take_back(TreeRename& rename, const std::vector<MovingObject>& copies) {
  const bool is_local = settings_.service.state == ServiceState::local_only;
  rename.stage = Stage::copying;
  // The disk may say "moving" after a write of it that failed: then nothing may be taken back.
  TRY(parts_.shadow.note_rename(rename));
  if (!is_local) TRY(trees_.mover.take_back(rename, copies));
  TRY(parts_.shadow.forget_rename(rename.id));
  if (rename.target_was_there) {
    catalog_->tree_stored(rename.to);
  } else {
    catalog_->tree_removed(rename.to);
  }
  trees_.places.lock()->show(rename.id);
  return {};
}

// --- new names. All copies exist: nothing here may fail the rename any more.

bool BucketFileSystem::settle_names(TreeMove& move) {
  // A record that keeps its old name is not seen until a later try: a disk that fails once gets more
  // chances.
  constexpr int kTries = 3;
  bool records_moved = false;
  for (int tries = 0; tries < kTries && !records_moved; ++tries) {
    records_moved = move_records(move.rename, Seen::absent);
  }
  forget_metadata_within(move.rename.from);
  std::map<Path, RemoteFile> stored;
  catalog_->tree_removed(move.rename.from);
  catalog_->tree_stored(move.rename.to);
  RemoteDirectory top{.has_marker = false, .metadata = move.directory};
  catalog_->directory_stored(move.rename.to, top);
  for (const MovingObject& object : move.objects) {
    const auto path = path_of(object.member.target);
    if (!object.copy || !object.known || !path) continue;
    if (is_marker(object.member.target)) {
      const VersionIdentity identity{.size = 0,
                                     .etag = object.copy->etag,
                                     .modified = object.copy->date,
                                     .source = VersionIdentity::Source::answer};
      catalog_->directory_stored(*path, {.has_marker = true,
                                         .marker_version = object.copy->version_id,
                                         .metadata = object.known->metadata,
                                         .version = identity});
      continue;
    }
    stored.emplace(*path, copied_file(*object.known, *path, *object.copy));
    catalog_->file_stored(*path, stored.at(*path));
  }
  move_open_files(move.rename, stored);
  return records_moved;
}

RemoteFile BucketFileSystem::copied_file(RemoteFile file, const Path& path,
                                         const StoredObject& copy) const {
  file.etag = copy.etag;
  file.version_id = copy.version_id;
  file.last_modified = copy.date == WallTime{} ? now() : copy.date;
  file.is_first_version = false;
  if (file.history) {
    file.history->name = std::string(path.name());
    file.history->location = path.text();
    file.history->etag = copy.etag;
    file.history->version_id = copy.version_id;
  }
  return file;
}

// false: the disk did not do it for all; the rest is for another try.
bool BucketFileSystem::move_records(const TreeRename& rename, Seen seen) {
  bool went_well = true;
  const auto replaced = parts_.shadow.find(rename.to);
  if (seen == Seen::absent && replaced && !parts_.shadow.find(rename.from)) {
    went_well = parts_.shadow.remove(replaced->id).ok();
  }
  for (const ShadowRecord& record : parts_.shadow.within(rename.from)) {
    // What has got the old name since is not meant.
    if (std::ranges::find(rename.records, record.id) == rename.records.end()) continue;
    went_well = move_record(rename, record, seen) && went_well;
  }
  return went_well;
}

bool BucketFileSystem::move_record(const TreeRename& rename, const ShadowRecord& record, Seen seen) {
  Path to = record.path.rebased(rename.from, rename.to);
  // Somebody has put a newer one there since: both are kept.
  const bool is_taken = seen != Seen::absent && parts_.shadow.find(to);
  if (is_taken) {
    ShadowRecord named = record;
    named.path = to;
    to = conflict_path(named);
  }
  auto renamed = parts_.shadow.rename(record.id, to);
  if (!renamed.ok()) return false;
  renamed->seen = seen;
  renamed->seen_etag.clear();
  return parts_.shadow.update(*renamed).ok();
}

// In one step with the table locked: nobody opens a second time under the new name what is open
// under the old one.
void BucketFileSystem::move_open_files(const TreeRename& rename,
                                       const std::map<Path, RemoteFile>& stored) {
  auto files = open_files_.lock();
  {
    auto places = trees_.places.lock();
    places->show(rename.id);
    places->move(rename.id, rename.from, rename.to);
  }
  std::vector<FilePointer> below;
  std::erase_if(*files, [&](const auto& entry) {
    const bool moves = entry.first.is_within(rename.from);
    if (moves) below.push_back(entry.second);
    return moves;
  });
  for (const FilePointer& file : below) {
    auto state = file->state.lock();
    const Path path = state->path.rebased(rename.from, rename.to);
    const auto version = stored.find(path);
    move_open_file(*state, path, version == stored.end() ? nullptr : &version->second);
    files->insert_or_assign(path, file);
  }
}

void BucketFileSystem::move_open_file(OpenFile::State& state, const Path& path,
                                      const RemoteFile* stored) {
  state.path = path;
  state.report.location = path.text();
  const auto record = parts_.shadow.find(path);
  if (record) {
    state.local = record;
    state.report.location = parts_.shadow.location_of(*record);
    state.local_data.reset();
  } else if (state.remote && stored != nullptr) {
    state.remote = RemoteVersion{path.text(), stored->version_id, stored->etag, stored->size};
    state.seen_etag = stored->etag;
    state.reader.reset();
    if (state.writer) state.writer->rebase(*state.remote);
  }
}

}  // namespace spillway
