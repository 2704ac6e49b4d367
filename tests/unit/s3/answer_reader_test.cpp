#include "s3/answer_reader.h"

#include <gtest/gtest.h>

#include "s3/hash.h"

namespace spillway::s3 {
namespace {

class AnswerReaderTest : public ::testing::Test {
 protected:
  bool head(std::initializer_list<std::string_view> lines) {
    for (const auto line : lines) {
      if (!reader_.take_line(std::string(line) + "\r\n")) return false;
    }
    return true;
  }
  bool fails_as(FailureKind kind) const {
    return reader_.failure() && reader_.failure()->kind == kind;
  }

  HttpRequest request_;
  AnswerReader reader_{request_};
};

TEST_F(AnswerReaderTest, PutsAnAnswerTogether) {
  ASSERT_TRUE(head({"HTTP/1.1 200 OK", "ETag:  \"a\" ", "x-empty:", ""}));
  ASSERT_TRUE(reader_.take_body(bytes_of("hel")));
  ASSERT_TRUE(reader_.take_body(bytes_of("lo")));
  const HttpResponse response = reader_.take();
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.headers.get("etag"), "\"a\"");
  EXPECT_NE(response.headers.find("x-empty"), nullptr);
  EXPECT_EQ(response.body, "hello");
}

TEST_F(AnswerReaderTest, AnswersOfOneHundredComeFirst) {
  ASSERT_TRUE(head({"HTTP/1.1 103 Early Hints", "link: x", ""}));
  EXPECT_FALSE(reader_.has_head());
  ASSERT_TRUE(head({"HTTP/1.1 404 Not Found", ""}));
  EXPECT_TRUE(reader_.has_head());
  const HttpResponse response = reader_.take();
  EXPECT_EQ(response.status, 404);
  EXPECT_EQ(response.headers.find("link"), nullptr);
}

TEST_F(AnswerReaderTest, TrailersAreDropped) {
  ASSERT_TRUE(head({"HTTP/1.1 200 OK", "", "etag: x", ""}));
  EXPECT_EQ(reader_.take().headers.find("etag"), nullptr);
}

TEST_F(AnswerReaderTest, RefusesMalformedHeads) {
  using namespace std::string_view_literals;
  for (const auto line :
       {"HTTP/1.1"sv, "HTTP/1.1 2x0 OK"sv, "HTTP/1.1 20"sv, "HTTP/1.1 099 x"sv, "no colon"sv,
        ": no name"sv, " folded: x"sv, "na me: x"sv, "a: \0x"sv, "a: x\ry"sv}) {
    AnswerReader reader(request_);
    EXPECT_FALSE(reader.take_line(line)) << line;
    EXPECT_EQ(reader.failure()->kind, FailureKind::malformed);
  }
}

TEST_F(AnswerReaderTest, RefusesHeadersWithoutEnd) {
  ASSERT_TRUE(head({"HTTP/1.1 200 OK"}));
  const std::string line = "a: " + std::string(10'000, 'x') + "\r\n";
  int lines = 0;
  while (reader_.take_line(line)) ++lines;
  EXPECT_LT(lines, 30);
  EXPECT_TRUE(fails_as(FailureKind::malformed));
}

TEST_F(AnswerReaderTest, RefusesBodiesLongerThanWanted) {
  request_.body_limit = 4;
  ASSERT_TRUE(head({"HTTP/1.1 200 OK", ""}));
  EXPECT_TRUE(reader_.take_body(bytes_of("four")));
  EXPECT_FALSE(reader_.take_body(bytes_of("x")));
  EXPECT_TRUE(fails_as(FailureKind::too_long));
}

TEST_F(AnswerReaderTest, KeepsTheStartOfAnErrorsBody) {
  request_.body_limit = 4;
  request_.sink = [](std::span<const std::byte>) -> Result<> {
    return fail(ErrorCode::invalid_argument, "never called");
  };
  ASSERT_TRUE(head({"HTTP/1.1 503 Busy", ""}));
  const std::string block(50'000, 'x');
  int blocks = 0;
  while (reader_.take_body(bytes_of(block))) ++blocks;
  EXPECT_GT(blocks, 10);
  EXPECT_LT(blocks, 30);
  EXPECT_FALSE(reader_.failure());
  EXPECT_EQ(reader_.take().body.size(), kErrorBodyLimit);
}

TEST_F(AnswerReaderTest, TheSinkGetsTheBodyOnceTheHeadIsAccepted) {
  std::string taken;
  request_.accept = [](const HttpResponse& response) -> Result<> {
    if (response.status == 206) return {};
    return fail(ErrorCode::server_error, "no range");
  };
  request_.sink = [&taken](std::span<const std::byte> bytes) -> Result<> {
    if (taken == "a") return fail(ErrorCode::local_error, "full");
    taken.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return {};
  };
  ASSERT_TRUE(head({"HTTP/1.1 206 Partial", ""}));
  EXPECT_TRUE(reader_.take_body(bytes_of("a")));
  EXPECT_FALSE(reader_.take_body(bytes_of("b")));
  EXPECT_TRUE(fails_as(FailureKind::refused));

  AnswerReader other(request_);
  EXPECT_TRUE(other.take_line("HTTP/1.1 200 OK\r\n"));
  EXPECT_FALSE(other.take_line("\r\n"));
  EXPECT_EQ(other.failure()->kind, FailureKind::refused);
}

}  // namespace
}  // namespace spillway::s3
