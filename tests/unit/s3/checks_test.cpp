#include "s3/checks.h"

#include <gtest/gtest.h>

#include <limits>

namespace spillway::s3 {
namespace {

template <class Outcome>
ErrorCode code_of(const Outcome& outcome) {
  EXPECT_FALSE(outcome.ok());
  return outcome.ok() ? ErrorCode::server_error : outcome.error().code;
}

TEST(Checks, AKeyIsNeverEmpty) {
  EXPECT_EQ(code_of(check_key("")), ErrorCode::invalid_argument);
  EXPECT_EQ(code_of(check_key(std::string("a\0b", 3))), ErrorCode::invalid_argument);
  EXPECT_EQ(code_of(check_key(std::string(1'025, 'a'))), ErrorCode::name_too_long);
  EXPECT_TRUE(check_key(std::string(1'024, 'a')).ok());
}

TEST(Checks, RangesHaveBytes) {
  EXPECT_EQ(code_of(check_range({5, 0})), ErrorCode::invalid_argument);
  EXPECT_EQ(code_of(check_range({5, std::numeric_limits<std::uint64_t>::max()})),
            ErrorCode::invalid_argument);
  EXPECT_TRUE(check_range({0, 1}).ok());
}

TEST(Checks, SizesEndAtTheLimit) {
  EXPECT_TRUE(check_size(kLargestPut, kLargestPut).ok());
  EXPECT_EQ(code_of(check_size(kLargestPut + 1, kLargestPut)), ErrorCode::too_large);
  EXPECT_EQ(code_of(check_part_size(0)), ErrorCode::invalid_request);
  EXPECT_EQ(code_of(check_part_size(kLargestPart + 1)), ErrorCode::too_large);
}

TEST(Checks, PartsBelongToAnUpload) {
  EXPECT_TRUE(check_part("k", "i", 1).ok());
  EXPECT_TRUE(check_part("k", "i", kMostParts).ok());
  EXPECT_EQ(code_of(check_part("k", "", 1)), ErrorCode::invalid_argument);
  EXPECT_EQ(code_of(check_part("k", "i", 0)), ErrorCode::invalid_request);
  EXPECT_EQ(code_of(check_part("k", "i", kMostParts + 1)), ErrorCode::invalid_request);
}

TEST(Checks, PartsHaveNoGap) {
  EXPECT_TRUE(check_parts("i", {{1, "a", 0}, {2, "b", 0}}).ok());
  EXPECT_EQ(code_of(check_parts("i", {})), ErrorCode::invalid_request);
  EXPECT_EQ(code_of(check_parts("i", {{2, "a", 0}})), ErrorCode::invalid_request);
  EXPECT_EQ(code_of(check_parts("i", {{1, "a", 0}, {3, "b", 0}})), ErrorCode::invalid_request);
  EXPECT_EQ(code_of(check_parts("i", {{1, "", 0}})), ErrorCode::invalid_request);
}

}  // namespace
}  // namespace spillway::s3
