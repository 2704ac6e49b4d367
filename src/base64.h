// Base64 as of RFC 4648, section 4: with padding, without line breaks.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace spillway {

[[nodiscard]] std::string to_base64(std::string_view bytes);

// nullopt for anything to_base64() would not have written.
[[nodiscard]] std::optional<std::string> from_base64(std::string_view text);

}  // namespace spillway
