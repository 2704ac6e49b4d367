// Reading text that may be anything: file names, values from a bucket, messages of a server.
#pragma once

#include <cstddef>
#include <string_view>

namespace spillway {

struct Utf8Character {
  char32_t code = 0;
  std::size_t size = 0;  // bytes it took; 0: what comes first is not UTF-8
};

// The first character of `text`, which must not be empty. Strict: no overlong forms, no
// surrogates, nothing above U+10FFFF.
[[nodiscard]] Utf8Character first_character(std::string_view text);

[[nodiscard]] bool is_utf8(std::string_view text);

}  // namespace spillway
