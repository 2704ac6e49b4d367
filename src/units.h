// Durations and sizes as users write them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "src/clock.h"

namespace spillway {

// "500ms", "2s", "5m", "1h", and "0". nullopt for anything else, also for a number without a unit
// and for what does not fit.
[[nodiscard]] std::optional<Duration> parse_duration(std::string_view text);

// "100000", "100000B", "8MB" (powers of 1,000: KB, MB, GB, TB) and "64MiB" (powers of 1,024: KiB,
// MiB, GiB, TiB), in upper or lower case. nullopt for anything else and for what does not fit.
[[nodiscard]] std::optional<std::uint64_t> parse_size(std::string_view text);

}  // namespace spillway
