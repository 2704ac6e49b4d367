#include "s3/answer_reader.h"

#include <algorithm>
#include <charconv>

namespace spillway::s3 {
namespace {

// Reading an error's body to its end saves the connection; beyond this it is not worth it.
constexpr std::size_t kMostDropped = 1024 * 1024;

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::string_view without_line_end(std::string_view line) {
  if (line.ends_with('\n')) line.remove_suffix(1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

bool is_name_character(char character) {
  constexpr std::string_view kOthers = "!#$%&'*+-.^_`|~";
  return (character >= '0' && character <= '9') || (character >= 'a' && character <= 'z') ||
         (character >= 'A' && character <= 'Z') || kOthers.contains(character);
}

bool is_forbidden(char character) {
  return character == '\r' || character == '\n' || character == '\0';
}

}  // namespace

bool AnswerReader::is_success() const {
  return response_.status >= 200 && response_.status < 300;
}

bool AnswerReader::take_line(std::string_view line) {
  head_size_ += line.size();
  if (head_size_ > kHeaderLimit) return stop(FailureKind::malformed, "the headers are too large");
  line = without_line_end(line);
  if (has_head_) return true;
  if (line.starts_with("HTTP/")) return start(line);
  if (line.empty()) return finish_head();
  return add_field(line);
}

bool AnswerReader::take_body(std::span<const std::byte> bytes) {
  if (!has_head_) return stop(FailureKind::malformed, "a body without a head");
  if (!is_success()) return collect_some(bytes);
  if (!request_.sink) return collect(bytes);
  if (const auto taken = request_.sink(bytes); !taken) {
    return stop(FailureKind::refused, taken.error().detail);
  }
  return true;
}

bool AnswerReader::stop(FailureKind kind, std::string_view detail) {
  failure_ = HttpFailure{kind, std::string(detail), true};
  return false;
}

bool AnswerReader::start(std::string_view status_line) {
  response_ = HttpResponse{};
  const auto space = status_line.find(' ');
  if (space == status_line.npos || status_line.size() < space + 4) {
    return stop(FailureKind::malformed, "the status line is malformed");
  }
  const char* const digits = status_line.data() + space + 1;
  const auto [end, problem] = std::from_chars(digits, digits + 3, response_.status);
  if (problem != std::errc{} || end != digits + 3 || response_.status < 100) {
    return stop(FailureKind::malformed, "the status line is malformed");
  }
  return true;
}

bool AnswerReader::add_field(std::string_view line) {
  const auto colon = line.find(':');
  // A name that is none also catches the obsolete folding of lines, which begins with a space.
  if (colon == line.npos || colon == 0 ||
      !std::ranges::all_of(line.substr(0, colon), is_name_character)) {
    return stop(FailureKind::malformed, "a header line is malformed");
  }
  const auto value = trimmed(line.substr(colon + 1));
  if (std::ranges::any_of(value, is_forbidden)) {
    return stop(FailureKind::malformed, "a header value has control characters");
  }
  response_.headers.add(std::string(line.substr(0, colon)), std::string(value));
  return true;
}

bool AnswerReader::finish_head() {
  if (response_.status < 200) return true;  // 1xx: the answer is still to come
  has_head_ = true;
  if (!is_success() || !request_.accept) return true;
  if (const auto accepted = request_.accept(response_); !accepted) {
    return stop(FailureKind::refused, accepted.error().detail);
  }
  return true;
}

bool AnswerReader::collect(std::span<const std::byte> bytes) {
  if (bytes.size() > request_.body_limit - std::min(request_.body_limit, response_.body.size())) {
    return stop(FailureKind::too_long, "the body is longer than it may be");
  }
  response_.body.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return true;
}

bool AnswerReader::collect_some(std::span<const std::byte> bytes) {
  const auto kept = std::min(bytes.size(), kErrorBodyLimit - response_.body.size());
  response_.body.append(reinterpret_cast<const char*>(bytes.data()), kept);
  dropped_ += bytes.size() - kept;
  return dropped_ <= kMostDropped;
}

}  // namespace spillway::s3
