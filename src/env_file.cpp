#include "src/env_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <utility>

extern char** environ;  // NOLINT(readability-redundant-declaration): POSIX names no header

namespace spillway {
namespace {

constexpr std::string_view kBlank = " \t";
constexpr std::size_t kLargestFile = 65'536;

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

bool is_name(std::string_view name) {
  const auto is_letter = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
  };
  return !name.empty() && is_letter(name.front()) && std::ranges::all_of(name, [&](char c) {
    return is_letter(c) || (c >= '0' && c <= '9');
  });
}

bool is_rest_of_line(std::string_view text) {
  const auto rest = trimmed(text);
  return rest.empty() || (rest.front() == '#' && rest.size() < text.size());
}

std::optional<std::string> single_quoted(std::string_view text) {
  const auto end = text.find('\'', 1);
  if (end == std::string_view::npos || !is_rest_of_line(text.substr(end + 1))) return std::nullopt;
  return std::string(text.substr(1, end - 1));
}

std::optional<std::string> double_quoted(std::string_view text) {
  std::string value;
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '"') {
      if (!is_rest_of_line(text.substr(i + 1))) return std::nullopt;
      return value;
    }
    const bool escape = text[i] == '\\' && i + 1 < text.size() &&
                        std::string_view("\"\\$`").contains(text[i + 1]);
    if (escape) ++i;
    value += text[i];
  }
  return std::nullopt;
}

std::string unquoted(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '#' && (i == 0 || kBlank.contains(text[i - 1]))) {
      return std::string(trimmed(text.substr(0, i)));
    }
  }
  return std::string(trimmed(text));
}

std::optional<std::string> parse_value(std::string_view text) {
  if (text.contains('\0')) return std::nullopt;
  // Before the white space is cut: in `KEY= # comment` the '#' follows a blank.
  const auto start = trimmed(text);
  if (start.starts_with('\'')) return single_quoted(start);
  if (start.starts_with('"')) return double_quoted(start);
  return unquoted(text);
}

enum class LineKind : std::uint8_t { nothing, assignment, malformed };

LineKind parse_line(std::string_view line, Environment& environment) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  line = trimmed(line);
  if (line.empty() || line.front() == '#') return LineKind::nothing;
  if (line.starts_with("export ") || line.starts_with("export\t")) line = trimmed(line.substr(7));
  const auto equals = line.find('=');
  if (equals == std::string_view::npos) return LineKind::malformed;
  const auto name = line.substr(0, equals);
  auto value = parse_value(line.substr(equals + 1));
  if (!is_name(name) || !value) return LineKind::malformed;
  environment.insert_or_assign(std::string(name), *std::move(value));
  return LineKind::assignment;
}

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int number() const { return number_; }

 private:
  int number_;
};

Result<> check_privacy(const Descriptor& file, const std::string& name) {
  struct stat status {};
  if (::fstat(file.number(), &status) != 0) return fail_errno(errno, name);
  if ((status.st_mode & 077U) != 0) {
    return fail(ErrorCode::not_permitted,
                name + ": others can read or write it; make it private with chmod 600");
  }
  if (status.st_uid != 0 && status.st_uid != ::geteuid()) {
    return fail(ErrorCode::not_permitted, name + ": belongs to another user");
  }
  return {};
}

Result<std::string> read_all(const Descriptor& file, const std::string& name) {
  std::string text;
  std::array<char, 4'096> block{};
  while (text.size() <= kLargestFile) {
    const auto got = ::read(file.number(), block.data(), block.size());
    if (got == 0) return text;
    if (got < 0 && errno != EINTR) return fail_errno(errno, name);
    if (got > 0) text.append(block.data(), static_cast<std::size_t>(got));
  }
  return fail(ErrorCode::invalid_argument, name + ": larger than 64 KiB");
}

}  // namespace

Environment process_environment() {
  Environment environment;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const auto equals = text.find('=');
    if (equals == std::string_view::npos) continue;
    environment.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return environment;
}

Result<Environment> parse_env_file(std::string_view text) {
  Environment environment;
  std::string malformed;
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  for (int number = 1; !text.empty(); ++number) {
    const auto end = std::min(text.find('\n'), text.size());
    if (parse_line(text.substr(0, end), environment) == LineKind::malformed) {
      malformed += (malformed.empty() ? "" : ", ") + std::to_string(number);
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  if (malformed.empty()) return environment;
  return fail(ErrorCode::invalid_argument, "not KEY=VALUE in line " + malformed);
}

Environment merged(const Environment& file, const Environment& real) {
  Environment both = real;
  both.insert(file.begin(), file.end());
  return both;
}

Result<Environment> read_env_file(const std::string& name) {
  const Descriptor file(::open(name.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (file.number() < 0) return fail_errno(errno, name);
  TRY(check_privacy(file, name));
  auto environment = parse_env_file(TRY(read_all(file, name)));
  if (environment.ok()) return environment;
  return fail(environment.error().code, name + ": " + environment.error().detail);
}

}  // namespace spillway
