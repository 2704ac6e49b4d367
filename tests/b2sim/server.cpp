// The only file with Boost: asio's sockets and TLS, Beast's parser for request headers.
#include "tests/b2sim/server.h"

// Fences are for asio's event loop, which is not run here, and ThreadSanitizer does not know them.
#define BOOST_ASIO_DISABLE_FENCED_BLOCK

#include <poll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <chrono>
#include <limits>
#include <list>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "tests/b2sim/admin.h"
#include "tests/b2sim/exchange.h"
#include "tests/b2sim/refusal.h"
#include "tests/b2sim/service.h"
#include "tests/b2sim/transport.h"

namespace b2sim {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;
using Socket = asio::ip::tcp::socket;
using TlsStream = asio::ssl::stream<Socket&>;

namespace {

constexpr std::uint32_t kLongestHeader = 64 << 10;
constexpr std::size_t kFileBuffer = 256 << 10;
constexpr auto kLinger = std::chrono::seconds(2);

Socket& socket_of(Socket& socket) {
  return socket;
}
Socket& socket_of(TlsStream& stream) {
  return stream.next_layer();
}

template <class Stream>
class StreamTransport : public Transport {
 public:
  explicit StreamTransport(Stream& stream) : stream_(stream) {}

  std::size_t read_some(std::span<std::byte> buffer) override {
    error_code error;
    const std::size_t count = stream_.read_some(asio::buffer(buffer.data(), buffer.size()), error);
    if (error == asio::error::eof) return 0;
    if (error) throw Disconnected();
    return count;
  }

  void write(std::span<const std::byte> bytes) override {
    error_code error;
    asio::write(stream_, asio::buffer(bytes.data(), bytes.size()), error);
    if (error) throw Disconnected();
  }

  void write_file(int descriptor, std::uint64_t offset, std::uint64_t size) override {
    if constexpr (std::is_same_v<Stream, Socket>) {
      send_file(descriptor, offset, size);
    } else {
      copy_file(descriptor, offset, size);
    }
  }

  void reset() noexcept override {
    sockaddr nowhere{};
    nowhere.sa_family = AF_UNSPEC;  // Linux ends the connection with a reset, and keeps the socket
    ::connect(socket_of(stream_).native_handle(), &nowhere, sizeof nowhere);
  }

  bool is_closed() const noexcept override {
    pollfd state{socket_of(stream_).native_handle(), POLLRDHUP, 0};
    return ::poll(&state, 1, 0) > 0;
  }

  void finish() noexcept override {
    error_code ignored;
    Socket& socket = socket_of(stream_);
    socket.shutdown(Socket::shutdown_send, ignored);
    const auto deadline = std::chrono::steady_clock::now() + kLinger;
    std::vector<std::byte> rest(kFileBuffer);
    while (std::chrono::steady_clock::now() < deadline) {
      pollfd waiting{socket.native_handle(), POLLIN, 0};
      if (::poll(&waiting, 1, 100) == 0) continue;
      if (::recv(socket.native_handle(), rest.data(), rest.size(), 0) <= 0) break;
    }
  }

 private:
  void send_file(int descriptor, std::uint64_t offset, std::uint64_t size) {
    auto at = static_cast<off_t>(offset);
    while (size > 0) {
      const ssize_t sent = ::sendfile(socket_of(stream_).native_handle(), descriptor, &at, size);
      if (sent < 0 && errno == EINTR) continue;
      if (sent <= 0) throw Disconnected();
      size -= static_cast<std::uint64_t>(sent);
    }
  }

  void copy_file(int descriptor, std::uint64_t offset, std::uint64_t size) {
    std::vector<std::byte> buffer(kFileBuffer);
    while (size > 0) {
      const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(size, buffer.size()));
      const ssize_t count = ::pread(descriptor, buffer.data(), wanted, static_cast<off_t>(offset));
      if (count <= 0) throw Disconnected();
      write(std::span(buffer).first(static_cast<std::size_t>(count)));
      offset += static_cast<std::uint64_t>(count);
      size -= static_cast<std::uint64_t>(count);
    }
  }

  Stream& stream_;
};

std::string lower(std::string_view text) {
  std::string lowered(text);
  std::ranges::transform(lowered, lowered.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return lowered;
}

std::string to_string(boost::string_view text) {
  return {text.data(), text.size()};
}

Request request_from(const http::request_parser<http::empty_body>& parser) {
  const auto& header = parser.get();
  Request request;
  request.method = to_string(header.method_string());
  request.target = to_string(header.target());
  request.query = parse_query(request.raw_query());
  for (const auto& field : header) {
    request.headers.emplace(lower(to_string(field.name_string())), to_string(field.value()));
  }
  if (const auto length = parser.content_length()) request.content_length = *length;
  request.chunked = parser.chunked();
  request.keep_alive = parser.keep_alive();
  const std::string* expect = request.header("expect");
  request.expects_continue = expect != nullptr && lower(*expect) == "100-continue";
  return request;
}

// Reads one header; nullopt when the other side has no further request. What came with it of the
// body is left in `buffer`.
template <class Stream>
std::optional<Request> read_request(Stream& stream, boost::beast::flat_buffer& buffer) {
  http::request_parser<http::empty_body> parser;
  parser.header_limit(kLongestHeader);
  parser.body_limit(std::numeric_limits<std::uint64_t>::max());
  error_code error;
  http::read_header(stream, buffer, parser, error);
  if (error) return std::nullopt;
  return request_from(parser);
}

std::string take_early_body(boost::beast::flat_buffer& buffer, const Request& request) {
  const auto most = std::min<std::uint64_t>(buffer.size(), request.content_length.value_or(0));
  const auto size = static_cast<std::size_t>(most);
  std::string early(static_cast<const char*>(buffer.data().data()), size);
  buffer.consume(size);
  return early;
}

template <class Stream>
void converse(Stream& stream, Service& service, const std::stop_token& stop) try {
  boost::beast::flat_buffer buffer;
  StreamTransport<Stream> transport(stream);
  bool counted = false;
  while (!stop.stop_requested()) {
    std::optional<Request> request = read_request(stream, buffer);
    if (!request) return;
    if (!counted && !is_admin(*request)) ++service.traffic().connections;
    counted = counted || !is_admin(*request);
    std::string early = take_early_body(buffer, *request);
    Exchange exchange(transport, *std::move(request), std::move(early), service.traffic(), stop);
    service.serve(exchange);
    if (!exchange.reusable()) return;
  }
} catch (const Disconnected&) {
}

class BoostServer : public Server {
 public:
  BoostServer(const ListenOptions& options, Service& service)
      : service_(service), acceptor_(context_, {asio::ip::address_v4::loopback(), options.port}) {
    if (options.certificate_file.empty()) return;
    tls_.emplace(asio::ssl::context::tls_server);
    tls_->use_certificate_chain_file(options.certificate_file);
    tls_->use_private_key_file(options.key_file, asio::ssl::context::pem);
  }

  [[nodiscard]] std::uint16_t port() const override { return acceptor_.local_endpoint().port(); }

  void run() override {
    while (!stopping_) {
      error_code error;
      Socket socket(context_);
      acceptor_.accept(socket, error);
      if (stopping_) break;
      if (!error) begin(std::move(socket));
      reap();
    }
    for (Connection& connection : connections_) end(connection);
    connections_.clear();
  }

  // Wakes accept(): shutting down a listening socket makes it fail.
  void stop() override {
    stopping_ = true;
    ::shutdown(acceptor_.native_handle(), SHUT_RDWR);
  }

 private:
  struct Connection {
    explicit Connection(Socket accepted) : socket(std::move(accepted)) {}
    Socket socket;
    std::mutex mutex;                // held to close the socket, and to shut it down from outside
    std::atomic<bool> done = false;  // closed
    std::jthread thread;
  };

  void begin(Socket socket) {
    error_code ignored;
    socket.set_option(asio::ip::tcp::no_delay(true), ignored);
    Connection& connection = connections_.emplace_back(std::move(socket));
    connection.thread =
        std::jthread([this, &connection](const std::stop_token& stop) { talk(connection, stop); });
  }

  void talk(Connection& connection, const std::stop_token& stop) {
    if (tls_) {
      TlsStream stream(connection.socket, *tls_);
      error_code error;
      stream.handshake(asio::ssl::stream_base::server, error);
      if (!error) converse(stream, service_, stop);
    } else {
      converse(connection.socket, service_, stop);
    }
    const std::lock_guard lock(connection.mutex);
    error_code ignored;
    connection.socket.close(ignored);
    connection.done = true;
  }

  static void end(Connection& connection) {
    connection.thread.request_stop();
    const std::lock_guard lock(connection.mutex);
    if (connection.done) return;
    ::shutdown(connection.socket.native_handle(), SHUT_RDWR);
  }

  void reap() {
    connections_.remove_if([](const Connection& connection) { return connection.done.load(); });
  }

  Service& service_;
  asio::io_context context_;
  asio::ip::tcp::acceptor acceptor_;
  std::optional<asio::ssl::context> tls_;
  std::atomic<bool> stopping_ = false;
  std::list<Connection> connections_;  // of the thread in run()
};

}  // namespace

std::unique_ptr<Server> make_server(const ListenOptions& options, Service& service) {
  return std::make_unique<BoostServer>(options, service);
}

}  // namespace b2sim
