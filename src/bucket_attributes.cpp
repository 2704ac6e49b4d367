// BucketFileSystem, continued: extended attributes, where files tell where they are.
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "src/bucket_file_system.h"
#include "src/metadata_xattrs.h"

namespace spillway {
namespace {

constexpr std::string_view kOwnPrefix = "user.b2.";
// Setting it on the root is how `spillway drain` says "now".
constexpr std::string_view kDrainCommand = "user.b2.drain";

bool is_own(std::string_view name) { return name.starts_with(kOwnPrefix); }

// What is known of an object that this mount did not store itself.
StorageReport report_of_object(const Path& path, const RemoteFile& remote) {
  if (remote.history) return *remote.history;
  StorageReport report;
  report.storage = Storage::b2;
  report.name = std::string(path.name());
  report.location = path.text();
  report.correlation_id = remote.metadata.correlation_id;
  report.uploaded_at = remote.last_modified;
  report.size = remote.size;
  report.mtime = remote.metadata.mtime.value_or(remote.last_modified);
  report.etag = remote.etag;
  report.version_id = remote.version_id;
  report.sha256 = remote.metadata.sha256;
  report.content_type = remote.content_type;
  report.writer_killed = remote.metadata.writer_killed;
  return report;
}

StorageReport report_of_record(const ShadowRecord& record, const std::string& location) {
  StorageReport report;
  report.storage = record.storage;
  report.name = std::string(record.path.name());
  report.location = location;
  report.fallback_from_b2 = true;
  report.error = record.reason;
  report.correlation_id = record.metadata.correlation_id;
  report.duration = record.duration;
  report.uploaded_at = record.stored_at;
  report.attempts = record.attempts;
  report.size = record.size;
  report.mtime = record.metadata.mtime;
  report.sha256 = record.metadata.sha256;
  report.content_type = record.content_type;
  report.writer_killed = record.metadata.writer_killed;
  return report;
}

// Details may be of any bytes.
std::string as_text(const Fields& json) {
  return json.dump(-1, ' ', false, Fields::error_handler_t::replace);
}

// The files that can't go to B2 for a reason of their own. An attribute holds 64 KiB: of very many
// only the first are listed.
Fields list_of(const std::vector<Drain::Stuck>& files) {
  constexpr std::size_t kMostText = 32ULL << 10U;
  Fields list = Fields::array();
  std::size_t text = 0;
  for (const Drain::Stuck& file : files) {
    Fields entry = to_failure_json(file.error);
    entry["path"] = file.path.text();
    text += as_text(entry).size();
    if (text > kMostText) break;
    list.push_back(std::move(entry));
  }
  return list;
}

}  // namespace

Result<StorageReport> BucketFileSystem::report_of(const Path& path) {
  Found found = TRY(find_existing(path));
  if (found.open) {
    wait_for_release(found.open);
    TRY(end_hold(found.open));
    auto state = found.open->state.lock();
    const bool is_pending = state->writer && state->writer->is_dirty();
    StorageReport report = state->report;
    if (is_pending) {
      report.storage = Storage::pending;
      report.location = state->path.text();
      report.size = state->writer->size();
      report.mtime = state->metadata.mtime;
      return report;
    }
    if (report.storage != Storage::pending) return report;
    found.local = state->local;
  }
  if (!found.local) found.local = parts_.shadow.find(path);
  if (found.local) {
    return report_of_record(*found.local, parts_.shadow.location_of(*found.local));
  }
  if (!found.remote) {
    const auto remembered = catalog_->recall(path);
    if (remembered) found.remote = remembered->file;
  }
  if (!found.remote) return fail(ErrorCode::no_attribute, path.text());
  return report_of_object(path, *found.remote);
}

BucketFileSystem::Pending BucketFileSystem::pending() {
  Pending pending;
  const ShadowUsage usage = parts_.shadow.usage();
  pending.files = usage.files + parts_.shadow.waiting_metadata().size();
  pending.bytes = usage.bytes;
  auto files = open_files_.lock();
  for (const auto& [path, file] : *files) {
    auto state = file->state.lock();
    if (!state->writer || !state->writer->is_dirty()) continue;
    ++pending.files;
    pending.bytes += state->writer->pending_bytes();
  }
  return pending;
}

BucketFileSystem::Pairs BucketFileSystem::root_attributes() {
  const Pending waiting = pending();
  Pairs pairs;
  pairs.emplace_back("bucket", settings_.bucket);
  pairs.emplace_back("state", to_string(service_.state()));
  pairs.emplace_back("pending_files", std::to_string(waiting.files));
  pairs.emplace_back("pending_bytes", std::to_string(waiting.bytes));
  if (const auto error = service_.last_error()) {
    pairs.emplace_back("last_error", as_text(to_failure_json(*error)));
  }
  return pairs;
}

// For `spillway status`; read by its name only.
std::string BucketFileSystem::status_json() {
  const auto usage = pool_.usage();
  const ShadowUsage shadow = parts_.shadow.usage();
  Fields status = Fields::object();
  status["pid"] = getpid();
  status["version"] = SPILLWAY_VERSION;
  status["uptime_s"] =
      to_milliseconds(parts_.executor.clock().now() - started_) / 1'000;
  status["memory_in_use"] = usage.in_use;
  status["memory_limit"] = usage.limit;
  status["memory_most_in_use"] = usage.most_in_use;
  status["open_files"] = open_files_.lock()->size();
  status["shadow_files"] = shadow.files;
  status["shadow_bytes"] = shadow.bytes;
  status["hidden_keys"] = hidden_keys_.load();
  status["metadata_changes"] = parts_.shadow.waiting_metadata().size();
  status["drained_files"] = drain_->drained_files();
  const auto stuck = drain_->stuck();
  status["stuck_files"] = stuck.size();
  status["stuck"] = list_of(stuck);
  add_renames(status);
  return as_text(status);
}

Result<BucketFileSystem::Pairs> BucketFileSystem::report_attributes(const Path& path) {
  if (path.is_root()) return root_attributes();
  const Found found = TRY(find_existing(path));
  if (found.is_directory) return Pairs{};
  return to_attributes(TRY(report_of(path)));
}

Result<Metadata> BucketFileSystem::metadata_of(const Path& path) {
  const Found found = TRY(find_existing(path));
  if (found.open) return found.open->state.lock()->metadata;
  if (found.is_directory) return found.directory;
  return found.local ? found.local->metadata : found.remote->metadata;
}

Result<std::string> BucketFileSystem::get_xattr(const Path& path, const std::string& name) {
  if (is_own(name)) {
    const std::string own = name.substr(kOwnPrefix.size());
    if (path.is_root() && own == "status") return status_json();
    for (auto& [known, value] : TRY(report_attributes(path))) {
      if (known == own) return value;
    }
    return fail(ErrorCode::no_attribute, name);
  }
  const Metadata metadata = TRY(metadata_of(path));
  const auto found = metadata.xattrs.find(name);
  if (found == metadata.xattrs.end()) return fail(ErrorCode::no_attribute, name);
  return found->second;
}

Result<std::vector<std::string>> BucketFileSystem::list_xattrs(const Path& path) {
  std::vector<std::string> names;
  const Metadata metadata = TRY(metadata_of(path));
  // The kernel refuses to read user.* of anything else: who copies what is listed would fail.
  const bool has_any = path.is_root() || metadata.kind == FileKind::regular ||
                       metadata.kind == FileKind::directory;
  if (!has_any) return names;
  for (const auto& [name, value] : metadata.xattrs) names.push_back(name);
  if (settings_.options.hide_xattrs) return names;
  for (const auto& [name, value] : TRY(report_attributes(path))) {
    names.push_back(std::string(kOwnPrefix) + name);
  }
  return names;
}

Result<> BucketFileSystem::set_xattr(const Path& path, const std::string& name,
                                     const std::string& value, XattrMode mode) {
  // Copies between mounts bring ours along: accepted, and ignored.
  if (path.is_root() && name == kDrainCommand) {
    drain_->kick();
    parts_.executor.submit([this] { static_cast<void>(send_metadata_within(Path())); });
  }
  if (is_own(name)) return {};
  TRY(check_xattr_name(name));
  const Metadata before = TRY(metadata_of(path));
  const bool is_there = before.xattrs.contains(name);
  if (mode == XattrMode::create && is_there) return fail(ErrorCode::exists, name);
  if (mode == XattrMode::replace && !is_there) return fail(ErrorCode::no_attribute, name);
  return change_metadata(path, nullptr, [&](Metadata& metadata) -> Result<> {
    Metadata changed = metadata;
    changed.xattrs[name] = value;
    TRY(check_xattrs(changed.xattrs));
    metadata = std::move(changed);
    return {};
  });
}

Result<> BucketFileSystem::remove_xattr(const Path& path, const std::string& name) {
  if (is_own(name)) return {};
  const Metadata before = TRY(metadata_of(path));
  if (!before.xattrs.contains(name)) return fail(ErrorCode::no_attribute, name);
  return change_metadata(path, nullptr, [&](Metadata& metadata) -> Result<> {
    metadata.xattrs.erase(name);
    return {};
  });
}

// --- the end

// Bytes of a file that is still open are nobody's file yet: kept where a person finds them.
void BucketFileSystem::set_unclosed_aside(const FilePointer& file) {
  const auto writer = file->state.lock()->writer;
  if (!writer || !writer->is_dirty() || writer->size() == 0) return;
  Error reason;
  reason.code = ErrorCode::timeout;
  reason.detail = "the mount ended while the file was being written: nothing of it was published";
  const CommitRequest request = describe(*file);
  const auto kept = writer->set_aside(request, reason);
  Fields fields = Fields::object();
  fields["path"] = request.path.text();
  fields["bytes"] = writer->size();
  fields["detail"] = reason.detail;
  if (kept.ok()) {
    fields["location"] = *kept;
  } else {
    fields["error"] = kept.error().detail;
  }
  parts_.log.event(Level::error, kept.ok() ? "unclosed_file_kept" : "unclosed_file_lost",
                   std::move(fields));
}

// What was closed goes to B2, or at the deadline to the shadow; what was not is set aside.
void BucketFileSystem::end_files(Instant deadline) {
  std::vector<FilePointer> waiting;
  {
    auto files = open_files_.lock();
    for (const auto& [path, file] : *files) waiting.push_back(file);
  }
  Guarded<std::size_t> left(parts_.executor, waiting.size());
  for (const FilePointer& file : waiting) {
    parts_.executor.submit([this, file, &left] {
      if (may_be_committed(*file)) {
        static_cast<void>(commit(file));
      } else {
        set_unclosed_aside(file);
      }
      auto count = left.lock();
      --*count;
      count.notify_all();
    });
  }
  auto count = left.lock();
  if (count.wait_until(deadline, [&] { return *count == 0; })) return;
  Error late;
  late.code = ErrorCode::timeout;
  late.detail = "the mount ended before B2 had taken the file (--shutdown-timeout)";
  count.unlocked([&] {
    for (const FilePointer& file : waiting) {
      const auto writer = file->state.lock()->writer;
      if (writer) writer->give_up(late);
    }
  });
  count.wait([&] { return *count == 0; });
}

// Changes of metadata that don't come to B2 in time stay in the journal.
void BucketFileSystem::end_metadata_waits(Instant deadline) {
  const auto changes = parts_.shadow.waiting_metadata();
  Guarded<std::size_t> left(parts_.executor, changes.size());
  for (const MetadataChange& change : changes) {
    parts_.executor.submit([this, path = change.path, &left] {
      static_cast<void>(send_metadata(path));
      auto count = left.lock();
      --*count;
      count.notify_all();
    });
  }
  auto count = left.lock();
  if (count.wait_until(deadline, [&] { return *count == 0; })) return;
  count.unlocked([&] { requests_.cancel(); });
  count.wait([&] { return *count == 0; });
}

void BucketFileSystem::shut_down(Duration limit) {
  is_shutting_down_ = true;
  kernel_cache_ = nullptr;
  const Instant deadline = parts_.executor.clock().now() + limit;
  end_files(deadline);
  end_metadata_waits(deadline);
  end_purges(deadline);
  drain_->stop();
  requests_.cancel();
}

}  // namespace spillway
