// The port to hashing: OpenSSL stays in s3/, and the core can still hash bytes as they arrive.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace spillway {

// One running SHA-256. Not for several threads at once.
class Hasher {
 public:
  virtual ~Hasher() = default;
  virtual void update(std::span<const std::byte> bytes) = 0;
  // 64 hex digits; the hasher starts anew afterwards.
  [[nodiscard]] virtual std::string finish_hex() = 0;
};

class Hashing {
 public:
  virtual ~Hashing() = default;
  // Any thread.
  [[nodiscard]] virtual std::unique_ptr<Hasher> make_sha256() const = 0;
};

}  // namespace spillway
