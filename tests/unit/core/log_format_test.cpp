#include <gtest/gtest.h>

#include "src/log.h"

namespace spillway {
namespace {

const WallTime kTime{std::chrono::milliseconds(1'500)};

std::string json(std::string_view event, const Fields& fields) {
  return format_line(LogFormat::json, kTime, Level::info, event, fields);
}
std::string text(std::string_view event, const Fields& fields) {
  return format_line(LogFormat::text, kTime, Level::warning, event, fields);
}
std::string json_value(const std::string& value) {
  const auto line = json("e", {{"v", value}});
  const auto start = line.find(R"("v":)") + 4;
  return line.substr(start, line.size() - start - 1);
}

TEST(JsonLine, IsCompactWithItsOwnFieldsFirst) {
  EXPECT_EQ(json("upload", {{"path", "a b"}, {"bytes", 5}, {"ok", true}, {"none", nullptr}}),
            R"({"ts":"1970-01-01T00:00:01.500Z","level":"info","event":"upload","path":"a b",)"
            R"("bytes":5,"ok":true,"none":null})");
  EXPECT_EQ(json("mount", Fields::object()),
            R"({"ts":"1970-01-01T00:00:01.500Z","level":"info","event":"mount"})");
}

TEST(JsonLine, KeepsTheOrderOfFieldsAndNestedValues) {
  const Fields fields{{"z", Fields::array({"x", 1, Fields::array()})},
                      {"a", {{"k", "v"}, {"o", Fields::object()}}}};
  EXPECT_TRUE(json("e", fields).ends_with(R"("z":["x",1,[]],"a":{"k":"v","o":{}}})"));
}

TEST(JsonLine, EveryLevelHasItsWord) {
  for (const auto level : {Level::debug, Level::info, Level::warning, Level::error}) {
    const auto line = format_line(LogFormat::json, kTime, level, "e", Fields::object());
    EXPECT_EQ(nlohmann::json::parse(line)["level"], to_string(level));
  }
}

TEST(JsonLine, EscapesWhatCouldDeceive) {
  EXPECT_EQ(json_value("a\"b\\c\nd\re\tf"), R"("a\"b\\c\nd\re\tf")");
  EXPECT_EQ(json_value(std::string("\0\x1b[2J\x7f", 6)), R"("\u0000\u001b[2J\u007f")");
  EXPECT_EQ(json_value("\u0085\u009b"), R"("\u0085\u009b")");
  EXPECT_EQ(json_value("a\u202eb\u2066\u200f\u061c\u2028\ufeff"),
            R"("a\u202eb\u2066\u200f\u061c\u2028\ufeff")");
  EXPECT_EQ(json_value("ü日😀"), "\"ü日😀\"");
}

TEST(JsonLine, InvalidUtf8IsShownAsText) {
  EXPECT_EQ(json_value("a\xff\xc3"), R"("a\\xff\\xc3")");
  EXPECT_EQ(nlohmann::json::parse(json_value("\xed\xa0\x80")), "\\xed\\xa0\\x80");
}

TEST(JsonLine, ValuesAreCappedAtACharacter) {
  EXPECT_EQ(json_value(std::string(4'096, 'x')), "\"" + std::string(4'096, 'x') + "\"");
  EXPECT_EQ(json_value(std::string(5'000, 'x')), "\"" + std::string(4'096, 'x') + "… (5000 bytes)\"");
  std::string two_bytes = "x";
  for (int i = 0; i < 3'000; ++i) two_bytes += "ü";
  const std::string parsed = nlohmann::json::parse(json_value(two_bytes));
  EXPECT_TRUE(parsed.ends_with("ü… (6001 bytes)"));
}

TEST(JsonLine, AnyBytesGiveOneValidLineThatReadsBack) {
  for (int first = 0; first < 256; ++first) {
    for (int second = 0; second < 256; second += 5) {
      const std::string name{static_cast<char>(first), static_cast<char>(second)};
      const auto line = json(name, {{name, name}});
      EXPECT_FALSE(line.contains('\n'));
      EXPECT_TRUE(nlohmann::json::accept(line)) << line;
    }
  }
}

TEST(JsonLine, AFileNameCannotForgeALineOrAField) {
  const std::string forged = "x\"}\n{\"ts\":\"1970-01-01T00:00:00.000Z\",\"event\":\"upload\"";
  const auto line = json("upload", {{"path", forged}, {"event", "forged"}, {"ts", "never"}});
  EXPECT_FALSE(line.contains('\n'));
  const auto parsed = nlohmann::json::parse(line);
  EXPECT_EQ(parsed["path"], forged);
  EXPECT_EQ(parsed["event"], "upload");
  EXPECT_EQ(parsed["ts"], "1970-01-01T00:00:01.500Z");
}

TEST(TextLine, IsWordsAndKeyEqualsValue) {
  EXPECT_EQ(text("upload", {{"path", "a.txt"}, {"bytes", 5}, {"hints", Fields::array({"x y"})}}),
            R"(1970-01-01T00:00:01.500Z WARNING upload path=a.txt bytes=5 hints=["x y"])");
}

TEST(TextLine, QuotesWhatCouldBeTakenForMore) {
  EXPECT_TRUE(text("e", {{"path", "a b=c"}}).ends_with(R"( e path="a b=c")"));
  EXPECT_TRUE(text("e", {{"path", ""}}).ends_with(R"( path="")"));
  EXPECT_TRUE(text("e", {{"path", "ü\n1970"}}).ends_with(R"( path="ü\n1970")"));
  EXPECT_TRUE(text("e", {{"a b", "\x1b[m"}}).ends_with(R"( "a b"="\u001b[m")"));
}

TEST(AnyLine, FieldsThatAreNoObjectAreLeftOut) {
  EXPECT_TRUE(json("e", Fields("text")).ends_with(R"("event":"e"})"));
  EXPECT_TRUE(text("e", nullptr).ends_with(" e"));
}

}  // namespace
}  // namespace spillway
