// From the environment to what a mount needs to know of its bucket. Pure: reads nothing by itself.
// The options with defaults are in src/options.h, the environment's sources in src/env_file.h.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "src/env_file.h"
#include "src/error.h"
#include "src/options.h"

namespace spillway {

struct S3Settings {
  std::string endpoint;  // as it was written; s3/endpoint.h parses it
  std::string access_key;
  std::string secret_key;
  std::string bucket;
  std::string region;  // never empty, see region_of()
};

// Fails with invalid_argument when a required variable (S3_ENDPOINT, S3_ACCESS_KEY, S3_SECRET_KEY,
// S3_BUCKET) is missing or empty, or one is malformed: the detail names all of them at once, and no
// value.
[[nodiscard]] Result<S3Settings> s3_settings_from(const Environment& environment);

// The region in a host `s3.<region>.backblazeb2.com`, else "us-west-004".
[[nodiscard]] std::string region_of(std::string_view endpoint);

// ENV=production: stop at start rather than go on without B2.
enum class RunMode : std::uint8_t { production, other };
[[nodiscard]] RunMode run_mode_of(const Environment& environment);

// "host[:port]/bucket" in lower case up to the slash: what a shadow directory is marked with. The
// same however the endpoint was written (scheme, trailing slash, case). "local-only" when either is
// empty.
[[nodiscard]] std::string bucket_identity(std::string_view endpoint, std::string_view bucket);

// Where the shadow lies unless --shadow says: /var/lib/spillway/NAME for root, else
// $XDG_STATE_HOME/spillway/NAME ($HOME/.local/state where that is unset or relative). NAME is the
// bucket, '-' and the first eight digits of `sha256_hex` of bucket_identity(); or "local-only".
// invalid_argument when the environment names no place.
[[nodiscard]] Result<std::string> default_shadow_directory(
    const Environment& environment, unsigned uid, std::string_view endpoint,
    std::string_view bucket, const std::function<std::string(std::string_view)>& sha256_hex);

}  // namespace spillway
