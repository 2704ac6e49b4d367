#include <curl/curl.h>
#include <stdlib.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <new>
#include <vector>

#include "s3/answer_reader.h"
#include "s3/body_source.h"
#include "s3/http.h"
#include "s3/sockets.h"
#include "s3/stall_watch.h"
#include "src/guarded.h"

namespace spillway::s3 {
namespace {

namespace fs = std::filesystem;

constexpr long kBulkBuffer = 512 * 1024;
constexpr long kSmallBuffer = 64 * 1024;
constexpr std::size_t kMostIdle = 64;
// Less than the minute after which servers and NAT boxes commonly forget an idle connection.
constexpr long kOldestIdleSeconds = 50;

void set_up_curl() {
  static const CURLcode once = [] {
    // curl reads it when it is set up, and would write every session's keys to that file.
    ::unsetenv("SSLKEYLOGFILE");
    return curl_global_init(CURL_GLOBAL_DEFAULT);
  }();
  if (once != CURLE_OK) std::abort();
}

// Whether OpenSSL can look certificates up by hash in the directory, one file at a time. That takes
// about a millisecond a connection; parsing the whole bundle takes thirty.
bool is_hashed_directory(const fs::path& directory) {
  std::error_code problem;
  for (fs::directory_iterator entry(directory, problem), end; !problem && entry != end;
       entry.increment(problem)) {
    const std::string name = entry->path().filename().string();
    if (name.size() == 10 && name.ends_with(".0") &&
        name.find_first_not_of("0123456789abcdef") == 8) {
      return true;
    }
  }
  return false;
}

std::string authorities_directory() {
  constexpr const char* kDirectory = "/etc/ssl/certs";
  return is_hashed_directory(kDirectory) ? kDirectory : "";
}

template <auto Free>
struct Deleter {
  template <class Handle>
  void operator()(Handle* handle) const {
    Free(handle);
  }
};
using Easy = std::unique_ptr<CURL, Deleter<curl_easy_cleanup>>;
using Multi = std::unique_ptr<CURLM, Deleter<curl_multi_cleanup>>;
using HeaderList = std::unique_ptr<curl_slist, Deleter<curl_slist_free_all>>;

void append(HeaderList& list, const std::string& line) {
  curl_slist* const longer = curl_slist_append(list.get(), line.c_str());
  if (longer == nullptr) throw std::bad_alloc();
  static_cast<void>(list.release());
  list.reset(longer);
}

bool has_control_byte(std::string_view text) {
  return std::ranges::any_of(text, [](char character) {
    return character == '\r' || character == '\n' || character == '\0';
  });
}

bool is_sendable(const HttpRequest& request) {
  const auto is_graphic = [](char character) { return character > 0x20 && character < 0x7f; };
  if (!request.target.starts_with('/') || !std::ranges::all_of(request.target, is_graphic)) {
    return false;
  }
  return std::ranges::none_of(request.headers, [](const Headers::Field& field) {
    return field.first.empty() || has_control_byte(field.first) || has_control_byte(field.second);
  });
}

HeaderList header_list(const Headers& headers) {
  HeaderList list;
  // Without a value these stop curl from adding its own.
  append(list, "Expect:");
  append(list, "Accept:");
  for (const auto& [name, value] : headers) {
    // "Name:" would be dropped: a header with an empty value is written with a semicolon.
    append(list, value.empty() ? name + ';' : name + ": " + value);
  }
  return list;
}

// How a body goes out. A server that refuses an upload early and closes resets the connection, and
// the reset can overtake its answer: all that is seen is a broken pipe. After such an end the next
// upload begins in steps, and listens after each of them (some servers answer the head, others not
// before they have seen some of the body).
enum class Pace : std::uint8_t { full, cautious };
constexpr int kCautiousSteps = 16;
constexpr std::size_t kStepSize = 64 * 1024;
constexpr Duration kStepTime = std::chrono::milliseconds(20);

// One exchange, as curl's callbacks see it.
struct Exchange {
  Exchange(const HttpRequest& sent, Pace pace)
      : request(sent),
        source(sent.body),
        reader(sent),
        headers(header_list(sent.headers)),
        steps_left(pace == Pace::cautious && source.size() > 0 ? kCautiousSteps : 0),
        is_held(steps_left > 0) {}

  const HttpRequest& request;
  BodySource source;
  AnswerReader reader;
  HeaderList headers;
  int steps_left;
  bool is_held;  // the body, until the step is over
  bool is_begun = false;
  std::array<char, CURL_ERROR_SIZE> problem{};
};

std::size_t on_header(char* data, std::size_t size, std::size_t count, void* user) {
  const bool go_on = static_cast<Exchange*>(user)->reader.take_line({data, size * count});
  return go_on ? size * count : 0;
}

std::size_t on_body(char* data, std::size_t size, std::size_t count, void* user) {
  const auto bytes = std::as_bytes(std::span(data, size * count));
  return static_cast<Exchange*>(user)->reader.take_body(bytes) ? bytes.size()
                                                               : CURL_WRITEFUNC_ERROR;
}

std::size_t on_read(char* buffer, std::size_t size, std::size_t count, void* user) {
  auto* const exchange = static_cast<Exchange*>(user);
  const auto room = std::as_writable_bytes(std::span(buffer, size * count));
  if (exchange->is_held) return CURL_READFUNC_PAUSE;
  if (exchange->steps_left == 0) return exchange->source.read(room);
  exchange->is_held = --exchange->steps_left > 0;
  return exchange->source.read(room.first(std::min(room.size(), kStepSize)));
}

// When a kept connection dies before the first byte of an answer, curl begins anew on a fresh one by
// itself. The server may have carried the request out by then: what changes something there is not
// done twice unseen, its failure goes to the caller.
int on_begin(void* user, char*, char*, int, int) {
  auto* const exchange = static_cast<Exchange*>(user);
  const bool only_asks = exchange->request.method == "GET" || exchange->request.method == "HEAD";
  const bool is_again = std::exchange(exchange->is_begun, true);
  return is_again && !only_asks ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

curl_socket_t on_open(void* user, curlsocktype /*purpose*/, curl_sockaddr* address) {
  return static_cast<Sockets*>(user)->open(address->family, address->socktype, address->protocol);
}

int on_close(void* user, curl_socket_t socket) {
  return static_cast<Sockets*>(user)->close(socket);
}

FailureKind kind_of(CURLcode code) {
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
      return FailureKind::resolve;
    case CURLE_COULDNT_CONNECT:
    case CURLE_PROXY:
      return FailureKind::connect;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
      return FailureKind::certificate;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
      return FailureKind::tls;
    case CURLE_OPERATION_TIMEDOUT:
      return FailureKind::connect_timeout;
    case CURLE_UNSUPPORTED_PROTOCOL:  // an answer that does not begin with HTTP/1
    case CURLE_WEIRD_SERVER_REPLY:
      return FailureKind::malformed;
    default:
      return FailureKind::broken;
  }
}

// An easy handle with the connection it keeps alive. One exchange at a time.
class Connection {
 public:
  explicit Connection(const HttpSettings& settings, const std::string& authorities)
      : settings_(settings),
        authorities_(authorities),
        multi_(curl_multi_init()),
        easy_(curl_easy_init()) {
    if (!multi_ || !easy_) throw std::bad_alloc();
    curl_multi_setopt(multi_.get(), CURLMOPT_MAXCONNECTS, 1L);
  }

  std::expected<HttpResponse, HttpFailure> run(const HttpRequest& request, Pace pace,
                                               const Clock& clock) {
    Exchange exchange(request, pace);
    prepare(exchange);
    const std::stop_callback wake(request.cancel, [this] { curl_multi_wakeup(multi_.get()); });
    curl_multi_add_handle(multi_.get(), easy_.get());
    const auto ended = drive(exchange, clock);
    const bool is_sent = has_sent();
    curl_multi_remove_handle(multi_.get(), easy_.get());
    return outcome_of(exchange, ended, is_sent);
  }

 private:
  // How curl ended it, or why we did.
  using Ending = std::expected<CURLcode, FailureKind>;

  // An option that does not take (another libcurl than the one we were built for) must not leave a
  // request to go out without it.
  template <class Value>
  void set(CURLoption option, Value value) {
    const CURLcode outcome = curl_easy_setopt(easy_.get(), option, value);
    if (outcome == CURLE_OUT_OF_MEMORY) throw std::bad_alloc();
    if (outcome != CURLE_OK) std::abort();
  }

  void prepare(Exchange& exchange) {
    curl_easy_reset(easy_.get());  // keeps the connection
    set_connection();
    set_security();
    set_method(exchange);
    const HttpRequest& request = exchange.request;
    set(CURLOPT_URL, (settings_.endpoint.url() + request.target).c_str());
    set(CURLOPT_HTTPHEADER, exchange.headers.get());
    set(CURLOPT_FRESH_CONNECT, request.fresh_connection ? 1L : 0L);
    set(CURLOPT_BUFFERSIZE, request.sink ? kBulkBuffer : kSmallBuffer);
    set(CURLOPT_UPLOAD_BUFFERSIZE, kBulkBuffer);
    set(CURLOPT_ERRORBUFFER, exchange.problem.data());
    set(CURLOPT_HEADERFUNCTION, on_header);
    set(CURLOPT_HEADERDATA, &exchange);
    set(CURLOPT_WRITEFUNCTION, on_body);
    set(CURLOPT_WRITEDATA, &exchange);
    set(CURLOPT_READFUNCTION, on_read);
    set(CURLOPT_READDATA, &exchange);
    set(CURLOPT_PREREQFUNCTION, on_begin);
    set(CURLOPT_PREREQDATA, &exchange);
  }

  void set_connection() {
    set(CURLOPT_PROTOCOLS_STR, "http,https");
    set(CURLOPT_HTTP_VERSION, long{CURL_HTTP_VERSION_1_1});
    set(CURLOPT_FOLLOWLOCATION, 0L);
    set(CURLOPT_PATH_AS_IS, 1L);
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_QUICK_EXIT, 1L);  // a name server that hangs must not hold up a cancelled call
    set(CURLOPT_PROXY, settings_.proxy.c_str());  // "" also switches the environment's off
    set(CURLOPT_USERAGENT, settings_.user_agent.c_str());
    set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(to_milliseconds(settings_.connect_timeout)));
    set(CURLOPT_MAXAGE_CONN, kOldestIdleSeconds);
    set(CURLOPT_OPENSOCKETFUNCTION, on_open);
    set(CURLOPT_OPENSOCKETDATA, &sockets_);
    set(CURLOPT_CLOSESOCKETFUNCTION, on_close);
    set(CURLOPT_CLOSESOCKETDATA, &sockets_);
  }

  void set_security() {
    set(CURLOPT_SSLVERSION, long{CURL_SSLVERSION_TLSv1_2});
    set(CURLOPT_SSL_VERIFYPEER, 1L);
    set(CURLOPT_SSL_VERIFYHOST, 2L);
    if (!settings_.ca_file.empty()) {
      set(CURLOPT_CAINFO, settings_.ca_file.c_str());
      set(CURLOPT_CAPATH, static_cast<const char*>(nullptr));
    } else if (!authorities_.empty()) {
      set(CURLOPT_CAINFO, static_cast<const char*>(nullptr));
      set(CURLOPT_CAPATH, authorities_.c_str());
    }
  }

  void set_method(const Exchange& exchange) {
    const std::string& method = exchange.request.method;
    if (method == "HEAD") {
      set(CURLOPT_NOBODY, 1L);
      return;
    }
    if (method == "PUT" || method == "POST") {
      set(CURLOPT_UPLOAD, 1L);
      set(CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(exchange.source.size()));
    }
    set(CURLOPT_CUSTOMREQUEST, method.c_str());
  }

  Ending drive(Exchange& exchange, const Clock& clock) {
    const HttpRequest& request = exchange.request;
    const Duration stall = request.stall.value_or(settings_.stall_timeout);
    const Instant start = clock.now();
    StallWatch watch(stall, start);
    int running = 1;
    while (true) {
      if (request.cancel.stop_requested()) return std::unexpected(FailureKind::cancelled);
      curl_multi_perform(multi_.get(), &running);
      if (running == 0) return result();
      const Instant now = clock.now();
      if (request.total && now - start > *request.total) {
        return std::unexpected(FailureKind::total_timeout);
      }
      // Until the request is on its way the connect time-out counts.
      if (watch.is_due(now) && watch.is_stalled(now, progress())) {
        return std::unexpected(FailureKind::stall_timeout);
      }
      const Duration wait = exchange.is_held && has_sent() ? kStepTime : watch.interval();
      curl_multi_poll(multi_.get(), nullptr, 0, static_cast<int>(to_milliseconds(wait)), nullptr);
      end_step(exchange, clock.now() - now);
    }
  }

  void end_step(Exchange& exchange, Duration waited) {
    if (!exchange.is_held || !has_sent()) return;
    if (waited < kStepTime && !exchange.reader.has_head()) return;
    exchange.is_held = false;
    curl_easy_pause(easy_.get(), CURLPAUSE_CONT);
  }

  CURLcode result() {
    int left = 0;
    while (const CURLMsg* const message = curl_multi_info_read(multi_.get(), &left)) {
      if (message->msg == CURLMSG_DONE) return message->data.result;
    }
    return CURLE_RECV_ERROR;
  }

  // nullopt while connecting.
  [[nodiscard]] std::optional<std::uint64_t> progress() const {
    if (!has_sent()) return std::nullopt;
    curl_off_t sent = 0;
    curl_off_t received = 0;
    curl_easy_getinfo(easy_.get(), CURLINFO_SIZE_UPLOAD_T, &sent);
    curl_easy_getinfo(easy_.get(), CURLINFO_SIZE_DOWNLOAD_T, &received);
    return sockets_.bytes_moved() + static_cast<std::uint64_t>(sent + received);
  }

  [[nodiscard]] bool has_sent() const {
    long size = 0;
    curl_easy_getinfo(easy_.get(), CURLINFO_REQUEST_SIZE, &size);
    return size > 0;
  }

  [[nodiscard]] std::string text_of(FailureKind kind, const Duration& stall) const {
    switch (kind) {
      case FailureKind::cancelled:
        return "cancelled";
      case FailureKind::stall_timeout:
        return "no byte in either direction for " + std::to_string(to_milliseconds(stall)) + " ms";
      default:
        return "the answer took too long";
    }
  }

  std::expected<HttpResponse, HttpFailure> outcome_of(Exchange& exchange, const Ending& ended,
                                                      bool is_sent) const {
    AnswerReader& reader = exchange.reader;
    const bool is_cancelled = !ended && ended.error() == FailureKind::cancelled;
    if (reader.has_head() && !is_cancelled) {
      // A refusal in the middle of our upload often ends in a broken pipe: it is the answer all the
      // same, and what we have of its body says why.
      const bool is_whole = ended && *ended == CURLE_OK;
      if (is_whole || !reader.is_success()) return reader.take();
    }
    if (reader.failure()) return std::unexpected(*reader.failure());
    if (!ended) {
      const Duration stall = exchange.request.stall.value_or(settings_.stall_timeout);
      return std::unexpected(HttpFailure{ended.error(), text_of(ended.error(), stall), is_sent});
    }
    if (*ended == CURLE_OK) {
      return std::unexpected(HttpFailure{FailureKind::broken, "the answer ended early", is_sent});
    }
    const char* const text =
        exchange.problem[0] != '\0' ? exchange.problem.data() : curl_easy_strerror(*ended);
    return std::unexpected(HttpFailure{kind_of(*ended), text, is_sent});
  }

  const HttpSettings& settings_;
  const std::string& authorities_;
  Sockets sockets_;  // before the handles: they close their sockets through it when they go
  Multi multi_;
  Easy easy_;
};

class CurlHttp final : public Http {
 public:
  CurlHttp(HttpSettings settings, Executor& executor)
      : settings_(std::move(settings)),
        clock_(executor.clock()),
        idle_(executor),
        is_cautious_(executor, false) {}

  std::expected<HttpResponse, HttpFailure> send(const HttpRequest& request) override {
    if (!is_sendable(request)) {
      return std::unexpected(HttpFailure{FailureKind::invalid_request,
                                         "a header or the path has forbidden bytes", false});
    }
    const Pace pace = *is_cautious_.lock() ? Pace::cautious : Pace::full;
    auto connection = take();
    auto outcome = connection->run(request, pace, clock_);
    give_back(std::move(connection));
    if (!request.body.empty()) learn_from(outcome);
    return outcome;
  }

 private:
  using Idle = std::vector<std::unique_ptr<Connection>>;

  void learn_from(const std::expected<HttpResponse, HttpFailure>& outcome) {
    if (outcome && outcome->status < 300) {
      *is_cautious_.lock() = false;
    } else if (!outcome && outcome.error().kind == FailureKind::broken && outcome.error().sent) {
      *is_cautious_.lock() = true;
    }
  }

  // The one used last: its connection is the likeliest to be alive.
  std::unique_ptr<Connection> take() {
    {
      auto idle = idle_.lock();
      if (!idle->empty()) {
        auto connection = std::move(idle->back());
        idle->pop_back();
        return connection;
      }
    }
    return std::make_unique<Connection>(settings_, authorities_);
  }

  void give_back(std::unique_ptr<Connection> connection) {
    auto idle = idle_.lock();
    if (idle->size() < kMostIdle) idle->push_back(std::move(connection));
  }

  const HttpSettings settings_;
  const std::string authorities_ = authorities_directory();
  const Clock& clock_;
  Guarded<Idle> idle_;
  Guarded<bool> is_cautious_;
};

}  // namespace

std::unique_ptr<Http> make_curl_http(HttpSettings settings, Executor& executor) {
  set_up_curl();
  return std::make_unique<CurlHttp>(std::move(settings), executor);
}

}  // namespace spillway::s3
