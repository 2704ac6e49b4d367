#include "src/correlation.h"

#include <spdlog/fmt/fmt.h>

namespace spillway {
namespace {

// SplitMix64's finaliser: spreads a counter-like seed over all bits.
std::uint64_t mix(std::uint64_t bits) {
  bits = (bits ^ (bits >> 30U)) * 0xbf58476d1ce4e5b9ULL;
  bits = (bits ^ (bits >> 27U)) * 0x94d049bb133111ebULL;
  return bits ^ (bits >> 31U);
}

}  // namespace

std::string make_correlation_id(WallTime time, std::uint64_t random) {
  const auto milliseconds = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count());
  const std::uint64_t high = mix(random);
  const std::uint64_t low = mix(random ^ 0x9e3779b97f4a7c15ULL);
  return fmt::format("{:08x}-{:04x}-7{:03x}-{:04x}-{:012x}",
                     (milliseconds >> 16U) & 0xffffffffU, milliseconds & 0xffffU, high & 0xfffU,
                     0x8000U | (low & 0x3fffU), (high >> 16U) & 0xffffffffffffU);
}

}  // namespace spillway
