#include "s3/dates.h"

#include <gtest/gtest.h>

namespace spillway::s3 {
namespace {

using namespace std::chrono_literals;

WallTime example() {
  return std::chrono::sys_days(std::chrono::year(2013) / 5 / 24);
}

TEST(Dates, ReadsTheDateHeader) {
  EXPECT_EQ(parse_http_date("Fri, 24 May 2013 00:00:00 GMT"), example());
  EXPECT_EQ(parse_http_date("Fri, 24 May 2013 23:59:59 GMT"), example() + 24h - 1s);
  for (const char* const text :
       {"", "Fri, 24 May 2013 00:00:00 UTC", "Friday, 24-May-13 00:00:00 GMT",
        "Fri, 31 Feb 2013 00:00:00 GMT", "Fri, 24 May 2013 24:00:00 GMT",
        "Fri, 24 Mai 2013 00:00:00 GMT", "Fri, -4 May 2013 00:00:00 GMT",
        "Fri, 24 May 9999 00:00:00 GMT", "Fri, 24 May 2013 00:00:00 GMT "}) {
    EXPECT_EQ(parse_http_date(text), std::nullopt) << text;
  }
}

TEST(Dates, ReadsTheDatesOfListings) {
  EXPECT_EQ(parse_iso_date("2013-05-24T00:00:00.000Z"), example());
  EXPECT_EQ(parse_iso_date("2013-05-24T00:00:00Z"), example());
  EXPECT_EQ(parse_iso_date("2013-05-24T00:00:01.5Z"), example() + 1500ms);
  EXPECT_EQ(parse_iso_date("2013-05-24T00:00:00.123456789Z"), example() + 123456789ns);
  for (const char* const text :
       {"", "2013-05-24", "2013-05-24T00:00:00", "2013-05-24T00:00:00+00:00",
        "2013-13-24T00:00:00Z", "2013-05-24T00:00:00.Z", "2013-05-24T00:00:00.1234567890Z",
        "2013-05-24 00:00:00Z", "2013-05-24T00:00:00.12x4Z", "1969-12-31T23:59:59Z"}) {
    EXPECT_EQ(parse_iso_date(text), std::nullopt) << text;
  }
}

TEST(Dates, WritesTheDateOfSignatures) {
  EXPECT_EQ(to_amz_date(example()), "20130524T000000Z");
  EXPECT_EQ(to_amz_date(example() + 24h - 1ns), "20130524T235959Z");
}

}  // namespace
}  // namespace spillway::s3
