#include "s3/hash.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <cstdlib>

namespace spillway::s3 {
namespace {

void require(int openssl_result) {
  if (openssl_result != 1) std::abort();
}

struct ContextDeleter {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_MD_CTX, ContextDeleter>;

// EVP_sha256() looks the implementation up anew at every init, behind a lock that all threads
// share; fetched once, that is a quarter of the cost of a small digest.
const EVP_MD* fetched_sha256() {
  static const EVP_MD* const digest = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  return digest != nullptr ? digest : EVP_sha256();
}

template <class Digest>
Digest digest_of(const EVP_MD* algorithm, Pieces pieces) {
  const Context context(EVP_MD_CTX_new());
  require(EVP_DigestInit_ex(context.get(), algorithm, nullptr));
  for (const Bytes piece : pieces) {
    require(EVP_DigestUpdate(context.get(), piece.data(), piece.size()));
  }
  Digest digest;
  unsigned int size = 0;
  require(
      EVP_DigestFinal_ex(context.get(), reinterpret_cast<unsigned char*>(digest.data()), &size));
  require(size == digest.size() ? 1 : 0);
  return digest;
}

class Sha256Hasher final : public Hasher {
 public:
  Sha256Hasher() : context_(EVP_MD_CTX_new()) { start(); }

  void update(std::span<const std::byte> bytes) override {
    require(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()));
  }

  std::string finish_hex() override {
    Sha256 digest;
    require(EVP_DigestFinal_ex(context_.get(), reinterpret_cast<unsigned char*>(digest.data()),
                               nullptr));
    start();
    return to_hex(digest);
  }

 private:
  void start() { require(EVP_DigestInit_ex(context_.get(), fetched_sha256(), nullptr)); }

  Context context_;
};

class OpensslHashing final : public Hashing {
 public:
  std::unique_ptr<Hasher> make_sha256() const override { return std::make_unique<Sha256Hasher>(); }
};

}  // namespace

Bytes bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

Sha256 sha256(Pieces pieces) {
  return digest_of<Sha256>(fetched_sha256(), pieces);
}

Sha256 sha256(std::string_view text) {
  const Bytes piece = bytes_of(text);
  return sha256(Pieces(&piece, 1));
}

Sha256 hmac_sha256(Bytes key, std::string_view text) {
  Sha256 digest;
  unsigned int size = 0;
  const auto* const result = HMAC(fetched_sha256(), key.data(), static_cast<int>(key.size()),
                                  reinterpret_cast<const unsigned char*>(text.data()), text.size(),
                                  reinterpret_cast<unsigned char*>(digest.data()), &size);
  require(result != nullptr && size == digest.size() ? 1 : 0);
  return digest;
}

Md5 md5(Pieces pieces) {
  return digest_of<Md5>(EVP_md5(), pieces);
}

std::string to_hex(Bytes bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const std::byte byte : bytes) {
    text += kDigits[std::to_integer<std::size_t>(byte >> 4)];
    text += kDigits[std::to_integer<std::size_t>(byte & std::byte{15})];
  }
  return text;
}

std::string to_base64(Bytes bytes) {
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');  // EVP_EncodeBlock adds a NUL
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                   reinterpret_cast<const unsigned char*>(bytes.data()),
                                   static_cast<int>(bytes.size()));
  text.resize(static_cast<std::size_t>(size));
  return text;
}

void wipe(std::string& secret) {
  secret.resize(secret.capacity());
  OPENSSL_cleanse(secret.data(), secret.size());
  secret.clear();
}

void wipe(std::span<std::byte> secret) {
  OPENSSL_cleanse(secret.data(), secret.size());
}

std::unique_ptr<Hashing> make_hashing() {
  return std::make_unique<OpensslHashing>();
}

}  // namespace spillway::s3
