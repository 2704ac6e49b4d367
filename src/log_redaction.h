// Keeps secrets out of the log, whatever a value happens to quote.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace spillway {

class Redaction {
 public:
  // Empty secrets are ignored.
  explicit Redaction(const std::vector<std::string>& secrets);

  // Every secret becomes "[redacted]": as it is, percent-encoded (as in URLs), and inside any
  // base64 text that holds it, at whatever offset.
  [[nodiscard]] std::string in_text(std::string_view text) const;

  // The same in every string of `fields`, keys and nested ones too.
  [[nodiscard]] nlohmann::ordered_json in_fields(const nlohmann::ordered_json& fields) const;

 private:
  std::vector<std::string> forms_;  // the longest first: none is cut by a shorter one inside it
};

}  // namespace spillway
