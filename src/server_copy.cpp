#include "src/server_copy.h"

#include <algorithm>

namespace spillway {
namespace {

// Copies of this size take B2 a few seconds each.
constexpr std::uint64_t kCopiedPart = 1ULL << 30U;

Result<std::vector<UploadedPart>> copy_parts(Requests& requests, const CopyRequest& request,
                                             const UploadId& id, std::uint64_t size) {
  std::vector<UploadedPart> parts;
  for (std::uint64_t at = 0; at < size; at += kCopiedPart) {
    const ByteRange range{at, std::min(kCopiedPart, size - at)};
    const auto number = static_cast<PartNumber>(parts.size() + 1);
    parts.push_back(TRY(requests.name([&](ObjectStore& store, const CallOptions& options) {
      return store.upload_part_copy(request.destination, id, number, request.source,
                                    request.source_version, range, options);
    })));
  }
  return parts;
}

Result<StoredObject> copy_in_parts(Requests& requests, const CopyRequest& request,
                                   const UploadId& id, std::uint64_t size) {
  const auto parts = TRY(copy_parts(requests, request, id, size));
  return requests.name([&](ObjectStore& store, const CallOptions& options) {
    return store.complete_upload(request.destination, id, parts, options);
  });
}

}  // namespace

Result<StoredObject> server_copy(Requests& requests, Shadow& shadow, const CopyRequest& request,
                                 std::uint64_t size) {
  if (size <= kLargestCopy) {
    return requests.name([&](ObjectStore& store, const CallOptions& options) {
      return store.copy_object(request, options);
    });
  }
  const MetadataMap metadata = request.metadata.value_or(MetadataMap{});
  const UploadId id = TRY(requests.name([&](ObjectStore& store, const CallOptions& options) {
    return store.create_upload(request.destination, request.content_type, metadata, options);
  }));
  TRY(shadow.note_upload({request.destination, id}));
  auto copied = copy_in_parts(requests, request, id, size);
  const bool is_settled =
      copied.ok() || requests
                         .name([&](ObjectStore& store, const CallOptions& options) {
                           return store.abort_upload(request.destination, id, options);
                         })
                         .ok();
  if (is_settled) static_cast<void>(shadow.forget_upload(id));
  return copied;
}

}  // namespace spillway
