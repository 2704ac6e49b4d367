// Digests and the two text forms they travel in. With signer.cpp the only user of OpenSSL, and the
// implementation of src/hash.h's port. Everything here may be called from any thread.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "src/hash.h"

namespace spillway::s3 {

using Bytes = std::span<const std::byte>;
using Pieces = std::span<const Bytes>;
using Sha256 = std::array<std::byte, 32>;
using Md5 = std::array<std::byte, 16>;

[[nodiscard]] Bytes bytes_of(std::string_view text);

[[nodiscard]] Sha256 sha256(Pieces pieces);
[[nodiscard]] Sha256 sha256(std::string_view text);
[[nodiscard]] Sha256 hmac_sha256(Bytes key, std::string_view text);
[[nodiscard]] Md5 md5(Pieces pieces);

[[nodiscard]] std::string to_hex(Bytes bytes);     // lower case
[[nodiscard]] std::string to_base64(Bytes bytes);  // with padding, without line breaks

// Overwrites a secret where the compiler can't leave the write out; the string is empty afterwards.
void wipe(std::string& secret);
void wipe(std::span<std::byte> secret);

// The port's implementation. Aborts when the crypto library can't make a digest at all (out of
// memory, or a provider that was taken away): no bytes could be trusted after that.
[[nodiscard]] std::unique_ptr<Hashing> make_hashing();

}  // namespace spillway::s3
