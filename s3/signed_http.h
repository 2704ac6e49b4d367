// One logical request: signed, sent, its answer judged, and repeated in the three cases in which
// the server is known not to have carried it out (src/object_store.h).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "s3/classify.h"
#include "s3/http.h"
#include "s3/signer.h"
#include "s3/uri.h"
#include "src/guarded.h"
#include "src/object_store.h"

namespace spillway::s3 {

struct Call {
  Operation operation = Operation::head_bucket;
  std::string method = "GET";
  Target target;
  Headers headers;  // all of them are signed
  Payload payload;

  // Of a 2xx answer; see HttpRequest.
  std::function<Result<>(const HttpResponse&)> accept;
  ByteSink sink;
  std::size_t body_limit = kErrorBodyLimit;
  std::optional<Duration> stall;
  std::optional<Duration> total;

  int expected_refusal = 0;  // a status that is an answer to the caller, as 2xx are
};

struct Answer {
  HttpResponse response;
  std::string md5;  // of the payload, in hex, where it was computed
};

// `may_be_unsigned`: bodies of objects go out as UNSIGNED-PAYLOAD unless their digest is known.
enum class ObjectBodies : std::uint8_t { are_signed, may_be_unsigned };

class SignedHttp {
 public:
  // `executor` outlives it.
  SignedHttp(Endpoint endpoint, ObjectBodies bodies, Credentials credentials,
             std::unique_ptr<Http> http, Executor& executor);

  // A 2xx answer without an `<Error>` in its body, or the expected refusal. Any thread. An error of
  // `accept` or `sink` is passed on as it is.
  Result<Answer> send(const Call& call, const CallOptions& options);

  // The time of day, corrected by what the server's clock says.
  [[nodiscard]] WallTime now();

 private:
  struct Learnt {
    Duration clock_offset{};
    bool wants_md5 = false;
  };
  // What one logical request has been through.
  struct Progress {
    Target target;
    std::string sha256;
    std::optional<Md5> md5;
    bool has_corrected_clock = false;
    int redirects = 0;
    WallTime signed_at{};
  };

  Result<HttpResponse> send_once(const Call& call, const CallOptions& options, Progress& progress);
  Headers signed_headers(const Call& call, Progress& progress);
  [[nodiscard]] std::string digest_of(const Call& call) const;

  bool can_repeat(const Call& call, const HttpResponse& response, const Error& error,
                  Progress& progress);
  bool correct_clock(const HttpResponse& response, const Error& error, Progress& progress);
  bool add_md5(const Call& call, const HttpResponse& response, Progress& progress);
  bool follow(const HttpResponse& response, Progress& progress) const;

  Endpoint endpoint_;
  ObjectBodies bodies_;
  Signer signer_;
  std::unique_ptr<Http> http_;
  const Clock& clock_;
  Guarded<Learnt> learnt_;
};

// The target of a redirect, when it leads to the endpoint itself: "/path?query", or a whole URL
// with the same scheme, host and port. nullopt for any other place.
[[nodiscard]] std::optional<Target> redirect_within(const Endpoint& endpoint,
                                                    std::string_view location);

}  // namespace spillway::s3
