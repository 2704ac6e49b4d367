#include "s3/signer.h"

#include <map>

#include "s3/dates.h"

namespace spillway::s3 {
namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";
constexpr std::size_t kDayLength = 8;

using CanonicalHeaders = std::map<std::string, std::string>;

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& character : result) {
    if (character >= 'A' && character <= 'Z') character = static_cast<char>(character - 'A' + 'a');
  }
  return result;
}

std::string squeeze(std::string_view value) {
  std::string result;
  for (const char character : value) {
    const bool is_space = character == ' ' || character == '\t';
    if (!is_space) {
      result += character;
    } else if (!result.empty() && result.back() != ' ') {
      result += ' ';
    }
  }
  if (result.ends_with(' ')) result.pop_back();
  return result;
}

CanonicalHeaders canonical_headers(const Headers& headers) {
  CanonicalHeaders canonical;
  for (const auto& [name, value] : headers) {
    const auto [place, is_new] = canonical.try_emplace(lower(name), squeeze(value));
    if (!is_new) place->second += ',' + squeeze(value);
  }
  return canonical;
}

std::string names_of(const CanonicalHeaders& headers) {
  std::string names;
  for (const auto& [name, value] : headers) {
    if (!names.empty()) names += ';';
    names += name;
  }
  return names;
}

std::string canonical_request_of(std::string_view method, const Target& target,
                                 const CanonicalHeaders& headers, std::string_view payload) {
  std::string text(method);
  text += '\n' + target.canonical_path() + '\n' + target.canonical_query() + '\n';
  for (const auto& [name, value] : headers) text += name + ':' + value + '\n';
  text += '\n' + names_of(headers) + '\n';
  return text.append(payload);
}

}  // namespace

Signer::Signer(Credentials credentials, std::string region, Executor& executor)
    : access_key_(std::move(credentials.access_key)), region_(std::move(region)), cache_(executor) {
  // One allocation of the right size: growing would leave copies behind that nobody wipes.
  constexpr std::string_view kPrefix = "AWS4";
  secret_.reserve(kPrefix.size() + credentials.secret_key.size());
  secret_.append(kPrefix).append(credentials.secret_key);
  wipe(credentials.secret_key);
}

Signer::~Signer() {
  wipe(secret_);
  wipe(cache_.lock()->key);
}

void Signer::sign(std::string_view method, const Target& target, std::string_view payload,
                  WallTime time, Headers& headers) {
  const std::string date = to_amz_date(time);
  const std::string day = date.substr(0, kDayLength);
  headers.remove("authorization");
  headers.set("x-amz-date", date);
  headers.set("x-amz-content-sha256", std::string(payload));

  const CanonicalHeaders canonical = canonical_headers(headers);
  const std::string scope = day + '/' + region_ + "/s3/aws4_request";
  const std::string to_sign =
      std::string(kAlgorithm) + '\n' + date + '\n' + scope + '\n' +
      to_hex(sha256(canonical_request_of(method, target, canonical, payload)));
  Sha256 key = key_of(day);
  const std::string signature = to_hex(hmac_sha256(key, to_sign));
  wipe(key);
  headers.add("Authorization", std::string(kAlgorithm) + " Credential=" + access_key_ + '/' +
                                   scope + ",SignedHeaders=" + names_of(canonical) +
                                   ",Signature=" + signature);
}

Sha256 Signer::key_of(std::string_view day) {
  auto cache = cache_.lock();
  if (cache->day != day) {
    cache->key = derive_key(day);
    cache->day = day;
  }
  return cache->key;
}

Sha256 Signer::derive_key(std::string_view day) const {
  Sha256 key = hmac_sha256(bytes_of(secret_), day);
  for (const std::string_view step :
       {std::string_view(region_), std::string_view("s3"), std::string_view("aws4_request")}) {
    key = hmac_sha256(key, step);
  }
  return key;
}

std::string canonical_request(std::string_view method, const Target& target, const Headers& headers,
                              std::string_view payload) {
  return canonical_request_of(method, target, canonical_headers(headers), payload);
}

}  // namespace spillway::s3
