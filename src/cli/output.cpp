#include "src/cli/output.h"

#include <spdlog/fmt/fmt.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "src/utf8.h"

namespace spillway::cli {
namespace {

bool moves_the_cursor(char32_t code) {
  const bool control = code < 0x20 || (code >= 0x7f && code < 0xa0);
  const bool line_break = code == 0x2028 || code == 0x2029;
  const bool direction = code == 0x61c || code == 0x200e || code == 0x200f ||
                         (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
  return control || line_break || direction;
}

void append_escaped(std::string& out, std::string_view bytes) {
  for (const char byte : bytes) out += fmt::format("\\x{:02x}", static_cast<unsigned char>(byte));
}

// Columns a terminal uses: one a character is close enough for a table of names.
std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(
      text, [](char byte) { return (static_cast<unsigned char>(byte) & 0xc0U) != 0x80; }));
}

std::size_t columns_of_terminal() {
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

void write_flushed(std::FILE* stream, std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stream);
  std::fflush(stream);
}

}  // namespace

std::string printable(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const Utf8Character character = first_character(text);
    const std::size_t size = std::max<std::size_t>(character.size, 1);
    const std::string_view bytes = text.substr(0, size);
    if (character.size == 0 || moves_the_cursor(character.code)) {
      append_escaped(out, bytes);
    } else {
      if (bytes == "\\") out += '\\';
      out += bytes;
    }
    text.remove_prefix(size);
  }
  return out;
}

std::string readable_size(std::uint64_t bytes) {
  constexpr std::array kUnits{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes < 1024) return fmt::format("{} B", bytes);
  double value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  for (; value >= 1024 && unit + 1 < kUnits.size(); ++unit) value /= 1024;
  return fmt::format("{:.1f} {}", value, kUnits.at(unit));
}

std::string readable_seconds(std::uint64_t seconds) {
  if (seconds < 60) return fmt::format("{} s", seconds);
  if (seconds < 3600) return fmt::format("{} min {} s", seconds / 60, seconds % 60);
  if (seconds < 86'400) return fmt::format("{} h {} min", seconds / 3600, seconds % 3600 / 60);
  return fmt::format("{} d {} h", seconds / 86'400, seconds % 86'400 / 3600);
}

std::string progress_bar(std::uint64_t done, std::uint64_t of, std::size_t width) {
  const double share = of == 0 ? 1 : static_cast<double>(done) / static_cast<double>(of);
  const double filled = std::clamp(share, 0.0, 1.0) * static_cast<double>(width);
  const auto full = static_cast<std::size_t>(filled);
  return "[" + std::string(full, '#') + std::string(width - full, '-') + "]";
}

void print_line(std::string_view text) {
  write_flushed(stdout, std::string(text) + "\n");
}

void print_error(std::string_view text) {
  write_flushed(stderr, fmt::format("spillway: {}\n", text));
}

void print_error(std::string_view what, const Error& error) {
  std::string text =
      fmt::format("{}: {}: {}", what, to_string(error.code), printable(error.detail));
  const std::string_view hint = hint_for(error);
  if (!hint.empty()) text += fmt::format("\n  hint: {}", hint);
  print_error(text);
}

Table::Table(std::initializer_list<std::string> titles) : rows_{titles} {}

void Table::add(std::vector<std::string> row) {
  rows_.push_back(std::move(row));
}

void Table::print() const {
  std::vector<std::size_t> widths(rows_.front().size());
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
  }
  for (const auto& row : rows_) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::size_t gap = i + 1 == row.size() ? 0 : widths[i] - width_of(row[i]) + 2;
      line += row[i] + std::string(gap, ' ');
    }
    print_line(line);
  }
}

ProgressLine::ProgressLine() : terminal_(isatty(STDERR_FILENO) == 1) {}

ProgressLine::~ProgressLine() {
  wipe();
}

void ProgressLine::wipe() {
  if (shown_) write_flushed(stderr, "\r\x1b[K");
  shown_ = false;
}

void ProgressLine::show(std::uint64_t done, std::uint64_t of, std::string_view text) {
  constexpr std::size_t kWidest = 40;
  constexpr std::size_t kNarrowest = 10;
  const std::size_t taken = width_of(text) + 4;  // brackets, a blank, and no wrap at the end
  const std::size_t columns = columns_of_terminal();
  const std::size_t room = columns > taken ? columns - taken : 0;
  const std::size_t width = std::min(room, kWidest);
  if (width < kNarrowest) return show(text);
  show(fmt::format("{} {}", progress_bar(done, of, width), text));
}

void ProgressLine::show(std::string_view text) {
  if (!terminal_) return;
  write_flushed(stderr, fmt::format("\r\x1b[K{}", text));
  shown_ = true;
}

}  // namespace spillway::cli
