#include "src/metadata_xattrs.h"

#include <nlohmann/json.hpp>

#include "src/base64.h"
#include "src/utf8.h"

namespace spillway {
namespace {

constexpr std::size_t kLongestXattrName = 255;  // the kernel's limit
constexpr std::string_view kHex = "0123456789ABCDEF";

bool is_unreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

std::string url_encoded(std::string_view text) {
  std::string encoded;
  for (const char c : text) {
    if (is_unreserved(c)) {
      encoded += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    encoded += '%';
    encoded += kHex[byte >> 4U];
    encoded += kHex[byte & 15U];
  }
  return encoded;
}

std::optional<unsigned> hex_digit(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A' + 10);
  if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a' + 10);
  return std::nullopt;
}

std::optional<std::string> url_decoded(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const auto high = hex_digit(text[i + 1]);
    const auto low = hex_digit(text[i + 2]);
    if (!high || !low) return std::nullopt;
    decoded += static_cast<char>((*high << 4U) | *low);
    i += 2;
  }
  return decoded;
}

}  // namespace

Result<> check_xattr_name(std::string_view name) {
  constexpr std::string_view kUser = "user.";
  if (!name.starts_with(kUser) || name.size() == kUser.size()) {
    return fail(ErrorCode::not_supported, "only user.* attributes are kept with an object");
  }
  if (name.starts_with("user.b2.")) {
    return fail(ErrorCode::not_permitted, "user.b2.* is where Spillway itself reports");
  }
  if (name.size() > kLongestXattrName || name.contains('\0') || !is_utf8(name)) {
    return fail(ErrorCode::invalid_argument, "names of attributes must be UTF-8, up to 255 bytes");
  }
  return {};
}

Result<> check_xattrs(const XattrMap& xattrs) {
  if (xattrs_to_text(xattrs).size() <= kLongestXattrs) return {};
  return fail(ErrorCode::attribute_too_large,
              "B2 keeps little metadata: all attributes of a file together have about 1.4 KiB");
}

std::string xattrs_to_text(const XattrMap& xattrs) {
  auto json = nlohmann::ordered_json::object();
  for (const auto& [name, value] : xattrs) {
    if (check_xattr_name(name).ok()) json[name] = to_base64(value);
  }
  return url_encoded(json.dump());
}

std::optional<XattrMap> xattrs_from_text(std::string_view text) {
  if (text.size() > kLongestXattrs) return std::nullopt;
  const auto decoded = url_decoded(text);
  if (!decoded) return std::nullopt;
  const auto json = nlohmann::json::parse(*decoded, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return std::nullopt;
  XattrMap xattrs;
  for (const auto& [name, value] : json.items()) {
    if (!value.is_string() || !check_xattr_name(name).ok()) continue;
    auto bytes = from_base64(value.get_ref<const std::string&>());
    if (bytes) xattrs.emplace(name, *std::move(bytes));
  }
  return xattrs;
}

}  // namespace spillway
