#include "src/log_sink.h"

#include <fcntl.h>
#include <sys/uio.h>
#include <syslog.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <string_view>
#include <utility>

namespace spillway {
namespace {

constexpr const char* kJournalSocket = "/run/systemd/journal/socket";

int open_log(const std::string& name) {
  return ::open(name.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
}

// Whether all of it was written. What can't be written is lost: a log has nobody to tell.
bool write_all(int descriptor, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto count = ::write(descriptor, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

class DescriptorSink final : public LogSink {
 public:
  // With an empty name the descriptor is not ours to open again or to close.
  DescriptorSink(int descriptor, std::string name)
      : descriptor_(descriptor), name_(std::move(name)) {}
  ~DescriptorSink() override {
    if (!name_.empty()) ::close(descriptor_);
  }
  DescriptorSink(const DescriptorSink&) = delete;
  DescriptorSink& operator=(const DescriptorSink&) = delete;

  void log(const spdlog::details::log_msg& message) override {
    std::string line;
    line.reserve(message.payload.size() + 2);
    // After a full disk the file may end within a line, which this one must not become a part of.
    if (cut_.exchange(false)) line += '\n';
    line.append(message.payload.data(), message.payload.size());
    line += '\n';
    if (!write_all(descriptor_, line)) cut_ = true;
  }

  // dup3() exchanges the file beneath the number at once: writers need no lock.
  Result<> reopen() override {
    if (name_.empty()) return {};
    const int fresh = open_log(name_);
    if (fresh < 0) return fail_errno(errno, name_);
    const int exchanged = ::dup3(fresh, descriptor_, O_CLOEXEC);
    const int reason = errno;
    ::close(fresh);
    if (exchanged < 0) return fail_errno(reason, name_);
    cut_ = false;
    return {};
  }

 private:
  const int descriptor_;
  const std::string name_;
  std::atomic<bool> cut_ = false;
};

class JournalSink final : public LogSink {
 public:
  void log(const spdlog::details::log_msg& message) override {
    std::string text("MESSAGE=");
    text.append(message.payload.data(), message.payload.size());
    std::string priority = "PRIORITY=" + std::to_string(priority_of(message.level));
    std::string identifier("SYSLOG_IDENTIFIER=spillway");
    const std::array fields{to_field(text), to_field(priority), to_field(identifier)};
    ::sd_journal_sendv(fields.data(), static_cast<int>(fields.size()));
  }
  Result<> reopen() override { return {}; }

 private:
  static iovec to_field(std::string& text) { return {text.data(), text.size()}; }
  static int priority_of(spdlog::level::level_enum level) {
    switch (level) {
      case spdlog::level::err: return LOG_ERR;
      case spdlog::level::warn: return LOG_WARNING;
      case spdlog::level::info: return LOG_INFO;
      default: return LOG_DEBUG;
    }
  }
};

}  // namespace

Result<std::shared_ptr<LogSink>> open_file_sink(const std::string& name) {
  const int descriptor = open_log(name);
  if (descriptor < 0) return fail_errno(errno, name);
  return std::make_shared<DescriptorSink>(descriptor, name);
}

std::shared_ptr<LogSink> make_stderr_sink() {
  return std::make_shared<DescriptorSink>(STDERR_FILENO, "");
}

std::shared_ptr<LogSink> make_journal_sink() { return std::make_shared<JournalSink>(); }

bool journal_listens() { return ::access(kJournalSocket, W_OK) == 0; }

}  // namespace spillway
