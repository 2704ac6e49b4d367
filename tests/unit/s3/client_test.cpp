#include "s3/client.h"

#include <gtest/gtest.h>

#include "tests/unit/s3/support.h"

namespace spillway::s3 {
namespace {

using testing::answer;
using testing::CannedHttp;
using testing::error_body;
using testing::refusal;
using testing::SentRequest;

const CallOptions kOptions;

class ClientTest : public ::testing::Test {
 protected:
  ClientTest() {
    Settings settings;
    settings.endpoint = Endpoint{Scheme::https, "s3.test", 443, "r"};
    settings.bucket = "bucket";
    settings.access_key = "key";
    settings.secret_key = "secret-that-must-not-show";
    store_ = make_object_store(settings, executor_, std::make_unique<CannedHttp>(record_));
  }

  void TearDown() override { EXPECT_TRUE(record_.answers.empty()); }

  template <class Outcome>
  static Error failed(const Outcome& outcome) {
    EXPECT_FALSE(outcome.ok());
    if (outcome.ok()) return {};
    EXPECT_FALSE(outcome.error().detail.contains("secret-that"));
    return outcome.error();
  }

  Result<std::string> get(std::optional<ByteRange> range, const std::string& if_match = "") {
    std::string body;
    const ByteSink sink = [&body](std::span<const std::byte> bytes) -> Result<> {
      body.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
      return {};
    };
    auto object = store_->get_object({"k", "", if_match, range}, sink, kOptions);
    if (!object) return fail(std::move(object).error());
    object_ = *object;
    return body;
  }

  PutRequest put_request(std::string_view body) {
    PutRequest request;
    request.key = "a b/k";
    request.content_type = "text/plain";
    request.metadata = {{"mtime", "1"}};
    request.payload.pieces = {bytes_of(body)};
    return request;
  }

  testing::LocksOnly executor_;
  CannedHttp::Record record_;
  std::unique_ptr<ObjectStore> store_;
  ObjectInfo object_;
};

std::string listing(const std::string& inside) {
  return "<ListBucketResult><EncodingType>url</EncodingType>" + inside + "</ListBucketResult>";
}

std::string contents(const std::string& key) {
  return "<Contents><Key>" + key + "</Key><LastModified>2013-05-24T00:00:00Z</LastModified>" +
         "<ETag>\"e\"</ETag><Size>1</Size></Contents>";
}

TEST_F(ClientTest, VerifiesTheBucketWithHead) {
  record_.answers = {answer(200)};
  EXPECT_TRUE(store_->verify_bucket(kOptions).ok());
  EXPECT_EQ(record_.sent[0].method, "HEAD");
  EXPECT_EQ(record_.sent[0].target, "/bucket");
}

TEST_F(ClientTest, AKeyWithoutListBucketsIsProbedWithGet) {
  record_.answers = {answer(403), answer(200, listing(""))};
  EXPECT_TRUE(store_->verify_bucket(kOptions).ok());
  EXPECT_EQ(record_.sent[1].method, "GET");
  EXPECT_EQ(record_.sent[1].target, "/bucket?list-type=2&max-keys=1&prefix=");
}

TEST_F(ClientTest, TheProbesBodyNamesTheReason) {
  record_.answers = {answer(403), refusal(403, "InvalidAccessKeyId", "Malformed Access Key Id")};
  const Error error = failed(store_->verify_bucket(kOptions));
  EXPECT_EQ(error.code, ErrorCode::auth_error);
  EXPECT_TRUE(error.detail.contains("Malformed Access Key Id"));

  record_.answers = {answer(403), refusal(403, "AccessDenied", "transaction cap exceeded")};
  EXPECT_EQ(failed(store_->verify_bucket(kOptions)).code, ErrorCode::cap_exceeded);
  record_.answers = {answer(400), refusal(400, "AuthorizationHeaderMalformed")};
  EXPECT_EQ(failed(store_->verify_bucket(kOptions)).code, ErrorCode::auth_error);
  record_.answers = {answer(403), answer(200, "<html>log in to the wifi</html>")};
  EXPECT_EQ(failed(store_->verify_bucket(kOptions)).code, ErrorCode::server_error);
}

TEST_F(ClientTest, AMissingBucketOrADeadServerIsNotProbed) {
  record_.answers = {answer(404)};
  EXPECT_EQ(failed(store_->verify_bucket(kOptions)).code, ErrorCode::bucket_not_found);
  record_.answers = {answer(503)};
  EXPECT_EQ(failed(store_->verify_bucket(kOptions)).code, ErrorCode::server_error);
  record_.answers = {std::unexpected(HttpFailure{FailureKind::certificate, "self-signed", false})};
  EXPECT_EQ(failed(store_->verify_bucket(kOptions)).cause, Cause::certificate);
}

TEST_F(ClientTest, AsksForTheRuleThatAbortsUploads) {
  record_.answers = {answer(
      200,
      "<LifecycleConfiguration><Rule><Status>Enabled</Status><AbortIncompleteMultipartUpload>"
      "<DaysAfterInitiation>7</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule>"
      "</LifecycleConfiguration>")};
  const auto days = store_->abort_rule_days(kOptions);
  ASSERT_TRUE(days.ok());
  EXPECT_EQ(*days, 7);
  EXPECT_EQ(record_.sent[0].method, "GET");
  EXPECT_EQ(record_.sent[0].target, "/bucket?lifecycle");
}

TEST_F(ClientTest, ABucketWithoutRulesAbortsNothing) {
  record_.answers = {refusal(404, "NoSuchLifecycleConfiguration"),
                     answer(200, "<LifecycleConfiguration/>")};
  for (int call = 0; call < 2; ++call) {
    const auto days = store_->abort_rule_days(kOptions);
    ASSERT_TRUE(days.ok());
    EXPECT_FALSE(days->has_value());
  }
}

TEST_F(ClientTest, RulesThatCantBeReadAreAnError) {
  const auto asked = [this](const HttpResponse& response) {
    record_.answers = {response};
    return failed(store_->abort_rule_days(kOptions));
  };
  EXPECT_EQ(asked(refusal(403, "AccessDenied", "not entitled")).cause, Cause::not_entitled);
  EXPECT_EQ(asked(refusal(404, "NoSuchBucket")).code, ErrorCode::bucket_not_found);
  EXPECT_EQ(asked(refusal(501, "NotImplemented")).code, ErrorCode::invalid_request);
  EXPECT_EQ(asked(answer(404)).code, ErrorCode::server_error) << "some proxy's, not S3's";
  EXPECT_EQ(asked(answer(200, listing(""))).code, ErrorCode::server_error);
  EXPECT_EQ(asked(answer(200, "<html>log in to the wifi</html>")).code, ErrorCode::server_error);
  EXPECT_EQ(asked(answer(200, "<!DOCTYPE a><LifecycleConfiguration/>")).code,
            ErrorCode::server_error);
}

TEST_F(ClientTest, PutsWithTypeAndMetadata) {
  record_.answers = {answer(200, "", {{"ETag", "\"e\""}, {"x-amz-version-id", "v"}})};
  const auto stored = store_->put_object(put_request("body"), kOptions);
  ASSERT_TRUE(stored.ok());
  EXPECT_EQ(stored->key, "a b/k");
  EXPECT_EQ(stored->etag, "e");
  EXPECT_EQ(stored->version_id, "v");
  EXPECT_EQ(stored->request_id, "id-1");
  const SentRequest& sent = record_.sent[0];
  EXPECT_EQ(sent.target, "/bucket/a%20b/k");
  EXPECT_EQ(sent.body, "body");
  EXPECT_EQ(sent.headers.get("content-type"), "text/plain");
  EXPECT_EQ(sent.headers.get("x-amz-meta-mtime"), "1");
  EXPECT_FALSE(sent.total) << "a large body takes as long as it takes";
}

TEST_F(ClientTest, SendsNothingThatB2Refuses) {
  record_.answers = {answer(200, "", {{"ETag", "e"}})};
  ASSERT_TRUE(store_->put_object(put_request("body"), kOptions).ok());
  for (const auto& [name, value] : record_.sent[0].headers) {
    EXPECT_FALSE(name.contains("checksum") || name.contains("tagging") || name.contains("acl") ||
                 name.contains("expect") || name.starts_with("if-") || name.contains("encoding"))
        << name;
    EXPECT_FALSE(value.contains("aws-chunked"));
  }
}

TEST_F(ClientTest, APutWithoutAnEtagMayHaveBeenDone) {
  record_.answers = {answer(200)};
  const Error error = failed(store_->put_object(put_request("body"), kOptions));
  EXPECT_EQ(error.code, ErrorCode::server_error);
  EXPECT_EQ(error.cause, Cause::ambiguous);
}

TEST_F(ClientTest, ComparesTheEtagWithTheMd5ThatWasSent) {
  const auto demand = refusal(400, "InvalidRequest", "Missing required header: Content-MD5");
  const std::string other(32, '0');
  record_.answers = {demand, answer(200, "", {{"ETag", other}})};
  EXPECT_EQ(failed(store_->put_object(put_request("body"), kOptions)).code,
            ErrorCode::checksum_mismatch);
  record_.answers = {answer(200, "", {{"ETag", "841a2d689ad86bd1611447453c22c6fc"}})};
  EXPECT_TRUE(store_->put_object(put_request("body"), kOptions).ok());
  record_.answers = {
      answer(200, "", {{"ETag", other}, {"x-amz-server-side-encryption", "aws:kms"}})};
  EXPECT_TRUE(store_->put_object(put_request("body"), kOptions).ok());
  record_.answers = {answer(200, "", {{"ETag", "opaque"}})};
  EXPECT_TRUE(store_->put_object(put_request("body"), kOptions).ok());
}

TEST_F(ClientTest, RefusesWhatIsTooLargeWithoutARequest) {
  PutRequest request = put_request("");
  // Never touched: only its size counts.
  const std::byte byte{};
  request.payload.pieces = {std::span(&byte, kLargestPut + 1)};
  EXPECT_EQ(failed(store_->put_object(request, kOptions)).code, ErrorCode::too_large);
  EXPECT_EQ(failed(store_->upload_part("k", "i", 1, request.payload, kOptions)).code,
            ErrorCode::too_large);
  EXPECT_TRUE(record_.sent.empty());
}

TEST_F(ClientTest, RefusesAnEmptyKeyInEveryVerb) {
  const ByteSink sink = [](std::span<const std::byte>) -> Result<> { return {}; };
  EXPECT_FALSE(store_->put_object({}, kOptions).ok());
  EXPECT_FALSE(store_->head_object("", "", kOptions).ok());
  EXPECT_FALSE(store_->get_object({}, sink, kOptions).ok());
  EXPECT_FALSE(store_->copy_object({}, kOptions).ok());
  EXPECT_FALSE(store_->copy_object({"", "", "k", {}, ""}, kOptions).ok());
  EXPECT_FALSE(store_->delete_object("", "", kOptions).ok());
  EXPECT_FALSE(store_->create_upload("", "", {}, kOptions).ok());
  EXPECT_FALSE(store_->upload_part_copy("k", "i", 1, "", "", {0, 1}, kOptions).ok());
  EXPECT_FALSE(store_->complete_upload("", "i", {{1, "e", 0}}, kOptions).ok());
  EXPECT_FALSE(store_->abort_upload("k", "", kOptions).ok());
  EXPECT_FALSE(store_->list_parts("", "i", kOptions).ok());
  EXPECT_FALSE(store_->list_versions("", kOptions).ok());
  EXPECT_TRUE(record_.sent.empty());
}

TEST_F(ClientTest, ReadsMetadataFromHead) {
  record_.answers = {answer(
      200, "", {{"Content-Length", "7"}, {"ETag", "\"e\""}, {"x-amz-meta-mode", "33188"}})};
  const auto object = store_->head_object("k", "v 1", kOptions);
  ASSERT_TRUE(object.ok());
  EXPECT_EQ(object->size, 7U);
  EXPECT_EQ(object->metadata.at("mode"), "33188");
  EXPECT_EQ(record_.sent[0].target, "/bucket/k?versionId=v%201");
}

TEST_F(ClientTest, AHeadWithoutAnEtagSaysNothing) {
  record_.answers = {answer(200, "", {{"Content-Length", "7"}})};
  EXPECT_EQ(failed(store_->head_object("k", "", kOptions)).code, ErrorCode::server_error);
}

TEST_F(ClientTest, ARefusedHeadAsksForTheReason) {
  record_.answers = {answer(403), refusal(403, "AccessDenied", "Class B cap exceeded")};
  EXPECT_EQ(failed(store_->head_object("k", "", kOptions)).code, ErrorCode::cap_exceeded);
  EXPECT_EQ(record_.sent[1].method, "GET");
  EXPECT_EQ(record_.sent[1].headers.get("range"), "bytes=0-0");
  record_.answers = {answer(403), answer(206, "x")};
  EXPECT_EQ(failed(store_->head_object("k", "", kOptions)).code, ErrorCode::auth_error);
  record_.answers = {answer(404)};
  EXPECT_EQ(failed(store_->head_object("k", "", kOptions)).code, ErrorCode::not_found);
}

TEST_F(ClientTest, GetsARangeOfOneVersion) {
  record_.answers = {answer(206, "llo", {{"Content-Range", "bytes 2-4/5"}, {"ETag", "\"e\""}})};
  const auto body = get(ByteRange{2, 100}, "e");
  ASSERT_TRUE(body.ok()) << body.error().detail;
  EXPECT_EQ(*body, "llo");
  EXPECT_EQ(object_.size, 5U);
  EXPECT_EQ(record_.sent[0].headers.get("range"), "bytes=2-101");
  EXPECT_EQ(record_.sent[0].headers.get("if-match"), "\"e\"");
}

TEST_F(ClientTest, NeverGivesFewerBytesWithOk) {
  record_.answers = {answer(200, "hell", {{"Content-Length", "5"}})};
  EXPECT_EQ(failed(get(std::nullopt)).code, ErrorCode::network_error);
  record_.answers = {answer(206, "hello", {{"Content-Range", "bytes 0-3/9"}})};
  EXPECT_EQ(failed(get(ByteRange{0, 4})).code, ErrorCode::server_error);
}

TEST_F(ClientTest, TellsAChangedVersion) {
  record_.answers = {refusal(412, "PreconditionFailed")};
  EXPECT_EQ(failed(get(std::nullopt, "e")).cause, Cause::version_changed);
}

TEST_F(ClientTest, ARangeAfterTheEndGivesNothing) {
  const auto beyond = refusal(416, "InvalidRange");
  record_.answers = {beyond, answer(200, "", {{"Content-Length", "5"}, {"ETag", "\"e\""}})};
  const auto body = get(ByteRange{5, 1}, "e");
  ASSERT_TRUE(body.ok());
  EXPECT_EQ(*body, "");
  EXPECT_EQ(object_.size, 5U);
  record_.answers = {beyond, answer(200, "", {{"Content-Length", "5"}, {"ETag", "\"f\""}})};
  EXPECT_EQ(failed(get(ByteRange{5, 1}, "e")).cause, Cause::version_changed);
  record_.answers = {beyond, answer(200, "", {{"Content-Length", "6"}, {"ETag", "\"e\""}})};
  EXPECT_EQ(failed(get(ByteRange{5, 1}, "e")).code, ErrorCode::server_error);
}

TEST_F(ClientTest, CopiesWithItsOwnMetadataOrTheSources) {
  const auto copied = answer(200, "<CopyObjectResult><ETag>\"e\"</ETag></CopyObjectResult>");
  record_.answers = {copied, copied};
  ASSERT_TRUE(store_->copy_object({"a+b", "v", "c", std::nullopt, ""}, kOptions).ok());
  EXPECT_EQ(record_.sent[0].headers.get("x-amz-copy-source"), "/bucket/a%2Bb?versionId=v");
  EXPECT_EQ(record_.sent[0].headers.find("x-amz-metadata-directive"), nullptr);
  EXPECT_EQ(record_.sent[0].stall, Duration(std::chrono::minutes(20)));
  const auto stored = store_->copy_object({"a", "", "a", MetadataMap{{"m", "1"}}, "t/x"}, kOptions);
  ASSERT_TRUE(stored.ok());
  EXPECT_EQ(stored->etag, "e");
  EXPECT_EQ(record_.sent[1].headers.get("x-amz-metadata-directive"), "REPLACE");
  EXPECT_EQ(record_.sent[1].headers.get("x-amz-meta-m"), "1");
  EXPECT_EQ(record_.sent[1].headers.get("content-type"), "t/x");
}

TEST_F(ClientTest, ErrorsInsideTwoHundredAreErrors) {
  record_.answers = {answer(200, error_body("InternalError", "again"))};
  EXPECT_EQ(failed(store_->copy_object({"a", "", "b", {}, ""}, kOptions)).code,
            ErrorCode::server_error);
  record_.answers = {answer(200, "  \n" + error_body("InternalError", "again"))};
  const Error error = failed(store_->complete_upload("k", "i", {{1, "e", 0}}, kOptions));
  EXPECT_EQ(error.code, ErrorCode::server_error);
  EXPECT_EQ(error.cause, Cause::ambiguous);
  record_.answers = {answer(200, "")};
  EXPECT_EQ(failed(store_->complete_upload("k", "i", {{1, "e", 0}}, kOptions)).cause,
            Cause::ambiguous);
}

TEST_F(ClientTest, WhatIsGoneIsDeleted) {
  record_.answers = {answer(204), refusal(404, "NoSuchVersion"), refusal(404, "NoSuchBucket"),
                     refusal(404, "NoSuchUpload"), answer(404)};
  EXPECT_TRUE(store_->delete_object("k", "", kOptions).ok());
  EXPECT_TRUE(store_->delete_object("k", "v", kOptions).ok());
  EXPECT_EQ(record_.sent[1].target, "/bucket/k?versionId=v");
  EXPECT_EQ(failed(store_->delete_object("k", "", kOptions)).code, ErrorCode::bucket_not_found);
  EXPECT_TRUE(store_->abort_upload("k", "i", kOptions).ok());
  EXPECT_FALSE(store_->abort_upload("k", "i", kOptions).ok()) << "who says so is not S3";
}

TEST_F(ClientTest, Lists) {
  record_.answers = {answer(
      200, listing("<IsTruncated>true</IsTruncated>"
                   "<NextContinuationToken>t</NextContinuationToken>" +
                   contents("d/a+b") + "<CommonPrefixes><Prefix>d/x/</Prefix></CommonPrefixes>"))};
  const auto page = store_->list_objects({"d/", "/", "", "d/A", 50}, kOptions);
  ASSERT_TRUE(page.ok()) << page.error().detail;
  EXPECT_EQ(page->objects[0].key, "d/a b");
  EXPECT_EQ(page->next_token, "t");
  EXPECT_EQ(record_.sent[0].target,
            "/bucket?list-type=2&encoding-type=url&max-keys=50&prefix=d%2F&delimiter=%2F"
            "&start-after=d%2FA");
}

TEST_F(ClientTest, HostileListingsAreErrors) {
  const std::string more = "<IsTruncated>true</IsTruncated>";
  for (const std::string& body :
       {listing(contents("b") + contents("a")), listing(contents("a") + contents("a")),
        listing(more + contents("a")), listing(more),
        listing(more + "<NextContinuationToken>t</NextContinuationToken>" + contents("a")),
        listing("<CommonPrefixes><Prefix>x/</Prefix></CommonPrefixes>"), std::string("<html/>"),
        "<!DOCTYPE x>" + listing(""), std::string(), listing("").substr(0, 30)}) {
    record_.answers = {answer(200, body)};
    const Error error = failed(store_->list_objects({"", "", "t", "", 1'000}, kOptions));
    EXPECT_EQ(error.code, ErrorCode::server_error) << body;
    EXPECT_EQ(error.request_id, "id-1");
  }
}

TEST_F(ClientTest, UploadsInParts) {
  record_.answers = {answer(200,
                            "<InitiateMultipartUploadResult><UploadId>i/1</UploadId>"
                            "</InitiateMultipartUploadResult>"),
                     answer(200, "", {{"ETag", "\"e1\""}}),
                     answer(200, "<CopyPartResult><ETag>\"e2\"</ETag></CopyPartResult>"),
                     answer(200,
                            "<CompleteMultipartUploadResult><ETag>\"e-2\"</ETag>"
                            "</CompleteMultipartUploadResult>",
                            {{"x-amz-version-id", "v"}})};
  const auto id = store_->create_upload("k", "t/x", {{"m", "1"}}, kOptions);
  ASSERT_TRUE(id.ok());
  EXPECT_EQ(record_.sent[0].target, "/bucket/k?uploads");
  EXPECT_EQ(record_.sent[0].headers.get("x-amz-meta-m"), "1");
  const auto first = store_->upload_part("k", *id, 1, put_request("body").payload, kOptions);
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(*first, (UploadedPart{1, "e1", 4}));
  EXPECT_EQ(record_.sent[1].target, "/bucket/k?uploadId=i%2F1&partNumber=1");
  const auto second = store_->upload_part_copy("k", *id, 2, "s", "v", {10, 5}, kOptions);
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(*second, (UploadedPart{2, "e2", 5}));
  EXPECT_EQ(record_.sent[2].headers.get("x-amz-copy-source-range"), "bytes=10-14");
  const auto stored = store_->complete_upload("k", *id, {*first, *second}, kOptions);
  ASSERT_TRUE(stored.ok());
  EXPECT_EQ(stored->etag, "e-2");
  EXPECT_EQ(stored->version_id, "v");
  EXPECT_EQ(record_.sent[3].method, "POST");
  EXPECT_TRUE(record_.sent[3].body.contains("<PartNumber>2</PartNumber><ETag>\"e2\"</ETag>"));
}

TEST_F(ClientTest, AnUploadThatIsGoneIsToldApart) {
  record_.answers = {refusal(404, "NoSuchUpload")};
  const Error error = failed(store_->upload_part("k", "i", 1, put_request("x").payload, kOptions));
  EXPECT_EQ(error.code, ErrorCode::not_found);
  EXPECT_EQ(error.cause, Cause::upload_gone);
}

TEST_F(ClientTest, ListsPartsOfAllPages) {
  record_.answers = {
      answer(200,
             "<ListPartsResult><IsTruncated>true</IsTruncated>"
             "<NextPartNumberMarker>1</NextPartNumberMarker><Part><PartNumber>1</PartNumber>"
             "<ETag>a</ETag><Size>5</Size></Part></ListPartsResult>"),
      answer(200,
             "<ListPartsResult><Part><PartNumber>2</PartNumber><ETag>b</ETag><Size>6</Size>"
             "</Part></ListPartsResult>")};
  const auto parts = store_->list_parts("k", "i", kOptions);
  ASSERT_TRUE(parts.ok());
  EXPECT_EQ(*parts, (std::vector<UploadedPart>{{1, "a", 5}, {2, "b", 6}}));
  EXPECT_EQ(record_.sent[1].target, "/bucket/k?uploadId=i&max-parts=1000&part-number-marker=1");
}

std::string listed_version(const std::string& kind, const std::string& key, const std::string& id,
                           const std::string& latest) {
  return "<" + kind + "><Key>" + key + "</Key><VersionId>" + id + "</VersionId><IsLatest>" + latest +
         "</IsLatest><LastModified>2013-05-24T00:00:00Z</LastModified></" + kind + ">";
}

std::string versions_page(const std::string& inside, const std::string& key_marker = "",
                          const std::string& id_marker = "") {
  const std::string more = "<IsTruncated>true</IsTruncated><NextKeyMarker>" + key_marker +
                           "</NextKeyMarker><NextVersionIdMarker>" + id_marker +
                           "</NextVersionIdMarker>";
  return "<ListVersionsResult>" + (key_marker.empty() ? "" : more) + inside +
         "</ListVersionsResult>";
}

TEST_F(ClientTest, ListsTheVersionsOfOneKeyOfAllPages) {
  record_.answers = {
      answer(200, versions_page(listed_version("DeleteMarker", "d/k", "3", "true") +
                                    listed_version("Version", "d/k", "2", "false"),
                                "d/k", "2")),
      answer(200, versions_page(listed_version("Version", "d/k", "1", "false") +
                                    listed_version("Version", "d/k2", "9", "true"),
                                "d/k2", "9"))};
  const auto versions = store_->list_versions("d/k", kOptions);
  ASSERT_TRUE(versions.ok()) << versions.error().detail;
  EXPECT_EQ(*versions, (std::vector<ObjectVersion>{{"3", true}, {"2", false}, {"1", false}}));
  ASSERT_EQ(record_.sent.size(), 2U);
  EXPECT_EQ(record_.sent[0].target,
            "/bucket?versions&encoding-type=url&max-keys=1000&prefix=d%2Fk");
  EXPECT_EQ(record_.sent[1].target,
            "/bucket?versions&encoding-type=url&max-keys=1000&prefix=d%2Fk&key-marker=d%2Fk"
            "&version-id-marker=2");
}

TEST_F(ClientTest, HistoriesThatMakeNoSenseAreErrors) {
  const std::string newest = listed_version("Version", "k", "1", "true");
  const auto fails = [&](const std::string& body) {
    record_.answers = {answer(200, body)};
    return failed(store_->list_versions("k", kOptions)).code == ErrorCode::server_error;
  };
  EXPECT_TRUE(fails(versions_page(listed_version("Version", "j", "1", "true"))));
  EXPECT_TRUE(fails(versions_page(listed_version("Version", "k", "1", "false"))));
  EXPECT_TRUE(fails(versions_page(newest, "k", "")));
  EXPECT_TRUE(fails("<html/>"));
  record_.answers = {answer(200, versions_page(newest, "k", "1")),
                     answer(200, versions_page(newest, "k", "1"))};
  EXPECT_FALSE(store_->list_versions("k", kOptions).ok());
}

TEST_F(ClientTest, ListsUploadsOfAllPages) {
  const auto page = [](const std::string& key, const std::string& more) {
    return answer(200, "<ListMultipartUploadsResult>" + more + "<Upload><Key>" + key +
                           "</Key><UploadId>i</UploadId><Initiated>2013-05-24T00:00:00Z"
                           "</Initiated></Upload></ListMultipartUploadsResult>");
  };
  const std::string more =
      "<IsTruncated>true</IsTruncated><NextKeyMarker>p/a</NextKeyMarker>"
      "<NextUploadIdMarker>i</NextUploadIdMarker>";
  record_.answers = {page("p/a", more), page("p/b", "")};
  const auto uploads = store_->list_uploads("p/", kOptions);
  ASSERT_TRUE(uploads.ok());
  EXPECT_EQ(uploads->size(), 2U);
  EXPECT_EQ(record_.sent[1].target,
            "/bucket?uploads&encoding-type=url&max-uploads=1000&prefix=p%2F&key-marker=p%2Fa"
            "&upload-id-marker=i");
  record_.answers = {page("p/a", more), page("p/a", more)};
  EXPECT_FALSE(store_->list_uploads("p/", kOptions).ok());
}

}  // namespace
}  // namespace spillway::s3
