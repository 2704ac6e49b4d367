// What tells one version of an object from another, as far as listings say: metadata learned of a
// version once holds for as long as listings show the same identity. Pure.
#pragma once

#include <cstdint>

#include "src/object_store.h"

namespace spillway {

struct VersionIdentity {
  std::uint64_t size = 0;
  Etag etag;
  WallTime modified{};
  // An answer's time is the server's clock at that moment, or has whole seconds: it is within two
  // seconds of what listings say of the same version.
  enum class Source : std::uint8_t { listing, answer } source = Source::listing;

  friend bool operator==(const VersionIdentity&, const VersionIdentity&) = default;
};

// How far an answer's time may be from the listing's of the same version.
inline constexpr Duration kAnswerTolerance = std::chrono::seconds(2);

[[nodiscard]] bool has_same_content(const VersionIdentity& one, const VersionIdentity& other);

// Whether what is known of one version holds for the other. Equal bytes are not enough: a copy of
// an object onto itself changes its metadata and nothing else but the time.
[[nodiscard]] bool is_same(const VersionIdentity& known, const VersionIdentity& listed);

}  // namespace spillway
