// Signature Version 4, from the server's side: rebuilt from the raw request, written anew from
// Amazon's description, so that a mistake of the program's signer is not repeated here.
#pragma once

#include <ctime>
#include <string>

#include "tests/b2sim/http.h"
#include "tests/b2sim/keys.h"

namespace b2sim {

// Returns the key that signed, or throws the Refusal. `now` is the server's idea of the time.
[[nodiscard]] AccessKey authenticate(const Request& request, const Keys& keys,
                                     const std::string& region, std::time_t now);

// The text whose hash is signed; for the tests of this server.
[[nodiscard]] std::string canonical_request(const Request& request,
                                            const std::string& signed_headers);

}  // namespace b2sim
