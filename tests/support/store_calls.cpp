#include "tests/support/store_calls.h"

#include <cstring>
#include <random>
#include <utility>

namespace spillway {

Payload payload_of(std::string_view bytes) {
  Payload payload;
  if (!bytes.empty()) payload.pieces.push_back(std::as_bytes(std::span(bytes)));
  return payload;
}

std::string random_bytes(std::size_t size, std::uint32_t seed) {
  std::mt19937_64 random(seed);
  std::string bytes(size + sizeof(std::uint64_t), '\0');
  for (std::size_t at = 0; at < size; at += sizeof(std::uint64_t)) {
    const std::uint64_t word = random();
    std::memcpy(bytes.data() + at, &word, sizeof word);
  }
  bytes.resize(size);
  return bytes;
}

Result<StoredObject> put_text(ObjectStore& store, const Key& key, std::string_view text,
                              const MetadataMap& metadata) {
  return store.put_object({key, payload_of(text), "text/plain", metadata}, {});
}

Result<std::string> get_text(ObjectStore& store, const GetRequest& request) {
  std::string text;
  const ByteSink sink = [&](std::span<const std::byte> bytes) -> Result<> {
    text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return {};
  };
  TRY(store.get_object(request, sink, {}));
  return text;
}

Result<std::string> get_text(ObjectStore& store, const Key& key) {
  GetRequest request;
  request.key = key;
  return get_text(store, request);
}

Result<UploadedPart> put_part(ObjectStore& store, const Key& key, const UploadId& id,
                              PartNumber number, std::string_view text) {
  return store.upload_part(key, id, number, payload_of(text), {});
}

Result<Listing> list_all(ObjectStore& store, ListRequest request) {
  Listing all;
  do {
    Listing page = TRY(store.list_objects(request, {}));
    for (ObjectInfo& object : page.objects) all.objects.push_back(std::move(object));
    for (std::string& prefix : page.prefixes) all.prefixes.push_back(std::move(prefix));
    request.continuation_token = page.next_token;
  } while (!request.continuation_token.empty());
  return all;
}

}  // namespace spillway
