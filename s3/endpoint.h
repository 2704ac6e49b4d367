// Where the store is: the text of S3_ENDPOINT, taken apart and checked. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "src/error.h"

namespace spillway::s3 {

enum class Scheme : std::uint8_t { http, https };

struct Endpoint {
  Scheme scheme = Scheme::https;
  std::string host;  // lower case; an IPv6 address without its brackets
  std::uint16_t port = 443;
  std::string region;  // what the signature names

  // "host", or "host:port" where the port is not the scheme's own: as in the Host header, and so
  // as it is signed. IPv6 addresses have their brackets.
  [[nodiscard]] std::string authority() const;
  // "https://host:port", without a trailing slash.
  [[nodiscard]] std::string url() const;

  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

// Whether plain http is accepted for hosts other than loopback (`--allow-http`).
enum class PlainHttp : std::uint8_t { loopback_only, allowed };

inline constexpr std::string_view kDefaultRegion = "us-west-004";

// "https://s3.us-west-004.backblazeb2.com", "s3.us-west-004.backblazeb2.com", "http://[::1]:9000".
// Without a scheme it is https. One trailing slash is accepted; user info, a path, a query, white
// space and ports outside 1 to 65535 are refused with invalid_argument, whose detail names what is
// wrong and never repeats user info. The region is the one in `s3.<region>.backblazeb2.com`, else
// kDefaultRegion; S3_REGION, where it is set, is the caller's to put in its place.
[[nodiscard]] Result<Endpoint> parse_endpoint(std::string_view text, PlainHttp plain_http);

// localhost, *.localhost, 127.0.0.0/8, ::1.
[[nodiscard]] bool is_loopback(std::string_view host);

}  // namespace spillway::s3
