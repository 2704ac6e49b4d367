// Drain, continued: the unfinished uploads of split files, which appear under the name that the file
// had when they began, and those that nothing needs any more.
#include <utility>

#include "src/drain.h"
#include "src/server_copy.h"

namespace spillway {

// The upload was begun under the name that the file had then.
Result<> Drain::finish_split(const ShadowRecord& record, const Path& target,
                             const VersionId& version) {
  if (record.upload->key == target.text()) return {};
  return copy_made(record, target, version);
}

Result<> Drain::copy_made(const ShadowRecord& record, const Path& target,
                          const VersionId& version) {
  TRY(note_made(record, version));
  CopyRequest copy;
  copy.source = record.upload->key;
  copy.source_version = version;
  copy.destination = target.text();
  copy.metadata = to_map(record.metadata);
  copy.content_type = record.content_type;
  TRY(server_copy(parts_.writer.requests, parts_.writer.shadow, copy, record.size));
  return {};
}

// From here on the object is the file's only whole copy, whatever is put over it.
Result<> Drain::note_made(const ShadowRecord& record, const VersionId& version) {
  const auto now = parts_.writer.shadow.find(record.path);
  if (version.empty() || !now || now->id != record.id) return {};
  if (now->upload->made_version == version) return {};
  ShadowRecord noted = *now;
  noted.upload->made_version = version;
  return parts_.writer.shadow.update(noted);
}

Result<> Drain::find_finished(const Path& name) {
  for (const ShadowRecord& record : parts_.writer.shadow.begun_as(name)) {
    if (const auto made = TRY(made_before(record, record.path))) {
      TRY(note_made(record, made->version_id));
    }
  }
  return {};
}

// The whole object under the name that the upload was begun with, where an earlier try made it and
// failed afterwards.
Result<std::optional<ObjectInfo>> Drain::made_before(const ShadowRecord& record,
                                                     const Path& target) {
  const bool is_known = record.upload && !record.upload->made_version.empty();
  if (!record.upload || (record.upload->key == target.text() && !is_known)) {
    return std::optional<ObjectInfo>{};
  }
  auto there = parts_.writer.requests.name([&](ObjectStore& store, const CallOptions& options) {
    return store.head_object(record.upload->key, record.upload->made_version, options);
  });
  if (!there.ok() && there.error().code != ErrorCode::not_found) return fail(there.error());
  const bool is_ours =
      there.ok() && there->size == record.size &&
      metadata_from(there->metadata).correlation_id == record.metadata.correlation_id;
  return is_ours ? std::optional(std::move(there).value()) : std::nullopt;
}

// That object was only a means.
Result<> Drain::remove_begun_as(const ShadowRecord& record, const Path& target) {
  const auto made = TRY(made_before(record, target));
  if (!made) return {};
  TRY(parts_.writer.requests.name([&](ObjectStore& store, const CallOptions& options) {
    return store.delete_object(record.upload->key, made->version_id, options);
  }));
  if (const auto name = Path::parse(record.upload->key); name) {
    parts_.catalog.file_in_doubt(*name);
  }
  return {};
}

// --- uploads that nothing needs

void Drain::abort_orphans() {
  // Not only once B2 takes uploads again: with nothing left to send, nothing would find that out.
  if (parts_.writer.service.readiness() == Service::Readiness::closed) return;
  const std::vector<LedgerEntry> orphans = parts_.writer.shadow.orphaned_uploads();
  if (orphans.empty() || is_aborting_.exchange(true)) return;
  for (const LedgerEntry& entry : orphans) {
    if (state_.lock()->is_stopping) break;
    const Result<> aborted = abort_orphan(entry);
    // The next tick tries again.
    if (!aborted.ok() && means_outage(aborted.error().code)) break;
  }
  is_aborting_ = false;
}

Result<> Drain::abort_orphan(const LedgerEntry& entry) {
  Requests& requests = parts_.writer.requests;
  TRY(requests.name([&](ObjectStore& store, const CallOptions& options) {
    return store.abort_upload(entry.key, entry.id, options);
  }));
  if (!entry.unwanted_object.empty()) {
    const auto there = requests.name([&](ObjectStore& store, const CallOptions& options) {
      return store.head_object(entry.key, "", options);
    });
    if (!there.ok() && there.error().code != ErrorCode::not_found) return fail(there.error());
    if (there.ok() &&
        metadata_from(there->metadata).correlation_id == entry.unwanted_object) {
      TRY(requests.name([&](ObjectStore& store, const CallOptions& options) {
        return store.delete_object(entry.key, there->version_id, options);
      }));
      if (const auto name = Path::parse(entry.key)) parts_.catalog.file_in_doubt(*name);
    }
  }
  static_cast<void>(parts_.writer.shadow.forget_upload(entry.id));
  Fields fields = Fields::object();
  fields["path"] = entry.key;
  parts_.writer.log.event(Level::info, "upload_aborted", std::move(fields));
  return {};
}

}  // namespace spillway
