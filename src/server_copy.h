// Copies an object inside B2, whatever its size: one CopyObject, or above its limit an upload whose
// parts are copied.
#pragma once

#include <cstdint>

#include "src/object_store.h"
#include "src/requests.h"
#include "src/shadow.h"

namespace spillway {

// `size` is the source's. Above kLargestCopy the request must carry metadata. The destination is
// replaced all or nothing; an upload that fails is aborted (and is in the shadow's ledger until
// then). Blocks; retries as name operations do.
[[nodiscard]] Result<StoredObject> server_copy(Requests& requests, Shadow& shadow,
                                               const CopyRequest& request, std::uint64_t size);

}  // namespace spillway
