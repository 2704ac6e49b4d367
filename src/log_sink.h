// Where log lines go: three sinks for spdlog. Each takes a finished line and has it out of this
// process when log() returns.
#pragma once

#include <spdlog/sinks/sink.h>

#include <memory>
#include <string>

#include "src/error.h"

namespace spillway {

class LogSink : public spdlog::sinks::sink {
 public:
  // Opens the file again by its name; until that succeeds the old one is written on.
  virtual Result<> reopen() = 0;

  void flush() final {}  // nothing is held back
  void set_pattern(const std::string&) final {}
  void set_formatter(std::unique_ptr<spdlog::formatter>) final {}
};

// Appends to `name`, creating it with mode 0600. Each line is one write(2) to a descriptor opened
// for appending, so that lines of several threads and processes do not mix.
[[nodiscard]] Result<std::shared_ptr<LogSink>> open_file_sink(const std::string& name);

[[nodiscard]] std::shared_ptr<LogSink> make_stderr_sink();

// systemd's journal, with the line as MESSAGE and its level as PRIORITY.
[[nodiscard]] std::shared_ptr<LogSink> make_journal_sink();
[[nodiscard]] bool journal_listens();

}  // namespace spillway
