#include "s3/body_source.h"

#include <gtest/gtest.h>

#include <array>

#include "s3/hash.h"

namespace spillway::s3 {
namespace {

std::string read_all(BodySource& source, std::size_t step) {
  std::string text;
  std::string buffer(step, '\0');
  while (true) {
    const auto count = source.read(std::as_writable_bytes(std::span(buffer)));
    if (count == 0) return text;
    text.append(buffer, 0, count);
  }
}

TEST(BodySource, ReadsPiecesAsOneInStepsOfAnySize) {
  const std::array<Bytes, 5> pieces = {bytes_of(""), bytes_of("ab"), bytes_of(""), bytes_of("cdef"),
                                       bytes_of("")};
  for (const std::size_t step : {1U, 2U, 3U, 6U, 100U}) {
    BodySource source(pieces);
    EXPECT_EQ(source.size(), 6U);
    EXPECT_EQ(read_all(source, step), "abcdef");
  }
}

TEST(BodySource, MayBeEmpty) {
  BodySource source({});
  EXPECT_EQ(source.size(), 0U);
  EXPECT_EQ(read_all(source, 4), "");
}

}  // namespace
}  // namespace spillway::s3
