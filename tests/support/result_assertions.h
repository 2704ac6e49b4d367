// EXPECT_TRUE(succeeded(result)), EXPECT_TRUE(failed_with(result, ErrorCode::timeout)): what went
// wrong shows in the failure's text.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "src/error.h"

namespace spillway {

[[nodiscard]] inline std::string describe(const Error& error) {
  return std::string(to_string(error.code)) + ": " + error.detail;
}

template <class T>
[[nodiscard]] testing::AssertionResult succeeded(const Result<T>& result) {
  if (result.ok()) return testing::AssertionSuccess();
  return testing::AssertionFailure() << describe(result.error());
}

template <class T>
[[nodiscard]] testing::AssertionResult failed_with(const Result<T>& result, ErrorCode code) {
  if (result.ok()) {
    return testing::AssertionFailure() << "succeeded instead of " << to_string(code);
  }
  if (result.error().code == code) return testing::AssertionSuccess();
  return testing::AssertionFailure()
         << "not " << to_string(code) << " but " << describe(result.error());
}

template <class T>
[[nodiscard]] testing::AssertionResult failed_with(const Result<T>& result, ErrorCode code,
                                                   Cause cause) {
  auto outcome = failed_with(result, code);
  if (!outcome || result.error().cause == cause) return outcome;
  return testing::AssertionFailure()
         << "cause " << static_cast<int>(result.error().cause) << " instead of "
         << static_cast<int>(cause) << ": " << describe(result.error());
}

}  // namespace spillway
