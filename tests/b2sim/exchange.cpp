#include "tests/b2sim/exchange.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "tests/b2sim/digest.h"
#include "tests/b2sim/refusal.h"

namespace b2sim {

namespace {

// A body shorter than this is read to its end after an early answer, so that the connection lives.
constexpr std::uint64_t kWorthDraining = 8 << 20;

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

const char* reason(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 204:
      return "No Content";
    case 206:
      return "Partial Content";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 503:
      return "Service Unavailable";
    default:
      return "Answer";
  }
}

bool bodiless(int status) {
  return status == 204 || status == 304;
}

std::uint64_t body_size(const Answer& answer) {
  std::uint64_t size = answer.body.size();
  for (const Piece& piece : answer.pieces) size += piece.size;
  return size;
}

class OpenFile {
 public:
  explicit OpenFile(const char* path) : descriptor_(::open(path, O_RDONLY | O_CLOEXEC)) {
    if (descriptor_ < 0) throw Disconnected();
  }
  ~OpenFile() { ::close(descriptor_); }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  OpenFile(OpenFile&&) = delete;
  OpenFile& operator=(OpenFile&&) = delete;
  [[nodiscard]] int descriptor() const { return descriptor_; }

 private:
  int descriptor_;
};

}  // namespace

Exchange::Exchange(Transport& transport, Request request, std::string early, Traffic& traffic,
                   std::stop_token stop)
    : transport_(transport),
      request_(std::move(request)),
      early_(std::move(early)),
      unread_(request_.content_length.value_or(0)),
      traffic_(traffic),
      stop_(std::move(stop)),
      reusable_(request_.keep_alive && !request_.chunked) {}

void Exchange::pause(std::chrono::milliseconds time) const {
  if (time <= std::chrono::milliseconds::zero()) return;
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait_for(lock, stop_, time, [] { return false; });
  // What a slow line had not delivered yet is lost with a client that went away.
  if (transport_.is_closed()) throw Disconnected();
}

std::size_t Exchange::stride(std::size_t wanted) const {
  if (effect_.bytes_per_second == 0) return wanted;
  return std::clamp<std::size_t>(effect_.bytes_per_second / 10, 1, wanted);
}

void Exchange::pace(std::size_t bytes) const {
  if (effect_.bytes_per_second == 0) return;
  pause(std::chrono::milliseconds(bytes * 1'000 / effect_.bytes_per_second));
}

std::size_t Exchange::read_body(std::span<std::byte> buffer) {
  if (unread_ == 0) return 0;
  if (request_.expects_continue && !continued_) {
    continued_ = true;
    transport_.write(bytes_of("HTTP/1.1 100 Continue\r\n\r\n"));
  }
  const std::size_t wanted =
      stride(static_cast<std::size_t>(std::min<std::uint64_t>(unread_, buffer.size())));
  std::size_t count = 0;
  if (!early_.empty()) {
    count = std::min(wanted, early_.size());
    std::memcpy(buffer.data(), early_.data(), count);
    early_.erase(0, count);
  } else {
    count = transport_.read_some(buffer.first(wanted));
    if (count == 0) throw Disconnected();
  }
  unread_ -= count;
  if (counted_) traffic_.bytes_in += count;
  pace(count);
  return count;
}

std::string Exchange::read_small_body(std::size_t limit) {
  if (unread_ > limit) throw too_large();
  std::string body(static_cast<std::size_t>(unread_), '\0');
  std::size_t filled = 0;
  while (filled < body.size()) {
    filled += read_body(std::as_writable_bytes(std::span(body)).subspan(filled));
  }
  return body;
}

void Exchange::cut() {
  reusable_ = false;
  transport_.reset();
  throw Disconnected();
}

void Exchange::cut_request(std::uint64_t bytes) {
  std::array<std::byte, 16'384> buffer{};
  while (bytes > 0) {
    const auto most = static_cast<std::size_t>(std::min<std::uint64_t>(bytes, buffer.size()));
    const std::size_t count = read_body(std::span(buffer).first(most));
    if (count == 0) break;
    bytes -= count;
  }
  cut();
}

void Exchange::drain_or_give_up() {
  if (unread_ == 0) return;
  if (unread_ > kWorthDraining || (request_.expects_continue && !continued_)) {
    reusable_ = false;
    return;
  }
  std::array<std::byte, 16'384> buffer{};
  while (read_body(buffer) > 0) {
  }
}

std::string Exchange::head_of(const Answer& answer, std::uint64_t length) const {
  std::string head = "HTTP/1.1 " + std::to_string(answer.status) + " " + reason(answer.status) +
                     "\r\nServer: b2sim\r\n";
  const auto now = std::chrono::system_clock::now() + effect_.clock_skew;
  head += "Date: " + http_date(std::chrono::system_clock::to_time_t(now)) + "\r\n";
  head += "x-amz-request-id: " + random_hex(8) + "\r\n";
  head += "x-amz-id-2: " + to_base64(random_hex(24)) + "\r\n";
  for (const auto& [name, value] : answer.headers) head += name + ": " + value + "\r\n";
  if (!bodiless(answer.status)) head += "Content-Length: " + std::to_string(length) + "\r\n";
  if (!reusable_) head += "Connection: close\r\n";
  return head + "\r\n";
}

void Exchange::send(Answer answer) {
  drain_or_give_up();
  std::uint64_t length = body_size(answer);
  if (request_.method == "HEAD") {
    length = answer.length_of_head.value_or(0);
    answer.body.clear();
    answer.pieces.clear();
  }
  std::string head = head_of(answer, length);
  const bool cutting = effect_.cut == CutPlace::response;
  const std::uint64_t size = body_size(answer);
  if (cutting && size == 0) {
    transport_.write(bytes_of(head).first(head.size() / 2));
    cut();
  }
  if (size == answer.body.size() && !cutting) {
    head += answer.body;
    if (counted_) traffic_.bytes_out += size;
    write_slowly(bytes_of(head));
  } else {
    transport_.write(bytes_of(head));
    write_body(answer, cutting ? std::min(effect_.cut_after, size - 1) : size);
  }
  if (cutting) cut();
  if (!reusable_) transport_.finish();
}

void Exchange::write_body(const Answer& answer, std::uint64_t most) {
  if (counted_) traffic_.bytes_out += most;
  if (!answer.body.empty()) {
    write_slowly(bytes_of(answer.body).first(static_cast<std::size_t>(most)));
    return;
  }
  for (const Piece& piece : answer.pieces) {
    const std::uint64_t size = std::min(piece.size, most);
    if (size > 0) write_piece(piece, size);
    most -= size;
  }
}

void Exchange::write_slowly(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const std::size_t count = stride(bytes.size());
    transport_.write(bytes.first(count));
    bytes = bytes.subspan(count);
    pace(count);
  }
}

void Exchange::write_piece(const Piece& piece, std::uint64_t size) {
  const OpenFile file(piece.blob->path().c_str());
  std::uint64_t sent = 0;
  while (sent < size) {
    const std::size_t count = stride(static_cast<std::size_t>(size - sent));
    transport_.write_file(file.descriptor(), piece.offset + sent, count);
    sent += count;
    pace(count);
  }
}

}  // namespace b2sim
