#include <algorithm>
#include <spdlog/fmt/fmt.h>

#include "src/log.h"
#include "src/utf8.h"

namespace spillway {
namespace {

// Of the source's bytes; the longest path has 1,024.
constexpr std::size_t kLongestValue = 4'096;
constexpr std::string_view kLevels[] = {"debug", "info", "warning", "error"};
constexpr std::string_view kCapitals[] = {"DEBUG", "INFO", "WARNING", "ERROR"};

// Marks that turn the direction of what a terminal shows after them, and line separators.
bool is_deceptive(char32_t code) {
  return code == 0x061c || code == 0x200e || code == 0x200f || (code >= 0x2028 && code <= 0x202e) ||
         (code >= 0x2066 && code <= 0x2069) || code == 0xfeff;
}

bool is_control(char32_t code) { return code < 0x20 || (code >= 0x7f && code < 0xa0); }

void append_escaped(std::string& out, std::string_view character, char32_t code) {
  switch (code) {
    case '"': out += "\\\""; return;
    case '\\': out += "\\\\"; return;
    case '\n': out += "\\n"; return;
    case '\r': out += "\\r"; return;
    case '\t': out += "\\t"; return;
    default: break;
  }
  if (is_control(code) || is_deceptive(code)) {
    out += fmt::format("\\u{:04x}", static_cast<unsigned>(code));
  } else {
    out += character;
  }
}

// As a JSON string. A byte that is not UTF-8 has no place in JSON: it is shown as the text "\xff".
void append_string(std::string& out, std::string_view text) {
  const std::size_t whole = text.size();
  std::size_t taken = 0;
  out += '"';
  while (!text.empty()) {
    const auto character = first_character(text);
    const std::size_t size = std::max<std::size_t>(character.size, 1);
    if (taken + size > kLongestValue) {
      out += fmt::format("… ({} bytes)", whole);
      break;
    }
    if (character.size == 0) {
      out += fmt::format("\\\\x{:02x}", static_cast<unsigned char>(text.front()));
    } else {
      append_escaped(out, text.substr(0, size), character.code);
    }
    taken += size;
    text.remove_prefix(size);
  }
  out += '"';
}

void append_value(std::string& out, const Fields& value);

void append_object(std::string& out, const Fields& object) {
  std::string_view separator = "{";
  for (const auto& [key, value] : object.items()) {
    out += std::exchange(separator, ",");
    append_string(out, key);
    out += ':';
    append_value(out, value);
  }
  out += object.empty() ? "{}" : "}";
}

void append_array(std::string& out, const Fields& array) {
  std::string_view separator = "[";
  for (const auto& value : array) {
    out += std::exchange(separator, ",");
    append_value(out, value);
  }
  out += array.empty() ? "[]" : "]";
}

void append_value(std::string& out, const Fields& value) {
  if (value.is_string()) {
    append_string(out, value.get_ref<const std::string&>());
  } else if (value.is_object()) {
    append_object(out, value);
  } else if (value.is_array()) {
    append_array(out, value);
  } else {
    out += value.dump();
  }
}

// Whether a word can stand in the text format without quotes and be told from its neighbours.
bool is_plain(std::string_view word) {
  return !word.empty() && word.size() <= kLongestValue && std::ranges::all_of(word, [](char c) {
    return c > ' ' && c <= '~' && c != '"' && c != '\\' && c != '=';
  });
}

void append_word(std::string& out, std::string_view word) {
  if (is_plain(word)) {
    out += word;
  } else {
    append_string(out, word);
  }
}

// The line's own fields can't be given twice: a reader might believe the second.
bool is_reserved(std::string_view key) { return key == "ts" || key == "level" || key == "event"; }

std::string format_json(WallTime time, Level level, std::string_view event, const Fields& fields) {
  std::string line = R"({"ts":")" + to_rfc3339(time) + R"(","level":")";
  line += to_string(level);
  line += R"(","event":)";
  append_string(line, event);
  for (const auto& [key, value] : fields.items()) {
    if (is_reserved(key)) continue;
    line += ',';
    append_string(line, key);
    line += ':';
    append_value(line, value);
  }
  return line + "}";
}

std::string format_text(WallTime time, Level level, std::string_view event, const Fields& fields) {
  std::string line = to_rfc3339(time) + " ";
  line += kCapitals[static_cast<std::size_t>(level)];
  line += ' ';
  append_word(line, event);
  for (const auto& [key, value] : fields.items()) {
    if (is_reserved(key)) continue;
    line += ' ';
    append_word(line, key);
    line += '=';
    if (value.is_string()) {
      append_word(line, value.get_ref<const std::string&>());
    } else {
      append_value(line, value);
    }
  }
  return line;
}

}  // namespace

std::string_view to_string(Level level) { return kLevels[static_cast<std::size_t>(level)]; }

std::string format_line(LogFormat format, WallTime time, Level level, std::string_view event,
                        const Fields& fields) {
  static const Fields kNone = Fields::object();
  const Fields& known = fields.is_object() ? fields : kNone;
  return format == LogFormat::json ? format_json(time, level, event, known)
                                   : format_text(time, level, event, known);
}

}  // namespace spillway
