// One request on a connection and the answer to it, under the faults set for it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "tests/b2sim/faults.h"
#include "tests/b2sim/http.h"
#include "tests/b2sim/transport.h"

namespace b2sim {

struct Traffic {
  std::atomic<std::uint64_t> bytes_in = 0;  // of bodies
  std::atomic<std::uint64_t> bytes_out = 0;
  std::atomic<std::uint64_t> connections = 0;
};

// One thread.
class Exchange {
 public:
  // `early` are bytes of the body that came with the header. A stop ends every wait.
  Exchange(Transport& transport, Request request, std::string early, Traffic& traffic,
           std::stop_token stop);

  [[nodiscard]] const Request& request() const { return request_; }

  // From here on bodies are slowed or cut as `effect` says.
  void arm(const Effect& effect) { effect_ = effect; }
  // The bodies are no traffic that anybody asks for.
  void leave_uncounted() { counted_ = false; }
  void pause(std::chrono::milliseconds time) const;

  // The body's next bytes, at least one; 0 at its end.
  std::size_t read_body(std::span<std::byte> buffer);
  // All of a small body; longer than `limit` is refused.
  std::string read_small_body(std::size_t limit);
  // Once; HEAD leaves the body out. Reads what is left of a request's body first, if it is short.
  void send(Answer answer);
  // Reads up to `bytes` of the body, then resets the connection; throws Disconnected.
  [[noreturn]] void cut_request(std::uint64_t bytes);
  [[noreturn]] void cut();

  // Whether the connection can take another request.
  [[nodiscard]] bool reusable() const { return reusable_; }

 private:
  [[nodiscard]] std::string head_of(const Answer& answer, std::uint64_t length) const;
  void drain_or_give_up();
  void write_body(const Answer& answer, std::uint64_t most);
  void write_slowly(std::span<const std::byte> bytes);
  void write_piece(const Piece& piece, std::uint64_t size);
  void pace(std::size_t bytes) const;
  [[nodiscard]] std::size_t stride(std::size_t wanted) const;

  Transport& transport_;
  Request request_;
  std::string early_;
  std::uint64_t unread_;  // of the request's body
  Traffic& traffic_;
  std::stop_token stop_;
  Effect effect_;
  bool counted_ = true;
  bool continued_ = false;  // 100 Continue was sent
  bool reusable_ = true;
};

}  // namespace b2sim
