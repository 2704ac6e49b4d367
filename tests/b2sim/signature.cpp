#include "tests/b2sim/signature.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <vector>

#include "tests/b2sim/digest.h"
#include "tests/b2sim/refusal.h"

namespace b2sim {

namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";
constexpr std::time_t kLargestSkew = 15 * 60;

struct Authorization {
  std::string key_id;
  std::string date;
  std::string region;
  std::string service;
  std::string terminator;
  std::string signed_headers;
  std::string signature;
  [[nodiscard]] std::string scope() const {
    return date + "/" + region + "/" + service + "/" + terminator;
  }
};

Refusal malformed(const std::string& why) {
  return {400, "AuthorizationHeaderMalformed", "The authorization header is malformed; " + why};
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> pieces;
  for (;;) {
    const auto cut = text.find(separator);
    pieces.emplace_back(text.substr(0, cut));
    if (cut == std::string_view::npos) return pieces;
    text.remove_prefix(cut + 1);
  }
}

std::string trimmed(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return std::string(text);
}

void read_credential(const std::string& credential, Authorization& authorization) {
  const std::vector<std::string> pieces = split(credential, '/');
  if (pieces.size() != 5)
    throw malformed("the Credential is not KEY/DATE/REGION/SERVICE/aws4_request");
  authorization.key_id = pieces[0];
  authorization.date = pieces[1];
  authorization.region = pieces[2];
  authorization.service = pieces[3];
  authorization.terminator = pieces[4];
}

Authorization read_authorization(const std::string& header) {
  if (!header.starts_with(kAlgorithm)) {
    throw Refusal(400, "InvalidRequest",
                  "The V2 signature authorization mechanism is not supported, please use "
                  "AWS4-HMAC-SHA256");
  }
  Authorization authorization;
  for (const std::string& entry : split(std::string_view(header).substr(kAlgorithm.size()), ',')) {
    const std::string field = trimmed(entry);
    const auto equals = field.find('=');
    if (equals == std::string::npos) throw malformed("a field has no value");
    const std::string name = field.substr(0, equals);
    const std::string value = field.substr(equals + 1);
    if (name == "Credential") read_credential(value, authorization);
    if (name == "SignedHeaders") authorization.signed_headers = value;
    if (name == "Signature") authorization.signature = value;
  }
  if (authorization.key_id.empty() || authorization.signed_headers.empty() ||
      authorization.signature.empty()) {
    throw malformed("Credential, SignedHeaders and Signature are needed");
  }
  return authorization;
}

std::string canonical_path(const Request& request) {
  const auto decoded = percent_decode(request.raw_path());
  if (!decoded) throw invalid_request("The request target is malformed");
  return percent_encode(*decoded, "/");
}

std::string canonical_query(const Request& request) {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const auto& [name, value] : request.query) {
    pairs.emplace_back(percent_encode(name), percent_encode(value));
  }
  std::ranges::sort(pairs);
  std::string canonical;
  for (const auto& [name, value] : pairs) {
    canonical += (canonical.empty() ? "" : "&") + name + "=" + value;
  }
  return canonical;
}

std::string squeezed(std::string_view value) {
  std::string squeezed_value;
  for (const char c : trimmed(value)) {
    if (c != ' ' || !squeezed_value.ends_with(' ')) squeezed_value += c;
  }
  return squeezed_value;
}

std::string canonical_header(const Request& request, const std::string& name) {
  const auto [first, last] = request.headers.equal_range(name);
  if (first == last) throw malformed("signed header '" + name + "' was not sent");
  std::string values;
  for (auto at = first; at != last; ++at) {
    values += (values.empty() ? "" : ",") + squeezed(at->second);
  }
  return name + ":" + values + "\n";
}

std::string signature_of(const Request& request, const Authorization& authorization,
                         const std::string& secret, const std::string& timestamp) {
  const std::string canonical = canonical_request(request, authorization.signed_headers);
  const std::string to_sign = std::string(kAlgorithm) + "\n" + timestamp + "\n" +
                              authorization.scope() + "\n" +
                              to_hex(digest_of(Algorithm::sha256, canonical));
  std::string key = hmac_sha256("AWS4" + secret, authorization.date);
  key = hmac_sha256(key, authorization.region);
  key = hmac_sha256(key, authorization.service);
  key = hmac_sha256(key, authorization.terminator);
  return to_hex(hmac_sha256(key, to_sign));
}

std::time_t parse_timestamp(const std::string& timestamp) {
  std::tm parts{};
  const char* end = strptime(timestamp.c_str(), "%Y%m%dT%H%M%SZ", &parts);
  if (timestamp.size() != 16 || end == nullptr || *end != '\0') {
    throw malformed("x-amz-date is missing or not in ISO 8601 basic format");
  }
  return timegm(&parts);
}

bool looks_like_a_master_key(const std::string& id) {
  return id.size() == 12 && id.find_first_not_of("0123456789abcdef") == std::string::npos;
}

AccessKey find_key(const Keys& keys, const std::string& id) {
  if (auto key = keys.find(id)) return *std::move(key);
  throw Refusal(403, "InvalidAccessKeyId",
                looks_like_a_master_key(id) ? "Malformed Access Key Id"
                                            : "The key '" + id + "' is not valid");
}

void check_scope(const Authorization& authorization, const std::string& timestamp,
                 const std::string& region) {
  if (authorization.service != "s3" || authorization.terminator != "aws4_request") {
    throw malformed("the scope is not …/s3/aws4_request");
  }
  if (!timestamp.starts_with(authorization.date + "T")) {
    throw malformed("the date in the Credential is not that of x-amz-date");
  }
  if (authorization.region != region) throw Refusal(403, "", "");
}

void check_signed_headers(const Request& request, const std::string& signed_headers) {
  const std::vector<std::string> names = split(signed_headers, ';');
  if (!std::ranges::is_sorted(names)) throw malformed("SignedHeaders are not sorted");
  for (const auto& [name, value] : request.headers) {
    if (name != "host" && !name.starts_with("x-amz-")) continue;
    if (!std::ranges::binary_search(names, name)) {
      throw Refusal(403, "AccessDenied",
                    "There were headers present in the request which were not signed: " + name);
    }
  }
}

void check_payload_hash(const Request& request) {
  const std::string* hash = request.header("x-amz-content-sha256");
  if (hash == nullptr) {
    throw invalid_request("Missing required header for this request: x-amz-content-sha256");
  }
  if (hash->starts_with("STREAMING-")) {
    throw invalid_argument("Unsupported header 'x-amz-content-sha256' received for this API call.");
  }
  const bool hex =
      hash->size() == 64 && hash->find_first_not_of("0123456789abcdef") == std::string::npos;
  if (!hex && *hash != "UNSIGNED-PAYLOAD") {
    throw invalid_argument(
        "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, or a valid sha256 value.");
  }
}

}  // namespace

std::string canonical_request(const Request& request, const std::string& signed_headers) {
  std::string headers;
  for (const std::string& name : split(signed_headers, ';')) {
    headers += canonical_header(request, name);
  }
  const std::string* payload = request.header("x-amz-content-sha256");
  return request.method + "\n" + canonical_path(request) + "\n" + canonical_query(request) + "\n" +
         headers + "\n" + signed_headers + "\n" + (payload == nullptr ? "" : *payload);
}

AccessKey authenticate(const Request& request, const Keys& keys, const std::string& region,
                       std::time_t now) {
  const std::string* header = request.header("authorization");
  if (header == nullptr) {
    throw Refusal(401, "UnauthorizedAccess",
                  "Unauthenticated requests are not allowed for this api");
  }
  const Authorization authorization = read_authorization(*header);
  AccessKey key = find_key(keys, authorization.key_id);
  const std::string* sent = request.header("x-amz-date");
  const std::string timestamp = sent == nullptr ? "" : *sent;
  if (std::abs(parse_timestamp(timestamp) - now) > kLargestSkew) {
    throw Refusal(403, "RequestTimeTooSkewed",
                  "The difference between the request time and the current time is too large.");
  }
  check_scope(authorization, timestamp, region);
  check_signed_headers(request, authorization.signed_headers);
  check_payload_hash(request);
  const std::string expected = signature_of(request, authorization, key.secret, timestamp);
  if (!equal_secrets(expected, authorization.signature)) {
    throw Refusal(403, "SignatureDoesNotMatch", "Signature validation failed");
  }
  return key;
}

}  // namespace b2sim
