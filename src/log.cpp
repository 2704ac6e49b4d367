#include "src/log.h"

#include <spdlog/logger.h>
#include <unistd.h>

#include <filesystem>
#include <utility>

#include "src/env_file.h"
#include "src/log_redaction.h"
#include "src/log_sink.h"

namespace spillway {
namespace {

spdlog::level::level_enum to_spdlog(Level level) {
  switch (level) {
    case Level::debug: return spdlog::level::debug;
    case Level::info: return spdlog::level::info;
    case Level::warning: return spdlog::level::warn;
    case Level::error: return spdlog::level::err;
  }
  return spdlog::level::info;
}

class LineLog final : public Log {
 public:
  LineLog(const LogSettings& settings, const Clock& clock, std::shared_ptr<LogSink> sink)
      : format_(settings.format),
        clock_(clock),
        redaction_(settings.secrets),
        sink_(std::move(sink)),
        logger_("spillway", sink_) {
    logger_.set_level(to_spdlog(settings.level));
  }

  void event(Level level, std::string_view event, Fields fields) override {
    const auto severity = to_spdlog(level);
    if (!logger_.should_log(severity)) return;
    const auto line = format_line(format_, clock_.wall(), level, redaction_.in_text(event),
                                  redaction_.in_fields(fields));
    // As a string_view: a line is never read as a format.
    logger_.log(severity, spdlog::string_view_t(line.data(), line.size()));
  }

  void reopen() override {
    const auto outcome = sink_->reopen();
    if (!outcome.ok()) {
      event(Level::error, "log_not_reopened", {{"detail", outcome.error().detail}});
    }
  }

 private:
  const LogFormat format_;
  const Clock& clock_;
  const Redaction redaction_;
  const std::shared_ptr<LogSink> sink_;
  spdlog::logger logger_;
};

class NoLog final : public Log {
 public:
  void event(Level, std::string_view, Fields) override {}
  void reopen() override {}
};

Result<std::string> default_file() {
  if (::geteuid() == 0) return std::string("/var/log/spillway.log");
  const auto environment = process_environment();
  for (const auto& [variable, below] :
       {std::pair("XDG_STATE_HOME", "/spillway"), std::pair("HOME", "/.local/state/spillway")}) {
    const auto directory = environment.find(variable);
    if (directory == environment.end() || !directory->second.starts_with('/')) continue;
    std::error_code error;
    std::filesystem::create_directories(directory->second + below, error);
    if (error) return fail_errno(error.value(), directory->second + below);
    return directory->second + below + "/spillway.log";
  }
  return fail(ErrorCode::local_error, "no place for the log: HOME is not set, give --log-file");
}

Result<std::shared_ptr<LogSink>> open_sink(const LogSettings& settings) {
  if (!settings.file.empty()) {
    // The daemon leaves the directory it was started in, and opens the file again by its name.
    std::error_code error;
    const auto absolute = std::filesystem::absolute(settings.file, error);
    if (error) return fail_errno(error.value(), settings.file);
    return open_file_sink(absolute.string());
  }
  if (settings.sink == LogSettings::Sink::foreground) return make_stderr_sink();
  if (journal_listens()) return make_journal_sink();
  return open_file_sink(TRY(default_file()));
}

}  // namespace

Result<std::unique_ptr<Log>> make_log(const LogSettings& settings, const Clock& clock) {
  return std::make_unique<LineLog>(settings, clock, TRY(open_sink(settings)));
}

Log& no_log() {
  static NoLog log;
  return log;
}

}  // namespace spillway
