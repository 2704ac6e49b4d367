// The id that ties a file's attribute to its line in the log.
#pragma once

#include <cstdint>
#include <string>

#include "src/clock.h"

namespace spillway {

// A version 7 UUID (RFC 9562): sorts by time, 74 bits from `random` and its hash.
[[nodiscard]] std::string make_correlation_id(WallTime time, std::uint64_t random);

}  // namespace spillway
