#include "s3/signed_http.h"

#include "s3/dates.h"
#include "s3/xml.h"

namespace spillway::s3 {
namespace {

constexpr int kMostRedirects = 2;
// Servers allow fifteen minutes. A refusal without a body, as HEAD gets, may mean the clock as well
// as the key: beyond this difference it is the clock that is tried first.
constexpr Duration kSuspectSkew = std::chrono::minutes(5);

bool sends_object_bytes(Operation operation) {
  return operation == Operation::put_object || operation == Operation::upload_part;
}

bool takes_md5(Operation operation) {
  return sends_object_bytes(operation) || operation == Operation::complete_upload;
}

bool is_success(const HttpResponse& response) {
  // The first test spares parsing every listing twice.
  return response.status >= 200 && response.status < 300 &&
         (!response.body.contains("<Error") || !parse_error(response.body));
}

}  // namespace

SignedHttp::SignedHttp(Endpoint endpoint, ObjectBodies bodies, Credentials credentials,
                       std::unique_ptr<Http> http, Executor& executor)
    : endpoint_(std::move(endpoint)),
      bodies_(endpoint_.scheme == Scheme::https ? bodies : ObjectBodies::are_signed),
      signer_(std::move(credentials), endpoint_.region, executor),
      http_(std::move(http)),
      clock_(executor.clock()),
      learnt_(executor) {}

WallTime SignedHttp::now() {
  return clock_.wall() + learnt_.lock()->clock_offset;
}

Result<Answer> SignedHttp::send(const Call& call, const CallOptions& options) {
  Progress progress;
  progress.target = call.target;
  progress.sha256 = digest_of(call);
  if (takes_md5(call.operation) && learnt_.lock()->wants_md5) {
    progress.md5 = md5(call.payload.pieces);
  }
  while (true) {
    HttpResponse response = TRY(send_once(call, options, progress));
    if (is_success(response) || response.status == call.expected_refusal) {
      return Answer{std::move(response), progress.md5 ? to_hex(*progress.md5) : ""};
    }
    Error error = classify_answer(call.operation, response, now());
    if (!can_repeat(call, response, error, progress)) return fail(std::move(error));
  }
}

Result<HttpResponse> SignedHttp::send_once(const Call& call, const CallOptions& options,
                                           Progress& progress) {
  std::optional<Error> refusal;
  const auto noted = [&refusal](Result<> result) {
    if (!result) refusal = result.error();
    return result;
  };
  HttpRequest request;
  request.method = call.method;
  request.target = progress.target.encoded();
  request.headers = signed_headers(call, progress);
  request.body = call.payload.pieces;
  if (call.accept) {
    request.accept = [&](const HttpResponse& head) { return noted(call.accept(head)); };
  }
  if (call.sink) {
    request.sink = [&](std::span<const std::byte> bytes) { return noted(call.sink(bytes)); };
  }
  request.body_limit = call.body_limit;
  request.stall = call.stall;
  request.total = call.total;
  request.fresh_connection = options.fresh_connection;
  request.cancel = options.cancel;

  auto outcome = http_->send(request);
  if (outcome) return *std::move(outcome);
  if (refusal) return fail(*std::move(refusal));
  return fail(classify_failure(call.operation, outcome.error()));
}

Headers SignedHttp::signed_headers(const Call& call, Progress& progress) {
  Headers headers = call.headers;
  headers.set("host", endpoint_.authority());
  if (progress.md5) headers.set("content-md5", to_base64(*progress.md5));
  progress.signed_at = now();
  signer_.sign(call.method, progress.target, progress.sha256, progress.signed_at, headers);
  headers.remove("host");  // the transport's to add
  return headers;
}

std::string SignedHttp::digest_of(const Call& call) const {
  if (!call.payload.sha256.empty()) return call.payload.sha256;
  if (bodies_ == ObjectBodies::may_be_unsigned && sends_object_bytes(call.operation)) {
    return std::string(kUnsignedPayload);
  }
  return to_hex(sha256(call.payload.pieces));
}

bool SignedHttp::can_repeat(const Call& call, const HttpResponse& response, const Error& error,
                            Progress& progress) {
  return correct_clock(response, error, progress) || add_md5(call, response, progress) ||
         follow(response, progress);
}

bool SignedHttp::correct_clock(const HttpResponse& response, const Error& error,
                               Progress& progress) {
  const auto date = parse_http_date(response.headers.get("date"));
  if (!date || progress.has_corrected_clock) return false;
  const Duration difference = std::chrono::abs(*date - progress.signed_at);
  const bool is_silent_refusal = response.status == 403 && response.body.empty();
  const bool is_skew =
      error.code == ErrorCode::clock_skew || (is_silent_refusal && difference > kSuspectSkew);
  if (!is_skew) return false;
  progress.has_corrected_clock = true;
  learnt_.lock()->clock_offset = *date - clock_.wall();
  return true;
}

bool SignedHttp::add_md5(const Call& call, const HttpResponse& response, Progress& progress) {
  if (response.status != 400 || progress.md5 || !takes_md5(call.operation)) return false;
  const auto body = parse_error(response.body);
  if (!body || !body->message.contains("Content-MD5")) return false;
  learnt_.lock()->wants_md5 = true;
  progress.md5 = md5(call.payload.pieces);
  return true;
}

bool SignedHttp::follow(const HttpResponse& response, Progress& progress) const {
  const int status = response.status;
  if (status != 301 && status != 302 && status != 307 && status != 308) return false;
  if (progress.redirects == kMostRedirects) return false;
  auto target = redirect_within(endpoint_, response.headers.get("location"));
  if (!target) return false;
  ++progress.redirects;
  progress.target = *std::move(target);
  return true;
}

std::optional<Target> redirect_within(const Endpoint& endpoint, std::string_view location) {
  if (location.starts_with('/')) {
    // "//host/path" leads elsewhere.
    return location.starts_with("//") ? std::nullopt : parse_target(location);
  }
  const auto scheme_end = location.find("://");
  if (scheme_end == location.npos) return std::nullopt;
  const auto path = location.find('/', scheme_end + 3);
  if (path == location.npos) return std::nullopt;
  const auto place = parse_endpoint(location.substr(0, path), PlainHttp::allowed);
  if (!place || place->scheme != endpoint.scheme || place->host != endpoint.host ||
      place->port != endpoint.port) {
    return std::nullopt;
  }
  return parse_target(location.substr(path));
}

}  // namespace spillway::s3
