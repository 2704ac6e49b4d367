// Paths and queries of requests, kept as raw bytes and encoded in one place, so that what goes out
// and what is signed can't differ. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace spillway::s3 {

enum class Slash : std::uint8_t { keep, encode };

// Every byte but A-Z a-z 0-9 - . _ ~ (and '/', where it is kept) becomes %XX, in upper case:
// SigV4's UriEncode.
[[nodiscard]] std::string percent_encode(std::string_view bytes, Slash slash);

enum class Plus : std::uint8_t { literal, space };

// Decodes once. nullopt for a '%' without two hex digits. Listings write a space as '+'; paths mean
// a plus by it.
[[nodiscard]] std::optional<std::string> percent_decode(std::string_view text, Plus plus);

// What a request names.
struct Target {
  using Parameter = std::pair<std::string, std::optional<std::string>>;  // "?uploads" has no value

  std::string path = "/";  // raw; begins with '/'
  std::vector<Parameter> query;

  // As it goes out: "/bucket/a%20b?uploads&x=1", parameters in the order in which they were added.
  [[nodiscard]] std::string encoded() const;
  [[nodiscard]] std::string canonical_path() const;
  // Sorted by encoded name, then value; a parameter without a value gets a '='.
  [[nodiscard]] std::string canonical_query() const;

  friend bool operator==(const Target&, const Target&) = default;
};

// The path and query of a URL, taken apart. nullopt when it is malformed or does not begin with
// '/'.
[[nodiscard]] std::optional<Target> parse_target(std::string_view encoded);

}  // namespace spillway::s3
