// A server that does to each connection whatever the test says, byte by byte.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace spillway::s3::testing {

// The server's end of a connection.
class Peer {
 public:
  explicit Peer(int socket) : socket_(socket) {}
  ~Peer() { close(); }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  // Up to the empty line; "" when the client has gone.
  std::string read_head() {
    std::string head;
    char character = 0;
    while (!head.ends_with("\r\n\r\n")) {
      if (::recv(socket_, &character, 1, 0) != 1) return "";
      head += character;
    }
    return head;
  }

  std::string read_body(std::size_t size) {
    std::string body(size, '\0');
    const auto count = ::recv(socket_, body.data(), size, MSG_WAITALL);
    body.resize(count < 0 ? 0 : static_cast<std::size_t>(count));
    return body;
  }

  // false when the client has gone.
  bool write(std::string_view text) {
    return ::send(socket_, text.data(), text.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(text.size());
  }

  // Until the client closes, or the server stops.
  void wait_for_end() { static_cast<void>(read_body(1)); }

  void close() {
    if (socket_ >= 0) ::close(socket_);
    socket_ = -1;
  }

 private:
  int socket_;
};

class RawServer {
 public:
  // `serve` is called for one connection after another, on one thread.
  explicit RawServer(std::function<void(Peer&)> serve) : serve_(std::move(serve)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    ::bind(listener_, reinterpret_cast<sockaddr*>(&address), size);
    ::listen(listener_, 16);
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { run(); });
  }

  ~RawServer() {
    is_stopping_ = true;
    ::shutdown(listener_, SHUT_RDWR);
    if (const int current = current_.load(); current >= 0) ::shutdown(current, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] int connections() const { return connections_; }

 private:
  void run() {
    while (!is_stopping_) {
      const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (socket < 0) return;
      ++connections_;
      current_ = socket;
      Peer peer(socket);
      serve_(peer);
      current_ = -1;
    }
  }

  std::function<void(Peer&)> serve_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<int> connections_ = 0;
  std::atomic<int> current_ = -1;
  std::atomic<bool> is_stopping_ = false;
  std::thread thread_;
};

}  // namespace spillway::s3::testing
