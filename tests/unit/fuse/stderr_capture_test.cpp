#include "fuse/stderr_capture.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <string>

namespace spillway::kernel {
namespace {

TEST(StderrCapture, HoldsWhatThisProcessAndItsChildrenWrite) {
  StderrCapture words;
  std::fputs("mine\n", stderr);
  ASSERT_EQ(std::system("echo theirs >&2"), 0);
  EXPECT_EQ(words.take(), "mine\ntheirs");
  EXPECT_EQ(words.take(), "");
}

TEST(StderrCapture, PassesOnWhatNobodyTook) {
  testing::internal::CaptureStderr();
  {
    const StderrCapture words;
    std::fputs("left\n", stderr);
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "left\n");
}

TEST(StderrCapture, HoldsLongTexts) {
  const std::string text(5000, 'x');
  StderrCapture words;
  std::fputs(text.c_str(), stderr);
  EXPECT_EQ(words.take(), text);
}

}  // namespace
}  // namespace spillway::kernel
