#include "tests/b2sim/digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <array>
#include <stdexcept>

namespace b2sim {

namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

}  // namespace

std::string to_hex(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hex;
  hex.reserve(bytes.size() * 2);
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    hex += kDigits[byte >> 4U];
    hex += kDigits[byte & 15U];
  }
  return hex;
}

std::string to_base64(std::string_view bytes) {
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');
  const int length = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                     reinterpret_cast<const unsigned char*>(bytes.data()),
                                     static_cast<int>(bytes.size()));
  text.resize(static_cast<std::size_t>(length));
  return text;
}

std::string digest_of(Algorithm algorithm, std::string_view text) {
  Digest digest(algorithm);
  digest.update(bytes_of(text));
  return digest.finish();
}

std::string hmac_sha256(std::string_view key, std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> code{};
  unsigned int length = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(), code.data(), &length);
  return {reinterpret_cast<const char*>(code.data()), length};
}

bool equal_secrets(std::string_view left, std::string_view right) {
  return left.size() == right.size() && CRYPTO_memcmp(left.data(), right.data(), left.size()) == 0;
}

std::string random_hex(std::size_t bytes) {
  std::string random(bytes, '\0');
  RAND_bytes(reinterpret_cast<unsigned char*>(random.data()), static_cast<int>(bytes));
  return to_hex(random);
}

Digest::Digest(Algorithm algorithm) : context_(EVP_MD_CTX_new()) {
  const EVP_MD* kind = algorithm == Algorithm::md5 ? EVP_md5() : EVP_sha256();
  if (context_ == nullptr || EVP_DigestInit_ex(context_, kind, nullptr) != 1) {
    EVP_MD_CTX_free(context_);
    throw std::runtime_error("OpenSSL has no such digest");
  }
}

Digest::~Digest() {
  EVP_MD_CTX_free(context_);
}

void Digest::update(std::span<const std::byte> bytes) {
  EVP_DigestUpdate(context_, bytes.data(), bytes.size());
}

std::string Digest::finish() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> value{};
  unsigned int length = 0;
  EVP_DigestFinal_ex(context_, value.data(), &length);
  return {reinterpret_cast<const char*>(value.data()), length};
}

BackgroundMd5::BackgroundMd5() : worker_([this](const std::stop_token& stop) { work(stop); }) {}

void BackgroundMd5::submit(std::span<const std::byte> bytes) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return job_.empty(); });
  job_ = bytes;
  changed_.notify_all();
}

std::string BackgroundMd5::finish() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return job_.empty(); });
  return digest_.finish();
}

void BackgroundMd5::work(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (changed_.wait(lock, stop, [this] { return !job_.empty(); })) {
    lock.unlock();
    digest_.update(job_);
    lock.lock();
    job_ = {};
    changed_.notify_all();
  }
}

}  // namespace b2sim
