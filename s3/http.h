// The transport port: one HTTP/1.1 exchange with the configured endpoint. curl_http.cpp implements
// it over libcurl; tests give canned answers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "s3/endpoint.h"
#include "src/clock.h"
#include "src/executor.h"
#include "src/object_store.h"

namespace spillway::s3 {

// Header fields in the order in which they came or go. Names are compared without regard to case.
class Headers {
 public:
  using Field = std::pair<std::string, std::string>;

  Headers() = default;
  Headers(std::initializer_list<Field> fields) : fields_(fields) {}

  void add(std::string name, std::string value);
  // Replaces every field of that name.
  void set(std::string_view name, std::string value);
  void remove(std::string_view name);
  // The first field of that name; nullptr when there is none.
  [[nodiscard]] const std::string* find(std::string_view name) const;
  // The same, or "" when there is none.
  [[nodiscard]] std::string_view get(std::string_view name) const;
  [[nodiscard]] auto begin() const { return fields_.begin(); }
  [[nodiscard]] auto end() const { return fields_.end(); }

 private:
  std::vector<Field> fields_;
};

struct HttpResponse {
  int status = 0;
  Headers headers;
  std::string body;  // of an answer that went to no sink
};

// How an exchange ended without an answer.
enum class FailureKind : std::uint8_t {
  invalid_request,  // a header value with CR, LF or NUL; nothing was sent
  resolve,
  connect,
  certificate,  // can't be verified
  tls,
  connect_timeout,
  stall_timeout,  // no byte in either direction for as long as the settings say
  total_timeout,
  broken,     // reset, closed, shorter than its Content-Length
  malformed,  // not HTTP, headers too large or with forbidden bytes
  too_long,   // a body longer than `body_limit`
  refused,    // `accept` or `sink` gave an error
  cancelled,
};

struct HttpFailure {
  FailureKind kind = FailureKind::broken;
  std::string detail;
  // Whether any byte of the request may have reached the server.
  bool sent = false;
};

struct HttpRequest {
  std::string method = "GET";
  std::string target = "/";  // path and query, encoded; goes out byte for byte
  // Content-Length, Host and User-Agent are the transport's to add.
  Headers headers;
  // The pieces must stay valid and unchanged until send() returns.
  std::span<const std::span<const std::byte>> body;

  // Of a 2xx answer only. `accept` sees status and headers once, before the first byte of the body;
  // `sink` takes the body as it arrives. Both are called on the caller's thread. Without a sink the
  // body is collected in HttpResponse::body.
  std::function<Result<>(const HttpResponse&)> accept;
  ByteSink sink;

  // A collected body of a 2xx answer longer than this is a failure. Of other answers the first
  // kErrorBodyLimit bytes are kept: the status counts, whatever the body is.
  std::size_t body_limit = 64 * 1024;

  std::optional<Duration> stall;  // in place of the settings' value
  std::optional<Duration> total;  // the whole exchange; none: only stalls end it
  bool fresh_connection = false;
  std::stop_token cancel;
};

inline constexpr std::size_t kErrorBodyLimit = 64 * 1024;
inline constexpr std::size_t kHeaderLimit = 300 * 1000;

class Http {
 public:
  virtual ~Http() = default;

  // Blocks until the exchange is over. Any thread, any number at once. Redirects are answers like
  // others. A server that refuses a body before it has taken it all has answered: its status is
  // returned, not the broken pipe. Where a reset destroys that answer on its way, the exchange is
  // `broken`, and the next uploads begin slowly enough to hear it.
  virtual std::expected<HttpResponse, HttpFailure> send(const HttpRequest& request) = 0;
};

struct HttpSettings {
  Endpoint endpoint;
  // PEM file of the authorities to trust in place of the system's. There is no way to turn the
  // verification off.
  std::string ca_file;
  // "http://host:port"; empty: none. The environment is not asked.
  std::string proxy;
  std::string user_agent;
  Duration connect_timeout = std::chrono::seconds(10);  // name, TCP and TLS together
  Duration stall_timeout = std::chrono::seconds(30);
};

// Over libcurl. Each exchange takes a connection of its own from a pool and gives it back: threads
// never share one. Unsets SSLKEYLOGFILE in this process, whose sessions must not be readable by
// whoever set it; call it before other threads read the environment. `executor` outlives it.
[[nodiscard]] std::unique_ptr<Http> make_curl_http(HttpSettings settings, Executor& executor);

}  // namespace spillway::s3
