#include <gtest/gtest.h>
#include <stdlib.h>

#include <array>
#include <future>

#include "s3/hash.h"
#include "s3/http.h"
#include "src/executor.h"
#include "tests/unit/s3/raw_server.h"

namespace spillway::s3 {
namespace {

using namespace std::chrono_literals;
using testing::Peer;
using testing::RawServer;

constexpr std::string_view kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

class CurlHttpTest : public ::testing::Test {
 protected:
  Http& http(const RawServer& server) { return http_at(server.port()); }

  Http& http_at(std::uint16_t port, Scheme scheme = Scheme::http) {
    HttpSettings settings;
    settings.endpoint = Endpoint{scheme, "127.0.0.1", port, "r"};
    settings.user_agent = "spillway/test";
    settings.connect_timeout = 20s;
    settings.stall_timeout = 20s;
    http_ = make_curl_http(settings, *executor_);
    return *http_;
  }

  static FailureKind kind_of(const std::expected<HttpResponse, HttpFailure>& outcome) {
    EXPECT_FALSE(outcome.has_value());
    return outcome ? FailureKind::refused : outcome.error().kind;
  }

  std::unique_ptr<Executor> executor_ = make_thread_executor(1);
  std::unique_ptr<Http> http_;
};

HttpRequest get() {
  return {};
}

// Answers every request with kOk, and keeps their heads.
struct Echo {
  void operator()(Peer& peer) const {
    for (auto head = peer.read_head(); !head.empty(); head = peer.read_head()) {
      heads->push_back(head);
      const auto length = head.find("Content-Length: ");
      if (length != head.npos) {
        bodies->push_back(peer.read_body(std::stoul(head.substr(length + 16))));
      }
      peer.write(kOk);
    }
  }
  std::shared_ptr<std::vector<std::string>> heads = std::make_shared<std::vector<std::string>>();
  std::shared_ptr<std::vector<std::string>> bodies = std::make_shared<std::vector<std::string>>();
};

TEST_F(CurlHttpTest, SendsExactlyWhatItIsTold) {
  const Echo echo;
  RawServer server(echo);
  HttpRequest request;
  request.method = "PUT";
  request.target = "/b/../a//./%20b?uploads&x=%2F";
  request.headers = {{"x-amz-meta-empty", ""}, {"x-amz-meta-a", "b"}};
  const std::array<Bytes, 2> body = {bytes_of("hel"), bytes_of("lo")};
  request.body = body;
  const auto outcome = http(server).send(request);
  ASSERT_TRUE(outcome.has_value());
  EXPECT_EQ(outcome->body, "ok");
  EXPECT_EQ(echo.bodies->at(0), "hello");
  EXPECT_EQ(echo.heads->at(0), "PUT /b/../a//./%20b?uploads&x=%2F HTTP/1.1\r\nHost: 127.0.0.1:" +
                                   std::to_string(server.port()) +
                                   "\r\nUser-Agent: spillway/test\r\nx-amz-meta-empty:\r\n"
                                   "x-amz-meta-a: b\r\nContent-Length: 5\r\n\r\n");
}

TEST_F(CurlHttpTest, EachMethodHasItsForm) {
  const Echo echo;
  RawServer server([&echo](Peer& peer) {
    const auto head = peer.read_head();
    echo.heads->push_back(head);
    peer.write(head.starts_with("HEAD") ? "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n" : kOk);
  });
  for (const std::string method : {"GET", "HEAD", "DELETE", "POST", "PUT"}) {
    HttpRequest request;
    request.method = method;
    request.fresh_connection = true;
    const auto outcome = http(server).send(request);
    ASSERT_TRUE(outcome.has_value()) << method << ' ' << outcome.error().detail;
    EXPECT_TRUE(echo.heads->back().starts_with(method + " / HTTP/1.1\r\n"));
    const bool has_length = echo.heads->back().contains("Content-Length: 0\r\n");
    EXPECT_EQ(has_length, method.starts_with('P'));
    EXPECT_FALSE(echo.heads->back().contains("Content-Type"));
  }
}

TEST_F(CurlHttpTest, KeepsConnectionsUnlessAskedForAFreshOne) {
  RawServer server([](Peer& peer) {
    for (int turn = 0; turn < 2; ++turn) {
      peer.read_head();
      peer.write(kOk);
    }
  });
  Http& kept = http(server);
  ASSERT_TRUE(kept.send(get()).has_value());
  ASSERT_TRUE(kept.send(get()).has_value());
  EXPECT_EQ(server.connections(), 1);
  HttpRequest request = get();
  request.fresh_connection = true;
  ASSERT_TRUE(kept.send(request).has_value());
  EXPECT_EQ(server.connections(), 2);
}

TEST_F(CurlHttpTest, ADeadKeptConnectionIsReplacedUnseen) {
  RawServer server([](Peer& peer) {
    peer.read_head();
    peer.write(kOk);
  });
  Http& kept = http(server);
  for (int turn = 0; turn < 3; ++turn) {
    HttpRequest request;
    request.method = "PUT";
    ASSERT_TRUE(kept.send(request).has_value());
  }
  EXPECT_EQ(server.connections(), 3);
}

TEST_F(CurlHttpTest, ReportsARefusalInTheMiddleOfAnUpload) {
  RawServer server([](Peer& peer) {
    peer.read_head();
    peer.write("HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\nConnection: close\r\n\r\nreason");
  });
  const std::string huge(64 * 1024 * 1024, 'x');
  const Bytes piece = bytes_of(huge);
  HttpRequest request;
  request.method = "PUT";
  request.body = std::span(&piece, 1);
  auto outcome = http(server).send(request);
  if (!outcome) {
    // The reset overtook the answer; after that the transport listens before it sends.
    EXPECT_EQ(outcome.error().kind, FailureKind::broken);
    outcome = http_->send(request);
  }
  ASSERT_TRUE(outcome.has_value()) << outcome.error().detail;
  EXPECT_EQ(outcome->status, 403);
  EXPECT_EQ(outcome->body, "reason");
}

TEST_F(CurlHttpTest, UploadsWholeAfterABrokenOne) {
  int turn = 0;
  std::string body;
  RawServer server([&](Peer& peer) {
    peer.read_head();
    if (++turn == 1) return;
    body = peer.read_body(8 * 1024 * 1024);
    peer.write(kOk);
  });
  std::string huge(8 * 1024 * 1024, 'x');
  huge.back() = 'y';
  const Bytes piece = bytes_of(huge);
  HttpRequest request;
  request.method = "PUT";
  request.body = std::span(&piece, 1);
  EXPECT_EQ(kind_of(http(server).send(request)), FailureKind::broken);
  EXPECT_TRUE(http_->send(request).has_value());
  EXPECT_EQ(body, huge);
}

TEST_F(CurlHttpTest, ASilentServerIsAStall) {
  RawServer server([](Peer& peer) {
    peer.read_head();
    peer.wait_for_end();
  });
  HttpRequest request = get();
  request.stall = 200ms;
  const auto outcome = http(server).send(request);
  EXPECT_EQ(kind_of(outcome), FailureKind::stall_timeout);
  EXPECT_TRUE(outcome.error().sent);
}

void dribble(Peer& peer, int bytes) {
  peer.read_head();
  peer.write("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(bytes) + "\r\n\r\n");
  for (int sent = 0; sent < bytes; ++sent) {
    std::this_thread::sleep_for(100ms);
    if (!peer.write("x")) return;
  }
}

TEST_F(CurlHttpTest, ASlowServerIsNone) {
  RawServer server([](Peer& peer) { dribble(peer, 30); });
  HttpRequest request = get();
  request.stall = 1500ms;
  const auto outcome = http(server).send(request);
  ASSERT_TRUE(outcome.has_value()) << outcome.error().detail;
  EXPECT_EQ(outcome->body.size(), 30U);
}

TEST_F(CurlHttpTest, TheWholeExchangeMayHaveALimit) {
  RawServer server([](Peer& peer) { dribble(peer, 1'000); });
  HttpRequest request = get();
  request.total = 400ms;
  EXPECT_EQ(kind_of(http(server).send(request)), FailureKind::total_timeout);
}

TEST_F(CurlHttpTest, NobodyListeningMeansNothingWasSent) {
  std::uint16_t port = 0;
  {
    const RawServer server{Echo()};
    port = server.port();
  }
  const auto outcome = http_at(port).send(get());
  EXPECT_EQ(kind_of(outcome), FailureKind::connect);
  EXPECT_FALSE(outcome.error().sent);
}

TEST_F(CurlHttpTest, BodiesThatEndEarlyAreBroken) {
  for (const std::string answer :
       {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\n", ""}) {
    RawServer server([&answer](Peer& peer) {
      peer.read_head();
      peer.write(answer);
    });
    const auto outcome = http(server).send(get());
    EXPECT_EQ(kind_of(outcome), FailureKind::broken) << answer;
    EXPECT_TRUE(outcome.error().sent);
  }
}

TEST_F(CurlHttpTest, BytesAfterTheBodyAreNotPartOfIt) {
  RawServer server([](Peer& peer) {
    peer.read_head();
    peer.write(std::string(kOk) + "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
  });
  Http& kept = http(server);
  for (int turn = 0; turn < 2; ++turn) {
    const auto outcome = kept.send(get());
    ASSERT_TRUE(outcome.has_value());
    EXPECT_EQ(outcome->body, "ok");
  }
}

TEST_F(CurlHttpTest, WhatIsNotHttpIsMalformed) {
  RawServer server([](Peer& peer) {
    peer.read_head();
    peer.write("SSH-2.0-OpenSSH_9.2\r\n");
  });
  EXPECT_EQ(kind_of(http(server).send(get())), FailureKind::malformed);
}

TEST_F(CurlHttpTest, RedirectsAreAnswers) {
  RawServer server([](Peer& peer) {
    peer.read_head();
    peer.write("HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n");
  });
  const auto outcome = http(server).send(get());
  ASSERT_TRUE(outcome.has_value());
  EXPECT_EQ(outcome->status, 302);
  EXPECT_EQ(server.connections(), 1);
}

TEST_F(CurlHttpTest, ForbiddenBytesNeverLeave) {
  RawServer server{Echo()};
  for (const std::string& value :
       {std::string("a\r\nx-evil: 1"), std::string("a\nb"), std::string("a\0b", 3)}) {
    HttpRequest request = get();
    request.headers.add("x-amz-meta-a", value);
    EXPECT_EQ(kind_of(http(server).send(request)), FailureKind::invalid_request);
  }
  for (const char* const target : {"", "b", "/a b", "/a\r\nb", "/\xC3\xA9"}) {
    HttpRequest request = get();
    request.target = target;
    EXPECT_EQ(kind_of(http(server).send(request)), FailureKind::invalid_request) << target;
  }
  EXPECT_EQ(server.connections(), 0);
}

TEST_F(CurlHttpTest, AStopEndsTheCallAtOnce) {
  std::promise<void> has_head;
  RawServer server([&](Peer& peer) {
    peer.read_head();
    has_head.set_value();
    peer.wait_for_end();
  });
  std::stop_source source;
  HttpRequest request = get();
  request.cancel = source.get_token();
  Http& waiting = http(server);
  auto outcome = std::async(std::launch::async, [&] { return waiting.send(request); });
  has_head.get_future().wait();
  source.request_stop();
  ASSERT_EQ(outcome.wait_for(3s), std::future_status::ready);
  EXPECT_EQ(kind_of(outcome.get()), FailureKind::cancelled);
}

TEST_F(CurlHttpTest, TheEnvironmentHasNoSay) {
  ::setenv("http_proxy", "http://127.0.0.1:1", 1);
  ::setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
  RawServer server{Echo()};
  EXPECT_TRUE(http(server).send(get()).has_value());
  ::unsetenv("http_proxy");
  ::unsetenv("ALL_PROXY");
}

TEST_F(CurlHttpTest, APlainServerIsNoTlsServer) {
  RawServer server([](Peer& peer) {
    peer.read_body(1);
    peer.write("HTTP/1.1 400 Bad Request\r\n\r\n");
  });
  const auto outcome = http_at(server.port(), Scheme::https).send(get());
  EXPECT_EQ(kind_of(outcome), FailureKind::tls);
  EXPECT_FALSE(outcome.error().sent);
}

TEST_F(CurlHttpTest, ThreadsNeverShareAConnection) {
  std::atomic<int> failures = 0;
  // A server with one thread answers one connection at a time: the others wait for their turn.
  RawServer server([](Peer& peer) {
    peer.read_head();
    peer.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
  });
  Http& shared = http(server);
  {
    std::vector<std::jthread> threads;
    for (int number = 0; number < 8; ++number) {
      threads.emplace_back([&] {
        for (int turn = 0; turn < 5; ++turn) {
          if (!shared.send(get())) ++failures;
        }
      });
    }
  }
  EXPECT_EQ(failures, 0);
  EXPECT_EQ(server.connections(), 40);
}

}  // namespace
}  // namespace spillway::s3
