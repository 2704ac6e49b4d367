#include "s3/uri.h"

#include <algorithm>

namespace spillway::s3 {
namespace {

// Not isalnum(): what it says depends on the locale.
bool is_unreserved(char character) {
  return (character >= 'A' && character <= 'Z') || (character >= 'a' && character <= 'z') ||
         (character >= '0' && character <= '9') || character == '-' || character == '.' ||
         character == '_' || character == '~';
}

int hex_value(char character) {
  if (character >= '0' && character <= '9') return character - '0';
  if (character >= 'A' && character <= 'F') return character - 'A' + 10;
  if (character >= 'a' && character <= 'f') return character - 'a' + 10;
  return -1;
}

std::optional<char> decode_triplet(std::string_view text, std::size_t at) {
  if (at + 2 >= text.size()) return std::nullopt;
  const int high = hex_value(text[at + 1]);
  const int low = hex_value(text[at + 2]);
  if (high < 0 || low < 0) return std::nullopt;
  return static_cast<char>(static_cast<unsigned char>(high * 16 + low));
}

std::optional<Target::Parameter> parse_parameter(std::string_view text) {
  const auto equals = text.find('=');
  auto name = percent_decode(text.substr(0, equals), Plus::literal);
  if (!name) return std::nullopt;
  if (equals == text.npos) return Target::Parameter(std::move(*name), std::nullopt);
  auto value = percent_decode(text.substr(equals + 1), Plus::literal);
  if (!value) return std::nullopt;
  return Target::Parameter(std::move(*name), std::move(value));
}

}  // namespace

std::string percent_encode(std::string_view bytes, Slash slash) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string text;
  text.reserve(bytes.size() + bytes.size() / 4);
  for (const char character : bytes) {
    if (is_unreserved(character) || (character == '/' && slash == Slash::keep)) {
      text += character;
      continue;
    }
    const auto value = static_cast<unsigned char>(character);
    text += '%';
    text += kDigits[value >> 4];
    text += kDigits[value & 15U];
  }
  return text;
}

std::optional<std::string> percent_decode(std::string_view text, Plus plus) {
  std::string bytes;
  bytes.reserve(text.size());
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '+' && plus == Plus::space) {
      bytes += ' ';
    } else if (text[at] == '%') {
      const auto byte = decode_triplet(text, at);
      if (!byte) return std::nullopt;
      bytes += *byte;
      at += 2;
    } else {
      bytes += text[at];
    }
  }
  return bytes;
}

std::string Target::encoded() const {
  std::string text = canonical_path();
  char separator = '?';
  for (const auto& [name, value] : query) {
    text += separator + percent_encode(name, Slash::encode);
    if (value) text += '=' + percent_encode(*value, Slash::encode);
    separator = '&';
  }
  return text;
}

std::string Target::canonical_path() const {
  return percent_encode(path, Slash::keep);
}

std::string Target::canonical_query() const {
  std::vector<std::pair<std::string, std::string>> parameters;
  for (const auto& [name, value] : query) {
    parameters.emplace_back(percent_encode(name, Slash::encode),
                            percent_encode(value.value_or(""), Slash::encode));
  }
  std::ranges::sort(parameters);
  std::string text;
  for (const auto& [name, value] : parameters) {
    if (!text.empty()) text += '&';
    text += name + '=' + value;
  }
  return text;
}

std::optional<Target> parse_target(std::string_view encoded) {
  if (!encoded.starts_with('/') || encoded.contains('#')) return std::nullopt;
  const auto question = encoded.find('?');
  auto path = percent_decode(encoded.substr(0, question), Plus::literal);
  if (!path) return std::nullopt;
  Target target;
  target.path = std::move(*path);
  auto rest = question == encoded.npos ? std::string_view() : encoded.substr(question + 1);
  while (!rest.empty()) {
    const auto end = std::min(rest.find('&'), rest.size());
    auto parameter = parse_parameter(rest.substr(0, end));
    if (!parameter) return std::nullopt;
    target.query.push_back(std::move(*parameter));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return target;
}

}  // namespace spillway::s3
