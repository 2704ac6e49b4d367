// Hashes, from OpenSSL. Nothing here is shared with the program under test.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <thread>

struct evp_md_ctx_st;

namespace b2sim {

enum class Algorithm { md5, sha256 };

[[nodiscard]] std::string to_hex(std::string_view bytes);
[[nodiscard]] std::string to_base64(std::string_view bytes);
[[nodiscard]] std::string digest_of(Algorithm algorithm, std::string_view text);  // raw bytes
[[nodiscard]] std::string hmac_sha256(std::string_view key, std::string_view text);
// In a time that does not depend on where they differ.
[[nodiscard]] bool equal_secrets(std::string_view left, std::string_view right);
// `bytes` random bytes as hex digits.
[[nodiscard]] std::string random_hex(std::size_t bytes);

// A running hash. One thread at a time.
class Digest {
 public:
  explicit Digest(Algorithm algorithm);
  ~Digest();
  Digest(const Digest&) = delete;
  Digest& operator=(const Digest&) = delete;
  Digest(Digest&&) = delete;
  Digest& operator=(Digest&&) = delete;

  void update(std::span<const std::byte> bytes);
  [[nodiscard]] std::string finish();  // raw bytes

 private:
  evp_md_ctx_st* context_;
};

// MD5 beside the caller's own work: it takes longer than all the rest of a PUT together.
class BackgroundMd5 {
 public:
  BackgroundMd5();

  // Hashes `bytes`, which must stay unchanged until the next submit() or finish() returns.
  void submit(std::span<const std::byte> bytes);
  [[nodiscard]] std::string finish();  // raw bytes

 private:
  void work(const std::stop_token& stop);

  Digest digest_{Algorithm::md5};
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::span<const std::byte> job_;  // guarded by mutex_; empty: nothing to do
  std::jthread worker_;
};

}  // namespace b2sim
