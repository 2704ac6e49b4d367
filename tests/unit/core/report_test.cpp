#include "src/report.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace spillway {
namespace {

using Attributes = std::vector<std::pair<std::string, std::string>>;

StorageReport stored() {
  StorageReport report;
  report.storage = Storage::b2;
  report.name = "a.txt";
  report.location = "docs/a.txt";
  report.correlation_id = "id-1";
  report.duration = std::chrono::milliseconds(42);
  report.uploaded_at = WallTime(std::chrono::seconds(1));
  report.attempts = 1;
  report.size = 5;
  report.mtime = WallTime(std::chrono::milliseconds(1'500));
  report.etag = "e1";
  report.version_id = "4_z1";
  report.sha256 = "abc";
  report.content_type = "text/plain";
  return report;
}

StorageReport diverted() {
  StorageReport report = stored();
  report.storage = Storage::local;
  report.location = "/shadow/files/docs/a.txt";
  report.fallback_from_b2 = true;
  report.etag = "";
  report.version_id = "";
  Error error;
  error.code = ErrorCode::bucket_not_found;
  error.detail = "NoSuchBucket";
  report.error = error;
  return report;
}

std::string value_of(const Attributes& attributes, std::string_view name) {
  for (const auto& [known, value] : attributes) {
    if (known == name) return value;
  }
  return "(absent)";
}

TEST(StorageWords, AreTheContracts) {
  for (const auto& [storage, word] :
       {std::pair(Storage::b2, "b2"), std::pair(Storage::local, "local"),
        std::pair(Storage::split, "split"), std::pair(Storage::pending, "pending")}) {
    EXPECT_EQ(to_string(storage), word);
    EXPECT_EQ(storage_from(word), storage);
  }
  EXPECT_EQ(storage_from("B2"), std::nullopt);
}

TEST(ResultJson, OfAStoredFileIsTheContracts) {
  EXPECT_EQ(to_result_json(stored()).dump(),
            R"({"storage":"b2","location":"docs/a.txt","fallback_from_b2":false,)"
            R"("track":{"name":"a.txt","size":5,"content_type":"text/plain","sha256":"abc",)"
            R"("etag":"e1","mtime":"1970-01-01T00:00:01.500Z"},)"
            R"("correlation_id":"id-1","duration_ms":42})");
}

TEST(ResultJson, OfADivertedFileSaysWhy) {
  EXPECT_EQ(to_result_json(diverted()).dump(),
            R"({"storage":"local","location":"/shadow/files/docs/a.txt","fallback_from_b2":true,)"
            R"("track":{"name":"a.txt","size":5,"content_type":"text/plain","sha256":"abc",)"
            R"("mtime":"1970-01-01T00:00:01.500Z"},)"
            R"("correlation_id":"id-1","duration_ms":42,"error_code":"bucket_not_found",)"
            R"("detail":"NoSuchBucket","hints":["Create bucket manually in B2 console"]})");
}

TEST(FailureJson, IsTheContracts) {
  const auto json = to_failure_json(*diverted().error);
  EXPECT_EQ(json.dump(),
            R"({"error_code":"bucket_not_found","error":"The bucket does not exist",)"
            R"("detail":"NoSuchBucket","hints":["Create bucket manually in B2 console"]})");
}

TEST(FailureJson, HasASentenceAndAHintForEveryCodeAndNoOtherWords) {
  for (int i = 0; i <= static_cast<int>(ErrorCode::interrupted); ++i) {
    Error error;
    error.code = static_cast<ErrorCode>(i);
    const auto json = to_failure_json(error);
    const auto shown = error_code_from(json["error_code"].get<std::string>());
    ASSERT_TRUE(shown);
    EXPECT_LE(*shown, ErrorCode::local_error);
    EXPECT_FALSE(json["error"].get<std::string>().empty());
    EXPECT_FALSE(json["hints"].at(0).get<std::string>().empty());
  }
}

TEST(Attributes, OfAStoredFileAreInOrderAndEndWithResult) {
  const auto attributes = to_attributes(stored());
  std::string names;
  for (const auto& [name, value] : attributes) names += name + " ";
  EXPECT_EQ(names,
            "storage location fallback_from_b2 correlation_id duration_ms uploaded_at attempts size "
            "etag version_id sha256 content_type result ");
  EXPECT_EQ(value_of(attributes, "storage"), "b2");
  EXPECT_EQ(value_of(attributes, "location"), "docs/a.txt");
  EXPECT_EQ(value_of(attributes, "fallback_from_b2"), "false");
  EXPECT_EQ(value_of(attributes, "duration_ms"), "42");
  EXPECT_EQ(value_of(attributes, "uploaded_at"), "1970-01-01T00:00:01.000Z");
  EXPECT_EQ(value_of(attributes, "size"), "5");
  EXPECT_EQ(value_of(attributes, "result"), to_result_json(stored()).dump());
}

TEST(Attributes, OfADivertedFileSayWhyAndLeaveOutWhatIsNotKnown) {
  const auto attributes = to_attributes(diverted());
  EXPECT_EQ(value_of(attributes, "fallback_from_b2"), "true");
  EXPECT_EQ(value_of(attributes, "error_code"), "bucket_not_found");
  EXPECT_EQ(value_of(attributes, "detail"), "NoSuchBucket");
  EXPECT_EQ(value_of(attributes, "hints"), "Create bucket manually in B2 console");
  EXPECT_EQ(value_of(attributes, "etag"), "(absent)");
  EXPECT_EQ(value_of(attributes, "version_id"), "(absent)");
}

TEST(Attributes, OfAPendingFileAreFew) {
  const auto attributes = to_attributes({});
  EXPECT_EQ(value_of(attributes, "storage"), "pending");
  EXPECT_EQ(value_of(attributes, "size"), "0");
  EXPECT_EQ(value_of(attributes, "attempts"), "(absent)");
  EXPECT_EQ(value_of(attributes, "duration_ms"), "(absent)");
  EXPECT_EQ(value_of(attributes, "writer_killed"), "(absent)");
}

TEST(Attributes, MarkAKilledWriter) {
  auto report = stored();
  report.writer_killed = true;
  EXPECT_EQ(value_of(to_attributes(report), "writer_killed"), "true");
}

TEST(Attributes, ServerValuesCannotMoveATerminalsCursor) {
  auto report = diverted();
  report.error->detail = "a\x1b[2Jb\r\nc";
  report.etag = "e\n1";
  const auto attributes = to_attributes(report);
  EXPECT_EQ(value_of(attributes, "detail"), "a?[2Jb??c");
  EXPECT_EQ(value_of(attributes, "etag"), "e?1");
}

TEST(Attributes, NamesThatAreNotUtf8DoNotBreakTheJson) {
  auto report = stored();
  report.name = "\xff";
  report.location = "docs/\xff";
  const auto attributes = to_attributes(report);
  EXPECT_EQ(value_of(attributes, "location"), "docs/\xff");
  EXPECT_TRUE(nlohmann::json::accept(value_of(attributes, "result")));
}

}  // namespace
}  // namespace spillway
