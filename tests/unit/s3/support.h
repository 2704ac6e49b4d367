// What the tests of the network layer share: a clock that is set by hand, an executor that only
// hands out locks, a transport with canned answers, and short ways to say things.
#pragma once

#include <gtest/gtest.h>

#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "s3/client.h"
#include "s3/hash.h"
#include "s3/http.h"

namespace spillway::s3::testing {

using namespace std::chrono_literals;

inline WallTime example_time() {
  return std::chrono::sys_days(std::chrono::year(2013) / 5 / 24);
}

class SetClock final : public Clock {
 public:
  Instant now() const override { return Instant(0s); }
  WallTime wall() const override { return time; }
  WallTime time = example_time();
};

class PlainMonitor final : public Monitor {
 public:
  void lock() override { mutex_.lock(); }
  void unlock() override { mutex_.unlock(); }
  void wait() override { std::abort(); }
  bool wait_until(Instant) override { std::abort(); }
  void notify_all() override {}

 private:
  std::mutex mutex_;
};

class LocksOnly final : public Executor {
 public:
  void submit(Job) override { std::abort(); }
  void submit_at(Instant, Job) override { std::abort(); }
  std::unique_ptr<Monitor> make_monitor() override { return std::make_unique<PlainMonitor>(); }
  const Clock& clock() const override { return set_clock; }
  SetClock set_clock;
};

// A request as it went out, with its body put together.
struct SentRequest {
  std::string method;
  std::string target;
  Headers headers;
  std::string body;
  std::optional<Duration> stall;
  std::optional<Duration> total;
  bool fresh_connection = false;
};

using Outcome = std::expected<HttpResponse, HttpFailure>;

// Answers in order; the sent requests are kept. Bodies of 2xx answers go through accept and sink as
// the port promises.
class CannedHttp final : public Http {
 public:
  struct Record {
    std::deque<Outcome> answers;
    std::vector<SentRequest> sent;
  };
  explicit CannedHttp(Record& record) : record_(record) {}

  Outcome send(const HttpRequest& request) override {
    note(request);
    if (record_.answers.empty()) {
      ADD_FAILURE() << "an unexpected request: " << request.method << ' ' << request.target;
      return std::unexpected(HttpFailure{});
    }
    Outcome outcome = std::move(record_.answers.front());
    record_.answers.pop_front();
    if (outcome && outcome->status / 100 == 2) return deliver(request, std::move(outcome));
    return outcome;
  }

 private:
  void note(const HttpRequest& request) {
    SentRequest sent{request.method, request.target, request.headers,         "",
                     request.stall,  request.total,  request.fresh_connection};
    for (const auto& piece : request.body) {
      sent.body.append(reinterpret_cast<const char*>(piece.data()), piece.size());
    }
    record_.sent.push_back(std::move(sent));
  }

  static Outcome deliver(const HttpRequest& request, Outcome outcome) {
    const HttpFailure refused{FailureKind::refused, "refused", true};
    if (request.accept && !request.accept(*outcome)) return std::unexpected(refused);
    if (!request.sink) return outcome;
    const std::string body = std::exchange(outcome->body, "");
    if (!body.empty() && !request.sink(bytes_of(body))) return std::unexpected(refused);
    return outcome;
  }

  Record& record_;
};

inline HttpResponse answer(int status, std::string body = "", Headers headers = {}) {
  headers.add("x-amz-request-id", "id-1");
  return HttpResponse{status, std::move(headers), std::move(body)};
}

inline std::string error_body(const std::string& code, const std::string& message) {
  return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>" + code + "</Code><Message>" +
         message + "</Message></Error>";
}

inline HttpResponse refusal(int status, const std::string& code, const std::string& message = "",
                            Headers headers = {}) {
  return answer(status, error_body(code, message), std::move(headers));
}

}  // namespace spillway::s3::testing
