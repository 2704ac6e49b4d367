#include "s3/endpoint.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace spillway::s3 {
namespace {

constexpr std::uint16_t default_port(Scheme scheme) {
  return scheme == Scheme::https ? 443 : 80;
}

std::string lower(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(), [](char character) {
    return character >= 'A' && character <= 'Z' ? static_cast<char>(character - 'A' + 'a')
                                                : character;
  });
  return result;
}

bool is_digit(char character) {
  return character >= '0' && character <= '9';
}

bool is_name_character(char character) {
  return is_digit(character) || (character >= 'a' && character <= 'z') || character == '-' ||
         character == '.' || character == '_';
}

bool is_address6_character(char character) {
  return is_digit(character) || (character >= 'a' && character <= 'f') || character == ':' ||
         character == '.';
}

bool is_host_name(std::string_view host) {
  return !host.empty() && host.size() <= 253 && host.front() != '.' && host.front() != '-' &&
         host.find("..") == host.npos && std::ranges::all_of(host, is_name_character);
}

bool is_address6(std::string_view host) {
  return std::ranges::count(host, ':') >= 2 && std::ranges::all_of(host, is_address6_character);
}

// Four decimal numbers: "127.0.0.1.example.com" must not pass for loopback.
bool is_address4(std::string_view host) {
  return std::ranges::count(host, '.') == 3 && host.find("..") == host.npos &&
         is_digit(host.front()) && is_digit(host.back()) &&
         std::ranges::all_of(
             host, [](char character) { return is_digit(character) || character == '.'; });
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (problem != std::errc{} || end != text.data() + text.size() || port == 0) return std::nullopt;
  return port;
}

std::string region_of(std::string_view host) {
  constexpr std::string_view kHead = "s3.";
  constexpr std::string_view kTail = ".backblazeb2.com";
  if (host.size() <= kHead.size() + kTail.size()) return std::string(kDefaultRegion);
  if (!host.starts_with(kHead) || !host.ends_with(kTail)) return std::string(kDefaultRegion);
  const auto region = host.substr(kHead.size(), host.size() - kHead.size() - kTail.size());
  return std::string(region.contains('.') ? kDefaultRegion : region);
}

Result<Scheme> take_scheme(std::string_view& text) {
  const auto end = text.find("://");
  if (end == text.npos) return Scheme::https;
  const std::string scheme = lower(text.substr(0, end));
  text.remove_prefix(end + 3);
  if (scheme == "https") return Scheme::https;
  if (scheme == "http") return Scheme::http;
  return fail(ErrorCode::invalid_argument, "the scheme must be https or http");
}

Result<std::string> take_host(std::string_view& text) {
  if (!text.starts_with('[')) {
    const auto end = std::min(text.find(':'), text.size());
    std::string host = lower(text.substr(0, end));
    text.remove_prefix(end);
    if (!is_host_name(host)) return fail(ErrorCode::invalid_argument, "the host name is malformed");
    return host;
  }
  const auto end = text.find(']');
  if (end == text.npos) return fail(ErrorCode::invalid_argument, "a ']' is missing");
  std::string host = lower(text.substr(1, end - 1));
  text.remove_prefix(end + 1);
  if (!is_address6(host)) return fail(ErrorCode::invalid_argument, "the address is malformed");
  return host;
}

Result<std::uint16_t> take_port(std::string_view text, Scheme scheme) {
  if (text.empty()) return default_port(scheme);
  const auto port = text.front() == ':' ? parse_port(text.substr(1)) : std::nullopt;
  if (!port) return fail(ErrorCode::invalid_argument, "the port must be a number from 1 to 65535");
  return *port;
}

Result<> check_text(std::string_view text) {
  if (text.contains('@')) {
    return fail(ErrorCode::invalid_argument, "it must not hold a user name or password");
  }
  if (text.find_first_of("/?#") != text.npos) {
    return fail(ErrorCode::invalid_argument, "it must not hold a path or a query");
  }
  return {};
}

}  // namespace

std::string Endpoint::authority() const {
  std::string text = host.contains(':') ? "[" + host + "]" : host;
  if (port != default_port(scheme)) text += ":" + std::to_string(port);
  return text;
}

std::string Endpoint::url() const {
  return (scheme == Scheme::https ? "https://" : "http://") + authority();
}

bool is_loopback(std::string_view host) {
  return host == "localhost" || host.ends_with(".localhost") || host == "::1" ||
         (is_address4(host) && host.starts_with("127."));
}

Result<Endpoint> parse_endpoint(std::string_view text, PlainHttp plain_http) {
  Endpoint endpoint;
  endpoint.scheme = TRY(take_scheme(text));
  if (text.ends_with('/')) text.remove_suffix(1);
  TRY(check_text(text));
  endpoint.host = TRY(take_host(text));
  endpoint.port = TRY(take_port(text, endpoint.scheme));
  endpoint.region = region_of(endpoint.host);
  if (endpoint.scheme == Scheme::http && plain_http == PlainHttp::loopback_only &&
      !is_loopback(endpoint.host)) {
    return fail(ErrorCode::invalid_argument,
                "http is accepted only for loopback addresses, or with --allow-http");
  }
  return endpoint;
}

}  // namespace spillway::s3
