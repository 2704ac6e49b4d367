#include "src/units.h"

#include <gtest/gtest.h>

namespace spillway {
namespace {

using namespace std::chrono_literals;

TEST(ParseDuration, TakesTheFourUnits) {
  EXPECT_EQ(parse_duration("500ms"), 500ms);
  EXPECT_EQ(parse_duration("2s"), 2s);
  EXPECT_EQ(parse_duration("5m"), 5min);
  EXPECT_EQ(parse_duration("1h"), 1h);
  EXPECT_EQ(parse_duration("0"), 0s);
  EXPECT_EQ(parse_duration("0ms"), 0s);
}

TEST(ParseDuration, RefusesEverythingElse) {
  for (const auto* text : {"", "s", "5", "-1s", "+1s", " 1s", "1 s", "1s ", "1S", "1.5s", "1d", "0x1s",
                           "99999999999999999999s", "9223372037s", "2562048h"}) {
    EXPECT_FALSE(parse_duration(text)) << text;
  }
}

TEST(ParseSize, TakesBothKindsOfUnits) {
  EXPECT_EQ(parse_size("100000"), 100'000U);
  EXPECT_EQ(parse_size("0"), 0U);
  EXPECT_EQ(parse_size("12B"), 12U);
  EXPECT_EQ(parse_size("8KB"), 8'000U);
  EXPECT_EQ(parse_size("8MB"), 8'000'000U);
  EXPECT_EQ(parse_size("5GB"), 5'000'000'000U);
  EXPECT_EQ(parse_size("10TB"), 10'000'000'000'000U);
  EXPECT_EQ(parse_size("1KiB"), 1'024U);
  EXPECT_EQ(parse_size("64MiB"), 67'108'864U);
  EXPECT_EQ(parse_size("1gib"), 1'073'741'824U);
  EXPECT_EQ(parse_size("1TiB"), 1'099'511'627'776U);
}

TEST(ParseSize, RefusesEverythingElse) {
  for (const auto* text : {"", "MiB", "-1", "+1", " 1", "1 MiB", "1MiB ", "1.5MiB", "1M", "1PB",
                           "18446744073709551616", "16777216TiB"}) {
    EXPECT_FALSE(parse_size(text)) << text;
  }
  EXPECT_EQ(parse_size("18446744073709551615"), UINT64_MAX);
}

}  // namespace
}  // namespace spillway
