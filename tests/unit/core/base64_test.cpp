#include "src/base64.h"

#include <gtest/gtest.h>

namespace spillway {
namespace {

using namespace std::string_literals;

// The vectors of RFC 4648, section 10.
TEST(Base64, KnowsTheVectorsOfTheStandard) {
  const std::pair<std::string_view, std::string_view> vectors[] = {
      {"", ""},         {"f", "Zg=="},         {"fo", "Zm8="},        {"foo", "Zm9v"},
      {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}};
  for (const auto& [bytes, text] : vectors) {
    EXPECT_EQ(to_base64(bytes), text);
    EXPECT_EQ(from_base64(text), bytes);
  }
}

TEST(Base64, CarriesAnyBytes) {
  std::string all;
  for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
  EXPECT_EQ(from_base64(to_base64(all)), all);
  EXPECT_EQ(to_base64("\xff\xef\xbe"), "/+++");
}

TEST(Base64, RefusesWhatItWouldNotWrite) {
  for (const auto& text : {"Z"s, "Zg"s, "Zg="s, "Zg==="s, "===="s, "Z==="s, "Zh=="s, "Zm9="s, "Zm 8"s,
                           "Zm-_"s, "Zg==Zg=="s, "Zm9v\n"s, "Zm8\0"s}) {
    EXPECT_FALSE(from_base64(text)) << text;
  }
}

}  // namespace
}  // namespace spillway
