// AWS Signature Version 4, in the Authorization header. Pure but for the cache of the day's key:
// the time is an argument.
//
// The canonical form is S3's: each segment of the path encoded once, never normalised; the query
// sorted; every header that is given is signed, its value trimmed and runs of spaces made one.
#pragma once

#include <string>
#include <string_view>

#include "s3/hash.h"
#include "s3/http.h"
#include "s3/uri.h"
#include "src/clock.h"
#include "src/guarded.h"

namespace spillway::s3 {

// In place of a digest, over TLS only.
inline constexpr std::string_view kUnsignedPayload = "UNSIGNED-PAYLOAD";

struct Credentials {
  std::string access_key;
  std::string secret_key;
};

class Signer {
 public:
  // Takes the secret over and wipes it, and every key made from it, when it goes.
  Signer(Credentials credentials, std::string region, Executor& executor);
  ~Signer();
  Signer(const Signer&) = delete;
  Signer& operator=(const Signer&) = delete;

  // Adds x-amz-date, x-amz-content-sha256 (`payload`: 64 hex digits, or kUnsignedPayload) and
  // Authorization to `headers`, in place of any that are there. `headers` must hold `host`, and
  // everything that is in it gets signed. Any thread.
  void sign(std::string_view method, const Target& target, std::string_view payload, WallTime time,
            Headers& headers);

 private:
  struct DayKey {
    std::string day;  // "20130524"; empty: none yet
    Sha256 key{};
  };

  Sha256 key_of(std::string_view day);
  [[nodiscard]] Sha256 derive_key(std::string_view day) const;

  std::string access_key_;
  std::string region_;
  std::string secret_;  // "AWS4" + the secret key, as the derivation wants it
  Guarded<DayKey> cache_;
};

// The canonical request, as the specification calls it; for tests.
[[nodiscard]] std::string canonical_request(std::string_view method, const Target& target,
                                            const Headers& headers, std::string_view payload);

}  // namespace spillway::s3
