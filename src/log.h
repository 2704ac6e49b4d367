// The log: one structured line an event. A line is written and flushed before event() returns, so
// that an upload's line is there when its close() returns.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "src/clock.h"
#include "src/error.h"

namespace spillway {

enum class Level : std::uint8_t { debug, info, warning, error };
[[nodiscard]] std::string_view to_string(Level level);

// In the order in which they were added.
using Fields = nlohmann::ordered_json;

class Log {
 public:
  virtual ~Log() = default;
  // Any thread. `fields` is an object; its string values may hold any bytes (file names do): they
  // are escaped so that no value can forge a line or move a terminal's cursor.
  virtual void event(Level level, std::string_view event, Fields fields = Fields::object()) = 0;
  // Opens the file again by its name (log rotation). Does nothing for other sinks.
  virtual void reopen() = 0;
};

enum class LogFormat : std::uint8_t { json, text };

struct LogSettings {
  // "" chooses: stderr when `foreground`, else the journal where one listens, else
  // /var/log/spillway.log (root) or $XDG_STATE_HOME/spillway/spillway.log.
  std::string file;
  LogFormat format = LogFormat::json;
  Level level = Level::info;
  enum class Sink : std::uint8_t { foreground, background } sink = Sink::foreground;
  // Values that are replaced by "[redacted]" wherever they occur in a line: the secret key.
  std::vector<std::string> secrets;
};

// local_error where the file can't be opened.
[[nodiscard]] Result<std::unique_ptr<Log>> make_log(const LogSettings& settings,
                                                    const Clock& clock);
// Forgets everything; for callers that need a Log and have none.
[[nodiscard]] Log& no_log();

// One line of the given format without the newline; pure, so that it can be tested by itself.
[[nodiscard]] std::string format_line(LogFormat format, WallTime time, Level level,
                                      std::string_view event, const Fields& fields);

}  // namespace spillway
