#include "s3/incoming.h"

#include <gtest/gtest.h>

#include "tests/unit/s3/support.h"

namespace spillway::s3 {
namespace {

using testing::answer;

class IncomingTest : public ::testing::Test {
 protected:
  static HttpResponse partial(const std::string& range) {
    return answer(206, "", {{"Content-Range", range}});
  }

  GetRequest request_{"k", "", "", std::nullopt};
  std::string taken_;
  ByteSink sink_ = [this](std::span<const std::byte> bytes) -> Result<> {
    taken_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return {};
  };
  Incoming incoming_{request_, sink_};
};

TEST_F(IncomingTest, TakesAWholeObject) {
  ASSERT_TRUE(incoming_.accept(answer(200, "", {{"Content-Length", "5"}, {"ETag", "e"}})).ok());
  ASSERT_TRUE(incoming_.take(bytes_of("he")).ok());
  EXPECT_EQ(incoming_.finish().error().code, ErrorCode::network_error);
  ASSERT_TRUE(incoming_.take(bytes_of("llo")).ok());
  EXPECT_TRUE(incoming_.finish().ok());
  EXPECT_EQ(taken_, "hello");
  EXPECT_EQ(incoming_.object().size, 5U);
}

TEST_F(IncomingTest, RefusesMoreThanWasAnnounced) {
  ASSERT_TRUE(incoming_.accept(answer(200, "", {{"Content-Length", "1"}})).ok());
  EXPECT_FALSE(incoming_.take(bytes_of("xy")).ok());
  EXPECT_EQ(taken_, "");
}

TEST_F(IncomingTest, RefusesWhatCantBeChecked) {
  EXPECT_FALSE(incoming_.accept(answer(200)).ok()) << "no length";
  EXPECT_FALSE(incoming_.accept(answer(204)).ok());
  EXPECT_FALSE(incoming_.accept(partial("bytes 0-4/9")).ok()) << "nobody asked for a range";
}

TEST_F(IncomingTest, ARangeIsExactlyWhatWasAskedFor) {
  request_.range = ByteRange{5, 10};
  ASSERT_TRUE(incoming_.accept(partial("bytes 5-14/100")).ok());
  EXPECT_EQ(incoming_.object().size, 100U);
  for (const char* const range : {"bytes 5-13/100", "bytes 5-15/100", "bytes 4-13/100",
                                  "bytes 5-9/100", "bytes 0-9/100", "nonsense"}) {
    EXPECT_FALSE(incoming_.accept(partial(range)).ok()) << range;
  }
}

TEST_F(IncomingTest, ARangeEndsWithTheObject) {
  request_.range = ByteRange{5, 10};
  EXPECT_TRUE(incoming_.accept(partial("bytes 5-7/8")).ok());
  EXPECT_FALSE(incoming_.accept(partial("bytes 5-6/8")).ok());
}

TEST_F(IncomingTest, AWholeAnswerPassesForARangeOnlyWhereItIsTheSame) {
  request_.range = ByteRange{0, 10};
  EXPECT_TRUE(incoming_.accept(answer(200, "", {{"Content-Length", "10"}})).ok());
  EXPECT_FALSE(incoming_.accept(answer(200, "", {{"Content-Length", "11"}})).ok());
  request_.range = ByteRange{1, 10};
  EXPECT_FALSE(incoming_.accept(answer(200, "", {{"Content-Length", "5"}})).ok());
}

}  // namespace
}  // namespace spillway::s3
