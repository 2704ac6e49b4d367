// How the commands speak: one place decides what is safe to print and when a line may move.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "src/error.h"

namespace spillway::cli {

// `text` as one line that moves no cursor: control characters, DEL, bidirectional marks and bytes
// that are not UTF-8 become \xNN, a backslash is doubled. For names, which may hold any bytes.
[[nodiscard]] std::string printable(std::string_view text);

// "17 B", "1.5 MiB"
[[nodiscard]] std::string readable_size(std::uint64_t bytes);
// "45 s", "3 min 20 s", "2 d 4 h"
[[nodiscard]] std::string readable_seconds(std::uint64_t seconds);

// To stdout, with a newline, flushed.
void print_line(std::string_view text);
// To stderr, after the program's name.
void print_error(std::string_view text);
// The error as a person wants it: what failed, code, detail, hint.
void print_error(std::string_view what, const Error& error);

// Columns as wide as their widest cell; cells are printed as they are, so pass printable() text.
class Table {
 public:
  explicit Table(std::initializer_list<std::string> titles);
  void add(std::vector<std::string> row);
  void print() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

// "[####----]", `width` columns between the brackets; full when there is nothing to do.
[[nodiscard]] std::string progress_bar(std::uint64_t done, std::uint64_t of, std::size_t width);

// One line on stderr that is written over; nothing at all where stderr is no terminal.
class ProgressLine {
 public:
  ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  ~ProgressLine();  // wipes the line
  [[nodiscard]] bool is_seen() const { return terminal_; }
  void show(std::string_view text);
  // A bar, and the text beside it.
  void show(std::uint64_t done, std::uint64_t of, std::string_view text);
  // Before anything else is printed.
  void wipe();

 private:
  bool terminal_;
  bool shown_ = false;
};

}  // namespace spillway::cli
