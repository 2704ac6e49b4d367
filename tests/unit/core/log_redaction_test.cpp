#include "src/log_redaction.h"

#include <gtest/gtest.h>

#include "src/base64.h"

namespace spillway {
namespace {

const std::string kSecret = "K003/ab+cdEFGhijKLmnopQRSTuv";

bool has_secret(std::string_view text) { return text.contains(kSecret); }

TEST(Redaction, ReplacesEveryOccurrence) {
  const Redaction redaction({kSecret, ""});
  EXPECT_EQ(redaction.in_text("a" + kSecret + "b" + kSecret), "a[redacted]b[redacted]");
  EXPECT_EQ(redaction.in_text("nothing here"), "nothing here");
  EXPECT_EQ(Redaction({}).in_text("nothing here"), "nothing here");
}

TEST(Redaction, KnowsTheSecretInUrls) {
  const Redaction redaction({kSecret});
  EXPECT_EQ(redaction.in_text("?k=K003%2Fab%2BcdEFGhijKLmnopQRSTuv&x"), "?k=[redacted]&x");
  EXPECT_EQ(redaction.in_text("?k=K003%2fab%2bcdEFGhijKLmnopQRSTuv&x"), "?k=[redacted]&x");
}

TEST(Redaction, KnowsTheSecretInsideAnyBase64) {
  const Redaction redaction({kSecret});
  for (std::size_t before = 0; before < 6; ++before) {
    for (std::size_t after = 0; after < 4; ++after) {
      const auto text = to_base64(std::string(before, 'u') + kSecret + std::string(after, 'v'));
      const auto clean = redaction.in_text("Basic " + text);
      ASSERT_TRUE(clean.contains("[redacted]")) << before << " " << after;
      // Beside the secret's own digits at most two mixed ones are left on each side.
      EXPECT_LE(clean.size(), 6 + 10 + (before + after) / 3 * 4 + 12);
    }
  }
}

TEST(Redaction, LongerSecretsGoFirst) {
  const Redaction redaction({"abc", "abcdef"});
  EXPECT_EQ(redaction.in_text("abcdef abc"), "[redacted] [redacted]");
}

TEST(Redaction, ReachesKeysAndNestedValues) {
  const Redaction redaction({kSecret});
  const nlohmann::ordered_json fields{
      {"plain", 1}, {kSecret, kSecret}, {"list", {"x" + kSecret, {{"deep", kSecret}}}}};
  const auto clean = redaction.in_fields(fields);
  EXPECT_FALSE(has_secret(clean.dump()));
  EXPECT_EQ(clean["plain"], 1);
  EXPECT_EQ(clean["list"][0], "x[redacted]");
}

}  // namespace
}  // namespace spillway
