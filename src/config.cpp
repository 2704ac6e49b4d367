#include "src/config.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

namespace spillway {
namespace {

constexpr std::string_view kDefaultRegion = "us-west-004";

std::string_view value_of(const Environment& environment, const std::string& name) {
  const auto variable = environment.find(name);
  return variable == environment.end() ? std::string_view() : variable->second;
}

bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// These values become part of request headers: anything that could end a header is refused here.
bool is_one_word(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f; });
}

// B2 wants 6 to 63 letters, digits and dashes; other S3 servers also take shorter names and dots.
// No name of dots alone: it becomes part of a path in the shadow and of URLs.
bool is_bucket(std::string_view text) {
  return text.size() >= 3 && text.size() <= 63 && is_alphanumeric(text.front()) &&
         std::ranges::all_of(text, [](char c) { return is_alphanumeric(c) || c == '-' || c == '.'; });
}

bool is_region(std::string_view text) {
  return text.size() <= 63 &&
         std::ranges::all_of(text, [](char c) { return is_alphanumeric(c) || c == '-'; });
}

struct Variable {
  const char* name;
  enum class Need : std::uint8_t { required, optional } need;
  bool (*is_valid)(std::string_view text);
  std::string_view wants;
};

constexpr std::array kVariables{
    Variable{"S3_ENDPOINT", Variable::Need::required, is_one_word, "has white space"},
    Variable{"S3_ACCESS_KEY", Variable::Need::required, is_one_word, "has white space"},
    Variable{"S3_SECRET_KEY", Variable::Need::required, is_one_word, "has white space"},
    Variable{"S3_BUCKET", Variable::Need::required, is_bucket,
             "must be 3 to 63 letters, digits, '-' and '.'"},
    Variable{"S3_REGION", Variable::Need::optional, is_region, "must be letters, digits and '-'"},
};

// "" when nothing is wrong.
std::string problems_of(const Environment& environment) {
  std::string missing;
  std::string malformed;
  for (const auto& variable : kVariables) {
    const auto value = value_of(environment, variable.name);
    if (value.empty()) {
      if (variable.need == Variable::Need::optional) continue;
      missing += (missing.empty() ? "missing: " : ", ") + std::string(variable.name);
    } else if (!variable.is_valid(value)) {
      malformed += (malformed.empty() ? "malformed: " : ", ") + std::string(variable.name) + " (" +
                   std::string(variable.wants) + ")";
    }
  }
  return missing + (missing.empty() || malformed.empty() ? "" : "; ") + malformed;
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

// "host[:port]" however the endpoint was written.
std::string authority_of(std::string_view endpoint) {
  const auto scheme = endpoint.find("://");
  if (scheme != std::string_view::npos) endpoint.remove_prefix(scheme + 3);
  return lower(endpoint.substr(0, endpoint.find('/')));
}

Result<std::string> state_directory(const Environment& environment, unsigned uid) {
  if (uid == 0) return std::string("/var/lib/spillway");
  // XDG Base Directory Specification: a relative path is to be ignored.
  const auto state = value_of(environment, "XDG_STATE_HOME");
  if (state.starts_with('/')) return std::string(state) + "/spillway";
  const auto home = value_of(environment, "HOME");
  if (home.starts_with('/')) return std::string(home) + "/.local/state/spillway";
  return fail(ErrorCode::invalid_argument,
              "no place for the shadow directory: neither HOME nor XDG_STATE_HOME is set, give "
              "--shadow");
}

}  // namespace

Result<S3Settings> s3_settings_from(const Environment& environment) {
  auto problems = problems_of(environment);
  if (!problems.empty()) return fail(ErrorCode::invalid_argument, std::move(problems));
  S3Settings settings;
  settings.endpoint = value_of(environment, "S3_ENDPOINT");
  settings.access_key = value_of(environment, "S3_ACCESS_KEY");
  settings.secret_key = value_of(environment, "S3_SECRET_KEY");
  settings.bucket = value_of(environment, "S3_BUCKET");
  settings.region = value_of(environment, "S3_REGION");
  if (settings.region.empty()) settings.region = region_of(settings.endpoint);
  return settings;
}

std::string region_of(std::string_view endpoint) {
  constexpr std::string_view kBefore = "s3.";
  constexpr std::string_view kAfter = ".backblazeb2.com";
  std::string host = authority_of(endpoint);
  host.resize(std::min(host.find(':'), host.size()));
  const bool is_b2 = host.starts_with(kBefore) && host.ends_with(kAfter) &&
                     host.size() > kBefore.size() + kAfter.size();
  if (!is_b2) return std::string(kDefaultRegion);
  auto region = host.substr(kBefore.size(), host.size() - kBefore.size() - kAfter.size());
  return is_region(region) ? region : std::string(kDefaultRegion);
}

RunMode run_mode_of(const Environment& environment) {
  return value_of(environment, "ENV") == "production" ? RunMode::production : RunMode::other;
}

std::string bucket_identity(std::string_view endpoint, std::string_view bucket) {
  const auto authority = authority_of(endpoint);
  if (authority.empty() || bucket.empty()) return "local-only";
  return authority + "/" + std::string(bucket);
}

Result<std::string> default_shadow_directory(
    const Environment& environment, unsigned uid, std::string_view endpoint,
    std::string_view bucket, const std::function<std::string(std::string_view)>& sha256_hex) {
  constexpr std::size_t kDigits = 8;
  auto directory = TRY(state_directory(environment, uid)) + "/";
  const auto identity = bucket_identity(endpoint, bucket);
  if (identity == "local-only") return directory + identity;
  return directory + std::string(bucket) + "-" + sha256_hex(identity).substr(0, kDigits);
}

}  // namespace spillway
