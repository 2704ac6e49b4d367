#include "src/tree_mover.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <utility>

#include "src/parallel.h"
#include "src/server_copy.h"

namespace spillway {
namespace {

using End = TreeMember::End;

bool is_gone(const Error& error) { return error.code == ErrorCode::not_found; }

// Up to B2's limit of one copy an object keeps all that it has.
CopyRequest copy_of(const MovingObject& object) {
  CopyRequest copy;
  copy.source = object.member.source;
  copy.source_version = object.member.version;
  copy.destination = object.member.target;
  if (object.member.size > kLargestCopy && object.known) {
    copy.metadata = to_map(object.known->metadata);
    copy.content_type = object.known->content_type;
  }
  return copy;
}

// Somebody else's change: told apart from a directory that is not there.
Error changed_meanwhile(const Key& key) {
  Error error;
  error.code = ErrorCode::stale;
  error.detail = "another client changed this object while its directory was renamed: " + key;
  return error;
}

}  // namespace

Fields fields_of(const TreeRename& rename) {
  Fields fields = Fields::object();
  fields["from"] = rename.from.text() + "/";
  fields["to"] = rename.to.text() + "/";
  return fields;
}

// --- requests

Result<ObjectInfo> TreeMover::head(const Key& key, const VersionId& version) {
  return requests_.name([&](ObjectStore& store, const CallOptions& options) {
    return store.head_object(key, version, options);
  });
}

// A version that is gone already is what was wanted.
Result<> TreeMover::remove(const Key& key, const VersionId& version) {
  auto removed = requests_.name([&](ObjectStore& store, const CallOptions& options) {
    return store.delete_object(key, version, options);
  });
  if (!removed.ok() && is_gone(removed.error())) return {};
  return removed;
}

TreeMover::Left TreeMover::for_each(std::size_t count, AfterError after,
                                    const std::function<Result<>(std::size_t)>& call) {
  Guarded<Left> left(executor_);
  in_parallel(executor_, count, settings_.copies_at_once, [&](std::size_t index) {
    const Result<> done = call(index);
    if (done.ok()) return true;
    auto found = left.lock();
    ++found->objects;
    if (!found->reason) found->reason = done.error();
    return after == AfterError::go_on;
  });
  return *left.lock();
}

Result<std::vector<ObjectInfo>> TreeMover::list(const Path& directory) {
  std::vector<ObjectInfo> objects;
  ListRequest request{.prefix = directory.prefix(),
                      .delimiter = {},
                      .continuation_token = {},
                      .start_after = {}};
  do {
    auto page = TRY(requests_.name([&](ObjectStore& store, const CallOptions& options) {
      return store.list_objects(request, options);
    }));
    std::ranges::move(page.objects, std::back_inserter(objects));
    if (objects.size() > settings_.most_objects) {
      return fail(ErrorCode::cross_device,
                  fmt::format("more than {} objects below it", settings_.most_objects));
    }
    request.continuation_token = page.next_token;
  } while (!request.continuation_token.empty());
  return objects;
}

// --- copying

Result<> TreeMover::learn(std::vector<MovingObject>& objects) {
  std::vector<char> gone(objects.size(), 0);
  const Left left = for_each(objects.size(), AfterError::stop, [&](std::size_t index) -> Result<> {
    MovingObject& object = objects[index];
    if (object.known) {
      object.member.upload = object.known->metadata.correlation_id;
      return {};
    }
    const auto info = head(object.member.source, "");
    if (!info.ok() && is_gone(info.error())) {
      gone[index] = 1;
      return {};
    }
    if (!info.ok()) return fail(info.error());
    object.known = file_from(*info);
    object.member.version = info->version_id;
    object.member.size = info->size;
    object.member.upload = object.known->metadata.correlation_id;
    object.etag = info->etag;
    return {};
  });
  if (left.reason) return fail(*left.reason);
  std::size_t index = 0;
  std::erase_if(objects, [&](const MovingObject&) { return gone[index++] != 0; });
  return {};
}

Result<> TreeMover::copy_one(MovingObject& object) {
  object.was_tried = true;
  auto stored = server_copy(requests_, shadow_, copy_of(object), object.member.size);
  if (stored.ok()) {
    object.copy = std::move(stored).value();
    return {};
  }
  if (is_gone(stored.error())) return fail(changed_meanwhile(object.member.source));
  return fail(stored.error());
}

Result<> TreeMover::copy(std::vector<MovingObject>& objects, TreeProgress& progress) {
  const Left left = for_each(objects.size(), AfterError::stop, [&](std::size_t index) -> Result<> {
    MovingObject& object = objects[index];
    if (object.member.target.empty()) return {};
    TRY(copy_one(object));
    ++progress.done;
    progress.bytes += object.member.size;
    return {};
  });
  if (left.reason) return fail(*left.reason);
  return {};
}

// --- taking back

Result<> TreeMover::take_back_one(const TreeRename& rename, const TreeMember& member,
                                  const std::optional<StoredObject>& copy) {
  if (copy) TRY(remove(member.target, copy->version_id));
  // The marker of the directory that was there may look like the copy of the source's.
  if (rename.target_was_there && member.target == rename.to.prefix()) return {};
  // A try of which nobody heard may have made another one.
  for (;;) {
    const auto there = head(member.target, "");
    if (!there.ok() && is_gone(there.error())) return {};
    if (!there.ok()) return fail(there.error());
    bool is_copy = is_copy_of(*there, member);
    if (!is_copy && member.upload.empty()) {
      const auto source = head(member.source, member.version);
      if (!source.ok() && !is_gone(source.error())) return fail(source.error());
      is_copy = source.ok() && is_copy_of(*there, *source);
    }
    if (!is_copy) {
      Fields fields = Fields::object();
      fields["path"] = member.target;
      fields["detail"] = "not taken back: it is not what was copied, or the only copy";
      log_.event(Level::warning, "rename_copy_kept", std::move(fields));
      return {};
    }
    TRY(remove(member.target, there->version_id));
  }
}

Result<> TreeMover::take_back(const TreeRename& rename, const std::vector<MovingObject>& copies) {
  std::vector<std::pair<const TreeMember*, std::optional<StoredObject>>> all;
  if (copies.empty()) {
    for (const TreeMember& member : rename.members) all.emplace_back(&member, std::nullopt);
  } else {
    for (const MovingObject& each : copies) {
      if (each.was_tried) all.emplace_back(&each.member, each.copy);
    }
  }
  std::erase_if(all, [](const auto& each) { return each.first->target.empty(); });
  const Left left = for_each(all.size(), AfterError::go_on, [&](std::size_t index) {
    return take_back_one(rename, *all[index].first, all[index].second);
  });
  if (left.reason) return fail(*left.reason);
  return {};
}

// --- removing

// Whether an upload that was begun under the key, for a file that has another name by now, may show
// there for a moment.
bool TreeMover::awaits_upload(const Key& key) {
  const auto path = Path::parse(key);
  if (path && !shadow_.begun_as(*path).empty()) return true;
  return std::ranges::any_of(shadow_.orphaned_uploads(),
                             [&](const LedgerEntry& entry) { return entry.key == key; });
}

// Older versions must not rise again, and what is newer than the copied one is somebody else's.
Result<> TreeMover::remove_source(const TreeMember& member) {
  if (member.end != End::removed) {
    const bool may_be_covered = awaits_upload(member.source);
    const auto newest = head(member.source, "");
    if (!newest.ok() && !is_gone(newest.error())) return fail(newest.error());
    const bool is_newest = newest.ok() && newest->version_id == member.version;
    if (is_newest) TRY(remove(member.source, ""));
    // A split file's upload, finished under its old name for a moment: what is below would rise.
    if (newest.ok() && !is_newest && may_be_covered) {
      return fail(ErrorCode::rate_limited, "a file that is being drained covers it: " + member.source);
    }
  }
  if (member.end == End::hidden || member.version.empty()) return {};
  return remove(member.source, member.version);
}

TreeMover::Left TreeMover::remove_sources(const TreeRename& rename) {
  return for_each(rename.members.size(), AfterError::go_on, [&](std::size_t index) {
    return remove_source(rename.members[index]);
  });
}

}  // namespace spillway
