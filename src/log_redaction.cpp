#include "src/log_redaction.h"

#include <algorithm>
#include <functional>
#include <spdlog/fmt/fmt.h>

#include "src/base64.h"

namespace spillway {
namespace {

constexpr std::string_view kRedacted = "[redacted]";
// Shorter pieces of base64 would also be found where there is no secret.
constexpr std::size_t kShortestPiece = 8;

bool is_unreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

std::string percent_encoded(std::string_view text, std::string_view digits) {
  std::string encoded;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (is_unreserved(c)) {
      encoded += c;
    } else {
      encoded += {'%', digits[byte >> 4U], digits[byte & 15U]};
    }
  }
  return encoded;
}

// The digits of base64 that depend on the secret alone when `offset` other bytes (modulo 3) stand
// before it, and any number after it.
std::string base64_piece(const std::string& secret, std::size_t offset) {
  constexpr std::size_t kShared[] = {0, 2, 3};  // digits that hold bits of the bytes before
  const std::size_t bits = (offset + secret.size()) * 8;
  const std::string text = to_base64(std::string(offset, '\0') + secret);
  const std::size_t whole_digits = bits / 6;
  if (whole_digits <= kShared[offset]) return {};
  return text.substr(kShared[offset], whole_digits - kShared[offset]);
}

}  // namespace

Redaction::Redaction(const std::vector<std::string>& secrets) {
  for (const auto& secret : secrets) {
    if (secret.empty()) continue;
    forms_.push_back(secret);
    forms_.push_back(percent_encoded(secret, "0123456789ABCDEF"));
    forms_.push_back(percent_encoded(secret, "0123456789abcdef"));
    for (std::size_t offset = 0; offset < 3; ++offset) {
      auto piece = base64_piece(secret, offset);
      if (piece.size() >= kShortestPiece) forms_.push_back(std::move(piece));
    }
  }
  std::ranges::sort(forms_, std::greater(), &std::string::size);
}

std::string Redaction::in_text(std::string_view text) const {
  std::string clean(text);
  for (const auto& form : forms_) {
    std::size_t at = 0;
    while ((at = clean.find(form, at)) != std::string::npos) {
      clean.replace(at, form.size(), kRedacted);
      at += kRedacted.size();
    }
  }
  return clean;
}

nlohmann::ordered_json Redaction::in_fields(const nlohmann::ordered_json& fields) const {
  if (fields.is_string()) return in_text(fields.get_ref<const std::string&>());
  if (!fields.is_structured()) return fields;
  nlohmann::ordered_json clean = fields.is_array() ? nlohmann::ordered_json::array()
                                                   : nlohmann::ordered_json::object();
  if (fields.is_array()) {
    for (const auto& value : fields) clean.push_back(in_fields(value));
  } else {
    for (const auto& [key, value] : fields.items()) clean[in_text(key)] = in_fields(value);
  }
  return clean;
}

}  // namespace spillway
