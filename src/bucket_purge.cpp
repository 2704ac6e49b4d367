// BucketFileSystem, continued: --delete=purge. Once a name is hidden in B2, the versions below the
// hide marker go for good, and the marker after them, so that nothing of the name is left.
//
// What it promises: nothing rises again, as the marker goes last, and stays for as long as anything
// below it does. No version goes that an open file reads (the last handle's end takes it along) or
// that a file in the shadow needs, nor one that came after the marker. A removal that B2 has made
// never fails for what comes here: what stays is told in the log, and not tried again.
#include <algorithm>
#include <utility>

#include "src/bucket_file_system.h"

namespace spillway {
namespace {

bool is_version(const std::optional<RemoteVersion>& known, const Key& key,
                const VersionId& version) {
  return known && known->key == key && known->version_id == version;
}

bool reads(const OpenFile::State& state, const Key& key, const VersionId& version) {
  if (state.handles == 0) return false;
  return is_version(state.remote, key, version) ||
         (state.local && is_version(state.local->base, key, version));
}

// For as long as somebody has the file open: its last handle takes the versions along.
bool put_off(OpenFile& file, Purge& purge) {
  auto state = file.state.lock();
  if (state->handles == 0) return false;
  state->purges.push_back(std::move(purge));
  return true;
}

Fields because(const char* detail) {
  Fields fields = Fields::object();
  fields["detail"] = detail;
  return fields;
}

}  // namespace

// The name has just been hidden, and its lock is held. `file` is what was open under it.
void BucketFileSystem::purge(const Key& key, const FilePointer& file) {
  if (settings_.options.delete_mode != DeleteMode::purge) return;
  auto listed = requests_.name([&](ObjectStore& store, const CallOptions& options) {
    return store.list_versions(key, options);
  });
  if (!listed.ok()) return tell_purge_incomplete(key, to_failure_json(listed.error()));
  Purge all{key, std::move(listed).value()};
  if (all.versions.empty()) return;  // a server that keeps no versions
  if (!all.versions.front().is_hide_marker) {
    return tell_purge_incomplete(key, because("another client has stored one there since"));
  }
  if (file && put_off(*file, all)) return;
  carry_out(std::move(all));
}

void BucketFileSystem::purge_later(std::vector<Purge> purges) {
  if (purges.empty()) return;
  ++*purges_under_way_.lock();
  parts_.executor.submit([this, purges = std::move(purges)]() mutable {
    for (Purge& each : purges) carry_out(std::move(each));
    auto under_way = purges_under_way_.lock();
    --*under_way;
    under_way.notify_all();
  });
}

void BucketFileSystem::carry_out(Purge purge) {
  for (;;) {
    FilePointer reader;
    const Result<> done = remove_unneeded(purge, reader);
    if (!done.ok()) return tell_purge_incomplete(purge.key, to_failure_json(done.error()));
    if (purge.versions.empty()) return;
    if (!reader) {
      return tell_purge_incomplete(purge.key, because("a file in the shadow needs one of them"));
    }
    if (put_off(*reader, purge)) return;
  }
}

// Leaves in `purge` what has to stay for now; `reader` is one of the files that need it.
Result<> BucketFileSystem::remove_unneeded(Purge& purge, FilePointer& reader) {
  const std::set<VersionId> needed = needed_by_shadow(purge.key);
  std::vector<ObjectVersion>& versions = purge.versions;
  for (std::size_t i = versions.size(); i-- > 0;) {
    if (i == 0 && versions.size() > 1) break;  // the marker hides what stays
    const VersionId& id = versions[i].version_id;
    if (needed.contains(id)) continue;
    if (const FilePointer file = reader_of(purge.key, id)) {
      reader = file;
      continue;
    }
    TRY(requests_.name([&](ObjectStore& store, const CallOptions& options) {
      return store.delete_object(purge.key, id, options);
    }));
    versions.erase(versions.begin() + static_cast<std::ptrdiff_t>(i));
  }
  return {};
}

// A split file may have been renamed: what it needs stays under the name that it had.
std::set<VersionId> BucketFileSystem::needed_by_shadow(const Key& key) {
  std::set<VersionId> needed;
  for (const ShadowRecord& record : parts_.shadow.within(Path())) {
    if (record.base && record.base->key == key) needed.insert(record.base->version_id);
    if (record.upload && record.upload->key == key) needed.insert(record.upload->made_version);
  }
  return needed;
}

std::vector<BucketFileSystem::FilePointer> BucketFileSystem::files_with_handles() {
  std::vector<FilePointer> open;
  auto handles = handles_.lock();
  for (const auto& [pointer, handle] : *handles) open.push_back(handle->file);
  return open;
}

// Also files without a name any more, such as one that was replaced while it was open.
BucketFileSystem::FilePointer BucketFileSystem::reader_of(const Key& key,
                                                          const VersionId& version) {
  if (is_shutting_down_) return nullptr;
  std::vector<FilePointer> open = files_with_handles();
  {
    auto files = open_files_.lock();  // a file that is about to get its first handle
    for (const auto& [path, file] : *files) open.push_back(file);
  }
  const auto found = std::ranges::find_if(open, [&](const FilePointer& file) {
    return reads(*file->state.lock(), key, version);
  });
  return found == open.end() ? nullptr : *found;
}

void BucketFileSystem::tell_purge_incomplete(const Key& key, Fields fields) {
  fields["path"] = key;
  fields["detail"] = "the name is removed, but versions of it stay in the bucket, hidden: " +
                     fields["detail"].get<std::string>();
  fields["hint"] = "a lifecycle rule of the bucket can remove them, or the B2 console";
  parts_.log.event(Level::warning, "purge_incomplete", std::move(fields));
}

// At the unmount nobody reads any more, though the kernel may have dropped the last releases.
void BucketFileSystem::end_purges(Instant deadline) {
  for (const FilePointer& file : files_with_handles()) {
    purge_later(std::exchange(file->state.lock()->purges, {}));
  }
  auto under_way = purges_under_way_.lock();
  under_way.wait_until(deadline, [&] { return *under_way == 0; });
}

}  // namespace spillway
