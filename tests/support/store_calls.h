// Short ways for tests to call an ObjectStore with text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "src/object_store.h"

namespace spillway {

// `bytes` must outlive the payload.
[[nodiscard]] Payload payload_of(std::string_view bytes);

// `size` bytes that look random and depend on `seed` alone.
[[nodiscard]] std::string random_bytes(std::size_t size, std::uint32_t seed = 1);

Result<StoredObject> put_text(ObjectStore& store, const Key& key, std::string_view text,
                              const MetadataMap& metadata = {});
// The bytes that the sink was given.
Result<std::string> get_text(ObjectStore& store, const GetRequest& request);
Result<std::string> get_text(ObjectStore& store, const Key& key);
Result<UploadedPart> put_part(ObjectStore& store, const Key& key, const UploadId& id,
                              PartNumber number, std::string_view text);
// All pages.
Result<Listing> list_all(ObjectStore& store, ListRequest request);

}  // namespace spillway
