#include "tests/support/memory_store.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <numeric>
#include <ranges>
#include <utility>

#include "s3/hash.h"

namespace spillway {

namespace {

constexpr std::size_t kSinkPiece = 65'536;

std::string joined(const Payload& payload) {
  std::string bytes;
  bytes.reserve(payload.size());
  for (const auto& piece : payload.pieces) {
    bytes.append(reinterpret_cast<const char*>(piece.data()), piece.size());
  }
  return bytes;
}

Etag md5_of(const std::string& bytes) {
  const s3::Bytes piece = s3::bytes_of(bytes);
  return s3::to_hex(s3::md5(s3::Pieces(&piece, 1)));
}

// The token is the first key of the next page.
std::string successor_of_prefix(std::string prefix) {
  prefix.back() = static_cast<char>(prefix.back() + 1);
  return prefix;
}

std::unexpected<Error> not_found(const Key& key) {
  return fail(ErrorCode::not_found, "404 NoSuchKey: " + key);
}

std::unexpected<Error> upload_gone() {
  Error error;
  error.code = ErrorCode::not_found;
  error.detail = "404 NoSuchUpload";
  error.cause = Cause::upload_gone;
  return fail(std::move(error));
}

std::unexpected<Error> version_changed() {
  Error error;
  error.code = ErrorCode::stale;
  error.detail = "412 PreconditionFailed";
  error.cause = Cause::version_changed;
  return fail(std::move(error));
}

bool may_lack_a_key(StoreVerb verb) {
  return verb == StoreVerb::verify_bucket || verb == StoreVerb::list_objects ||
         verb == StoreVerb::list_uploads || verb == StoreVerb::abort_rule_days;
}

ByteRange clipped(std::optional<ByteRange> range, std::uint64_t size) {
  if (!range) return {0, size};
  const std::uint64_t offset = std::min(range->offset, size);
  return {offset, std::min(range->size, size - offset)};
}

Result<> pour(std::string_view bytes, const ByteSink& sink) {
  while (!bytes.empty()) {
    const auto piece = bytes.substr(0, kSinkPiece);
    TRY(sink(s3::bytes_of(piece)));
    bytes.remove_prefix(piece.size());
  }
  return {};
}

}  // namespace

std::string_view to_string(StoreVerb verb) {
  constexpr std::array<std::string_view, kStoreVerbs> kNames = {
      "verify_bucket",   "put_object",   "head_object",   "get_object",   "copy_object",
      "delete_object",   "list_objects", "create_upload", "upload_part",  "upload_part_copy",
      "complete_upload", "abort_upload", "list_parts",    "list_uploads", "abort_rule_days",
      "list_versions"};
  return kNames.at(static_cast<std::size_t>(verb));
}

MemoryStore::MemoryStore(const Clock& clock, MemoryStoreRules rules)
    : clock_(clock), rules_(rules) {}

std::optional<Error> MemoryStore::begin(StoreVerb verb, const Key& key, const CallOptions& options,
                                        int& number) {
  {
    const std::lock_guard lock(mutex_);
    ++calls_.at(static_cast<std::size_t>(verb));
    number = std::accumulate(calls_.begin(), calls_.end(), 0);
  }
  if (options.cancel.stop_requested()) {
    Error error;
    error.code = ErrorCode::interrupted;
    error.detail = "cancelled";
    return error;
  }
  if (key.empty() && !may_lack_a_key(verb)) {
    Error error;
    error.code = ErrorCode::invalid_argument;
    error.detail = "a key must not be empty";
    return error;
  }
  return before_ ? before_(verb, key, number) : std::nullopt;
}

std::optional<Error> MemoryStore::finish(StoreVerb verb, const Key& key, int number) const {
  auto error = after_ ? after_(verb, key, number) : std::nullopt;
  if (error && error->cause == Cause::none) error->cause = Cause::ambiguous;
  return error;
}

template <class Work>
auto MemoryStore::perform(StoreVerb verb, const Key& key, const CallOptions& options, Work work)
    -> decltype(work()) {
  int number = 0;
  if (auto error = begin(verb, key, options, number)) return fail(*std::move(error));
  auto result = [&] {
    const std::lock_guard lock(mutex_);
    return work();
  }();
  if (!result.ok()) return result;
  if (auto error = finish(verb, key, number)) return fail(*std::move(error));
  return result;
}

std::string MemoryStore::next_id(const char* prefix) {
  return fmt::format("{}{:06}", prefix, ++last_id_);
}

StoredObject MemoryStore::store(const Key& key, Stored stored) {
  stored.id = next_id("version-");
  stored.modified = clock_.wall();
  StoredObject answer{key, stored.etag, stored.id, "request-" + stored.id, stored.modified};
  objects_[key].push_back(std::move(stored));
  return answer;
}

Result<const MemoryStore::Stored*> MemoryStore::find(const Key& key, const VersionId& id) const {
  const auto found = objects_.find(key);
  if (found == objects_.end()) return not_found(key);
  const std::vector<Stored>& versions = found->second;
  const auto match =
      id.empty() ? std::prev(versions.end()) : std::ranges::find(versions, id, &Stored::id);
  if (match == versions.end() || match->hide_marker) return not_found(key);
  return &*match;
}

Result<> MemoryStore::verify_bucket(const CallOptions& options) {
  return perform(StoreVerb::verify_bucket, "", options, [] { return Result<>(); });
}

Result<std::optional<int>> MemoryStore::abort_rule_days(const CallOptions& options) {
  return perform(StoreVerb::abort_rule_days, "", options,
                 [this]() -> Result<std::optional<int>> { return abort_rule_; });
}

Result<StoredObject> MemoryStore::put_object(const PutRequest& request,
                                             const CallOptions& options) {
  return perform(StoreVerb::put_object, request.key, options, [&]() -> Result<StoredObject> {
    Stored stored;
    stored.bytes = std::make_shared<const std::string>(joined(request.payload));
    stored.etag = md5_of(*stored.bytes);
    stored.content_type = request.content_type;
    stored.metadata = request.metadata;
    return store(request.key, std::move(stored));
  });
}

namespace {

template <class Stored>
ObjectInfo info_of(const Key& key, const Stored& stored) {
  return {key,
          stored.bytes->size(),
          stored.etag,
          stored.id,
          stored.modified,
          stored.content_type,
          stored.metadata};
}

}  // namespace

Result<ObjectInfo> MemoryStore::head_object(const Key& key, const VersionId& version_id,
                                            const CallOptions& options) {
  return perform(StoreVerb::head_object, key, options,
                 [&]() -> Result<ObjectInfo> { return info_of(key, *TRY(find(key, version_id))); });
}

// The sink is called without the lock: it may take its time, or call the store.
Result<ObjectInfo> MemoryStore::get_object(const GetRequest& request, const ByteSink& sink,
                                           const CallOptions& options) {
  int number = 0;
  if (auto error = begin(StoreVerb::get_object, request.key, options, number)) {
    return fail(*std::move(error));
  }
  ObjectInfo info;
  Bytes bytes;
  {
    const std::lock_guard lock(mutex_);
    const Stored* stored = TRY(find(request.key, request.version_id));
    if (!request.if_match.empty() && request.if_match != stored->etag) return version_changed();
    info = info_of(request.key, *stored);
    bytes = stored->bytes;
  }
  const ByteRange range = clipped(request.range, bytes->size());
  TRY(pour(std::string_view(*bytes).substr(range.offset, range.size), sink));
  if (auto error = finish(StoreVerb::get_object, request.key, number)) {
    return fail(*std::move(error));
  }
  return info;
}

Result<StoredObject> MemoryStore::copy_object(const CopyRequest& request,
                                              const CallOptions& options) {
  return perform(StoreVerb::copy_object, request.destination, options,
                 [&]() -> Result<StoredObject> {
                   Stored copy = *TRY(find(request.source, request.source_version));
                   if (copy.bytes->size() > rules_.largest_copy) {
                     return fail(ErrorCode::too_large, "400 EntityTooLarge");
                   }
                   if (request.metadata) {
                     copy.metadata = *request.metadata;
                     copy.content_type = request.content_type;
                   }
                   return store(request.destination, std::move(copy));
                 });
}

Result<> MemoryStore::delete_object(const Key& key, const VersionId& version_id,
                                    const CallOptions& options) {
  return perform(StoreVerb::delete_object, key, options, [&]() -> Result<> {
    if (version_id.empty()) {
      Stored marker;
      marker.hide_marker = true;
      store(key, std::move(marker));
      return {};
    }
    const auto found = objects_.find(key);
    if (found == objects_.end()) return {};
    std::erase_if(found->second, [&](const Stored& stored) { return stored.id == version_id; });
    if (found->second.empty()) objects_.erase(found);
    return {};
  });
}

Listing MemoryStore::page(const ListRequest& request) const {
  Listing listing;
  const auto most = static_cast<std::size_t>(std::clamp(request.max_keys, 1, rules_.most_keys));
  std::string from = request.start_after.empty() ? "" : request.start_after + '\0';
  if (!request.continuation_token.empty()) from = request.continuation_token;
  auto at = objects_.lower_bound(std::max(from, request.prefix));
  while (at != objects_.end() && at->first.starts_with(request.prefix)) {
    const auto& [key, versions] = *at;
    if (versions.back().hide_marker) {
      ++at;
      continue;
    }
    if (listing.objects.size() + listing.prefixes.size() == most) {
      listing.next_token = key;
      break;
    }
    const auto cut = request.delimiter.empty() ? std::string::npos
                                               : key.find(request.delimiter, request.prefix.size());
    if (cut == std::string::npos) {
      listing.objects.push_back(info_of(key, versions.back()));
      listing.objects.back().version_id.clear();
      listing.objects.back().metadata.clear();
      listing.objects.back().content_type.clear();
      ++at;
      continue;
    }
    listing.prefixes.push_back(key.substr(0, cut + request.delimiter.size()));
    at = objects_.lower_bound(successor_of_prefix(listing.prefixes.back()));
  }
  return listing;
}

Result<Listing> MemoryStore::list_objects(const ListRequest& request, const CallOptions& options) {
  return perform(StoreVerb::list_objects, request.prefix, options,
                 [&]() -> Result<Listing> { return page(request); });
}

Result<std::vector<ObjectVersion>> MemoryStore::list_versions(const Key& key,
                                                              const CallOptions& options) {
  return perform(StoreVerb::list_versions, key, options,
                 [&]() -> Result<std::vector<ObjectVersion>> {
                   std::vector<ObjectVersion> list;
                   const auto found = objects_.find(key);
                   if (found == objects_.end()) return list;
                   for (const Stored& stored : found->second | std::views::reverse) {
                     list.push_back({stored.id, stored.hide_marker});
                   }
                   return list;
                 });
}

Result<MemoryStore::Unfinished*> MemoryStore::find_upload(const Key& key, const UploadId& id) {
  const auto found = uploads_.find(id);
  if (found == uploads_.end() || found->second.key != key) return upload_gone();
  return &found->second;
}

Result<UploadId> MemoryStore::create_upload(const Key& key, const std::string& content_type,
                                            const MetadataMap& metadata,
                                            const CallOptions& options) {
  return perform(StoreVerb::create_upload, key, options, [&]() -> Result<UploadId> {
    UploadId id = next_id("upload-");
    uploads_[id] = {key, content_type, metadata, clock_.wall(), {}};
    return id;
  });
}

Result<UploadedPart> MemoryStore::upload_part(const Key& key, const UploadId& id, PartNumber number,
                                              const Payload& payload, const CallOptions& options) {
  return perform(StoreVerb::upload_part, key, options, [&]() -> Result<UploadedPart> {
    Unfinished* upload = TRY(find_upload(key, id));
    if (number < 1 || number > kMostParts || payload.size() == 0) {
      return fail(ErrorCode::invalid_request, "400 InvalidArgument: part");
    }
    auto bytes = std::make_shared<const std::string>(joined(payload));
    const UploadedPart part{number, md5_of(*bytes), bytes->size()};
    upload->parts[number] = {std::move(bytes), part.etag};
    return part;
  });
}

Result<UploadedPart> MemoryStore::upload_part_copy(const Key& key, const UploadId& id,
                                                   PartNumber number, const Key& source,
                                                   const VersionId& source_version, ByteRange range,
                                                   const CallOptions& options) {
  return perform(StoreVerb::upload_part_copy, key, options, [&]() -> Result<UploadedPart> {
    const Stored* from = TRY(find(source, source_version));
    Unfinished* upload = TRY(find_upload(key, id));
    if (range.size == 0 || range.end() > from->bytes->size()) {
      return fail(ErrorCode::invalid_request, "400 InvalidArgument: range");
    }
    auto bytes = std::make_shared<const std::string>(from->bytes->substr(range.offset, range.size));
    const UploadedPart part{number, md5_of(*bytes), bytes->size()};
    upload->parts[number] = {std::move(bytes), part.etag};
    return part;
  });
}

Result<MemoryStore::Stored> MemoryStore::assemble(const Unfinished& upload,
                                                  const std::vector<UploadedPart>& parts) const {
  std::string bytes;
  PartNumber expected = 1;
  for (const UploadedPart& named : parts) {
    const auto part = upload.parts.find(named.number);
    if (named.number != expected++ || part == upload.parts.end() ||
        part->second.etag != named.etag) {
      return fail(ErrorCode::invalid_request, "400 InvalidPart");
    }
    const bool last = named.number == static_cast<PartNumber>(parts.size());
    if (!last && part->second.bytes->size() < rules_.smallest_part) {
      return fail(ErrorCode::invalid_request, "400 EntityTooSmall");
    }
    bytes += *part->second.bytes;
  }
  if (parts.empty()) return fail(ErrorCode::invalid_request, "400 MalformedXML");
  Stored stored;
  stored.etag = fmt::format("{}-{}", md5_of(bytes), parts.size());
  stored.bytes = std::make_shared<const std::string>(std::move(bytes));
  stored.content_type = upload.content_type;
  stored.metadata = upload.metadata;
  return stored;
}

Result<StoredObject> MemoryStore::complete_upload(const Key& key, const UploadId& id,
                                                  const std::vector<UploadedPart>& parts,
                                                  const CallOptions& options) {
  return perform(StoreVerb::complete_upload, key, options, [&]() -> Result<StoredObject> {
    const Unfinished* upload = TRY(find_upload(key, id));
    Stored stored = TRY(assemble(*upload, parts));
    uploads_.erase(id);
    return store(key, std::move(stored));
  });
}

Result<> MemoryStore::abort_upload(const Key& key, const UploadId& id, const CallOptions& options) {
  return perform(StoreVerb::abort_upload, key, options, [&]() -> Result<> {
    if (find_upload(key, id).ok()) uploads_.erase(id);
    return {};
  });
}

Result<std::vector<UploadedPart>> MemoryStore::list_parts(const Key& key, const UploadId& id,
                                                          const CallOptions& options) {
  return perform(StoreVerb::list_parts, key, options, [&]() -> Result<std::vector<UploadedPart>> {
    std::vector<UploadedPart> parts;
    for (const auto& [number, part] : TRY(find_upload(key, id))->parts) {
      parts.push_back({number, part.etag, part.bytes->size()});
    }
    return parts;
  });
}

Result<std::vector<UnfinishedUploadInfo>> MemoryStore::list_uploads(const std::string& prefix,
                                                                    const CallOptions& options) {
  return perform(StoreVerb::list_uploads, prefix, options,
                 [&]() -> Result<std::vector<UnfinishedUploadInfo>> {
                   std::vector<UnfinishedUploadInfo> list;
                   for (const auto& [id, upload] : uploads_) {
                     if (!upload.key.starts_with(prefix)) continue;
                     list.push_back({upload.key, id, upload.initiated});
                   }
                   std::ranges::stable_sort(list, {}, &UnfinishedUploadInfo::key);
                   return list;
                 });
}

std::vector<MemoryStore::Version> MemoryStore::versions() const {
  const std::lock_guard lock(mutex_);
  std::vector<Version> list;
  for (const auto& [key, versions] : objects_) {
    for (auto stored = versions.rbegin(); stored != versions.rend(); ++stored) {
      list.push_back({key, stored->id, stored->hide_marker, stored == versions.rbegin(),
                      stored->bytes ? *stored->bytes : "", stored->etag, stored->content_type,
                      stored->metadata, stored->modified});
    }
  }
  return list;
}

std::vector<MemoryStore::Upload> MemoryStore::uploads() const {
  const std::lock_guard lock(mutex_);
  std::vector<Upload> list;
  for (const auto& [id, upload] : uploads_) {
    Upload& entry = list.emplace_back(Upload{upload.key, id, {}});
    for (const auto& [number, part] : upload.parts) {
      entry.parts.push_back({number, part.etag, part.bytes->size()});
    }
  }
  return list;
}

std::optional<std::string> MemoryStore::content(const Key& key) const {
  const std::lock_guard lock(mutex_);
  const auto found = find(key, "");
  if (!found.ok()) return std::nullopt;
  return *found.value()->bytes;
}

int MemoryStore::calls() const {
  const std::lock_guard lock(mutex_);
  return std::accumulate(calls_.begin(), calls_.end(), 0);
}

int MemoryStore::calls(StoreVerb verb) const {
  const std::lock_guard lock(mutex_);
  return calls_.at(static_cast<std::size_t>(verb));
}

void MemoryStore::abort_all_uploads() {
  const std::lock_guard lock(mutex_);
  uploads_.clear();
}

void MemoryStore::set_abort_rule(std::optional<int> days) {
  const std::lock_guard lock(mutex_);
  abort_rule_ = days;
}

}  // namespace spillway
