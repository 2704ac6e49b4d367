#include "s3/xml.h"

#include <gtest/gtest.h>

#include "s3/dates.h"

namespace spillway::s3 {
namespace {

const std::string kDeclaration = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

std::string contents(const std::string& key) {
  return "<Contents><Key>" + key +
         "</Key><LastModified>2013-05-24T00:00:00.000Z</LastModified>"
         "<ETag>&quot;abc&quot;</ETag><Size>12</Size></Contents>";
}

std::string list_body(const std::string& inside) {
  return kDeclaration + "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">" +
         inside + "</ListBucketResult>";
}

TEST(Xml, ReadsErrors) {
  const auto error = parse_error(kDeclaration +
                                 "<Error><Code>AccessDenied</Code><Message>a &amp; b</Message>"
                                 "<RequestId>r</RequestId></Error>");
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code, "AccessDenied");
  EXPECT_EQ(error->message, "a & b");
  EXPECT_EQ(error->request_id, "r");
  EXPECT_EQ(parse_error("<Error><Message><![CDATA[<b>]]></Message></Error>")->message, "<b>");
}

TEST(Xml, TellsErrorsFromEverythingElse) {
  for (const char* const body :
       {"", "   ", "<html><body>502</body></html>", "<!doctype html><html></html>", "<Error>",
        "<Errors><Code>x</Code></Errors>", "plain", "<Error><Code>x</Error>"}) {
    EXPECT_FALSE(parse_error(body)) << body;
  }
}

TEST(Xml, ReadsAListing) {
  const auto page =
      parse_list(list_body("<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>"
                           "<NextContinuationToken>t+/=</NextContinuationToken>" +
                           contents("a+b%2Bc%20d/%F0%9F%98%80%2541") + contents("b%0Ac") +
                           "<CommonPrefixes><Prefix>x+y/</Prefix></CommonPrefixes>"));
  ASSERT_TRUE(page.ok()) << page.error().detail;
  ASSERT_EQ(page->listing.objects.size(), 2U);
  const ObjectInfo& object = page->listing.objects[0];
  EXPECT_EQ(object.key, "a b+c d/\xF0\x9F\x98\x80%41");
  EXPECT_EQ(object.size, 12U);
  EXPECT_EQ(object.etag, "abc");
  EXPECT_EQ(object.last_modified, parse_iso_date("2013-05-24T00:00:00Z"));
  EXPECT_EQ(page->listing.objects[1].key, "b\nc");
  EXPECT_EQ(page->listing.prefixes, std::vector<std::string>{"x y/"});
  EXPECT_TRUE(page->truncated);
  EXPECT_EQ(page->listing.next_token, "t+/=");
}

TEST(Xml, LeavesKeysAloneThatAreNotEncoded) {
  const auto page = parse_list(list_body("<IsTruncated>false</IsTruncated>" + contents("a+b%41")));
  ASSERT_TRUE(page.ok());
  EXPECT_EQ(page->listing.objects[0].key, "a+b%41");
}

TEST(Xml, RefusesListingsThatMakeNoSense) {
  const std::string good = contents("k");
  const auto without = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    return list_body(text.replace(text.find(from), from.size(), to));
  };
  for (const std::string& body :
       {without("12", ""), without("12", "-1"), without("12", "1x"),
        without("12", "99999999999999999999"), without("2013-05", "2013-55"),
        without("<Key>k</Key>", ""), without("<Key>k</Key>", "<Key></Key>"),
        list_body("<EncodingType>url</EncodingType>" + contents("%4")),
        list_body("<IsTruncated>perhaps</IsTruncated>"), std::string("<ListBucketResult>"),
        std::string(), std::string("<Error><Code>x</Code></Error>")}) {
    const auto page = parse_list(body);
    ASSERT_FALSE(page.ok()) << body;
    EXPECT_EQ(page.error().code, ErrorCode::server_error);
  }
}

TEST(Xml, RefusesDeclarations) {
  EXPECT_FALSE(parse_list("<!DOCTYPE r [<!ENTITY a \"b\">]>" + list_body("")).ok());
  EXPECT_FALSE(parse_list("<!doctype r>" + list_body("")).ok());
  EXPECT_FALSE(parse_list(list_body("<!ENTITY a \"b\">")).ok());
  EXPECT_TRUE(parse_list(list_body("<!-- a comment -->")).ok());
}

TEST(Xml, RefusesBodiesThatAreTooMuch) {
  EXPECT_FALSE(parse_list(list_body(std::string(kListBodyLimit, ' '))).ok());
  EXPECT_FALSE(
      parse_error("<Error><Message>" + std::string(kSmallBodyLimit, 'x') + "</Message></Error>"));
  std::string many;
  for (std::size_t tag = 0; tag < kMostTags; ++tag) many += "<a/>";
  EXPECT_FALSE(parse_list(list_body(many)).ok());
  EXPECT_FALSE(parse_list(list_body("<a><b><c><d><e><f><g><h/></g></f></e></d></c></b></a>")).ok());
  std::string deep;
  for (int level = 0; level < 50'000; ++level) deep += "<a>";
  EXPECT_FALSE(parse_list(list_body(deep)).ok());
  EXPECT_FALSE(parse_list(list_body(std::string("a\0b", 3))).ok());
}

TEST(Xml, ReadsAFullPage) {
  std::string body;
  for (int number = 10'000; number < 11'000; ++number) body += contents(std::to_string(number));
  const auto page = parse_list(list_body(body));
  ASSERT_TRUE(page.ok());
  EXPECT_EQ(page->listing.objects.size(), 1'000U);
}

TEST(Xml, ReadsParts) {
  const auto page = parse_parts(
      "<ListPartsResult><NextPartNumberMarker>2</NextPartNumberMarker>"
      "<IsTruncated>true</IsTruncated>"
      "<Part><PartNumber>1</PartNumber><ETag>\"a\"</ETag><Size>5</Size></Part>"
      "<Part><PartNumber>2</PartNumber><ETag>\"b\"</ETag><Size>6</Size></Part></ListPartsResult>");
  ASSERT_TRUE(page.ok());
  EXPECT_EQ(page->parts, (std::vector<UploadedPart>{{1, "a", 5}, {2, "b", 6}}));
  EXPECT_EQ(page->next_marker, 2);
  EXPECT_FALSE(parse_parts("<ListPartsResult><Part><PartNumber>10001</PartNumber><ETag>a</ETag>"
                           "<Size>1</Size></Part></ListPartsResult>")
                   .ok());
}

TEST(Xml, ReadsUnfinishedUploads) {
  const auto page = parse_uploads(
      "<ListMultipartUploadsResult><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>"
      "<NextKeyMarker>a+b</NextKeyMarker><NextUploadIdMarker>m</NextUploadIdMarker>"
      "<Upload><Key>a+b</Key><UploadId>i</UploadId><Initiated>2013-05-24T00:00:00Z</Initiated>"
      "</Upload></ListMultipartUploadsResult>");
  ASSERT_TRUE(page.ok());
  ASSERT_EQ(page->uploads.size(), 1U);
  EXPECT_EQ(page->uploads[0].key, "a b");
  EXPECT_EQ(page->uploads[0].id, "i");
  EXPECT_EQ(page->next_key_marker, "a b");
  EXPECT_EQ(page->next_upload_id_marker, "m");
}

std::string rule(const std::string& days, const std::string& status = "Enabled") {
  return "<Rule><ID>r</ID><Filter><Prefix/></Filter><Status>" + status +
         "</Status><AbortIncompleteMultipartUpload><DaysAfterInitiation>" + days +
         "</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule>";
}

std::string rules_body(const std::string& rules) {
  return kDeclaration +
         "<LifecycleConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">" + rules +
         "</LifecycleConfiguration>";
}

std::string versions_body(const std::string& inside) {
  return "<ListVersionsResult><EncodingType>url</EncodingType>" + inside + "</ListVersionsResult>";
}

TEST(Xml, ReadsVersionsAndHideMarkers) {
  const auto page = parse_versions(versions_body(
      "<IsTruncated>true</IsTruncated><NextKeyMarker>a+b</NextKeyMarker>"
      "<NextVersionIdMarker>1</NextVersionIdMarker>"
      "<DeleteMarker><Key>a+b</Key><VersionId>2</VersionId><IsLatest>true</IsLatest>"
      "<LastModified>2013-05-24T00:00:01Z</LastModified></DeleteMarker>"
      "<Version><Key>a+b</Key><VersionId>1</VersionId><IsLatest>false</IsLatest>"
      "<LastModified>2013-05-24T00:00:00Z</LastModified><Size>1</Size></Version>"));
  ASSERT_TRUE(page.ok());
  EXPECT_TRUE(page->truncated);
  EXPECT_EQ(page->next_key_marker, "a b");
  EXPECT_EQ(page->next_version_id_marker, "1");
  ASSERT_EQ(page->versions.size(), 2U);
  EXPECT_EQ(page->versions[0].key, "a b");
  EXPECT_EQ(page->versions[0].version, (ObjectVersion{"2", true}));
  EXPECT_EQ(page->versions[1].version, (ObjectVersion{"1", false}));
  EXPECT_TRUE(page->versions[0].is_latest);
  EXPECT_FALSE(page->versions[1].is_latest);
  EXPECT_GT(page->versions[0].last_modified, page->versions[1].last_modified);
}

TEST(Xml, RefusesVersionsThatLackSomething) {
  const std::string key = "<Key>a</Key>";
  const std::string id = "<VersionId>1</VersionId>";
  const std::string date = "<LastModified>2013-05-24T00:00:00Z</LastModified>";
  EXPECT_TRUE(parse_versions(versions_body("<Version>" + key + id + date + "</Version>")).ok());
  for (const std::string& fields :
       {id + date, key + date, key + id, key + "<VersionId>&#1;</VersionId>" + date,
        key + id + date + "<IsLatest>maybe</IsLatest>"}) {
    EXPECT_FALSE(parse_versions(versions_body("<Version>" + fields + "</Version>")).ok()) << fields;
    EXPECT_FALSE(parse_versions(versions_body("<DeleteMarker>" + fields + "</DeleteMarker>")).ok());
  }
  EXPECT_FALSE(parse_versions(versions_body("<IsTruncated>true</IsTruncated>")).ok());
  EXPECT_FALSE(parse_versions("<ListBucketResult/>").ok());
}

TEST(Xml, ReadsTheRuleThatAbortsUploadsFirst) {
  const std::string expiry =
      "<Rule><Status>Enabled</Status><NoncurrentVersionExpiration><NoncurrentDays>1"
      "</NoncurrentDays></NoncurrentVersionExpiration></Rule>";
  EXPECT_EQ(*parse_abort_rule(rules_body(expiry + rule("30") + rule("7") + rule("8"))), 7);
  EXPECT_EQ(*parse_abort_rule(rules_body(rule("7") + rule("1", "Disabled"))), 7);
  EXPECT_EQ(*parse_abort_rule(rules_body(rule("2147483647"))), 2'147'483'647);
  for (const std::string& rules :
       {std::string(), expiry, rule("7", "Disabled"), rule("7", ""), rule("none", "Disabled")}) {
    const auto days = parse_abort_rule(rules_body(rules));
    ASSERT_TRUE(days.ok()) << rules;
    EXPECT_FALSE(days->has_value()) << rules;
  }
}

TEST(Xml, RefusesRulesWithoutDays) {
  for (const char* const days : {"", "0", "-1", "7.5", "7 ", "+7", "0x7", "seven", "2147483648",
                                 "99999999999999999999999999", "<a>7</a>"}) {
    EXPECT_FALSE(parse_abort_rule(rules_body(rule("7") + rule(days))).ok()) << days;
  }
  const std::string empty =
      "<Rule><Status>Enabled</Status><AbortIncompleteMultipartUpload/></Rule>";
  EXPECT_FALSE(parse_abort_rule(rules_body(empty)).ok());
}

TEST(Xml, RefusesWhatIsNoLifecycleConfiguration) {
  EXPECT_FALSE(parse_abort_rule("<!DOCTYPE a [<!ENTITY d \"7\">]>" + rules_body(rule("&d;"))).ok());
  EXPECT_FALSE(parse_abort_rule(list_body("")).ok()) << "a server that ignores ?lifecycle lists";
  EXPECT_FALSE(parse_abort_rule("<LifecycleConfiguration>" + rule("7")).ok());
  EXPECT_FALSE(parse_abort_rule("").ok());
}

TEST(Xml, ReadsResults) {
  EXPECT_EQ(*parse_created_upload("<InitiateMultipartUploadResult><UploadId>4_z</UploadId>"
                                  "</InitiateMultipartUploadResult>"),
            "4_z");
  EXPECT_FALSE(parse_created_upload("<InitiateMultipartUploadResult><UploadId>a&#10;b</UploadId>"
                                    "</InitiateMultipartUploadResult>")
                   .ok());
  // White space keeps the connection alive while the server puts the parts together.
  EXPECT_EQ(*parse_etag_of("CompleteMultipartUploadResult",
                           "  \n " + kDeclaration +
                               "<CompleteMultipartUploadResult><ETag>&#34;a-2&#34;</ETag>"
                               "</CompleteMultipartUploadResult>"),
            "a-2");
  EXPECT_FALSE(
      parse_etag_of("CopyPartResult", "<CopyObjectResult><ETag>a</ETag></CopyObjectResult>").ok());
  EXPECT_FALSE(parse_etag_of("CopyPartResult", "").ok());
}

TEST(Xml, WritesTheListOfParts) {
  EXPECT_EQ(write_complete({{1, "a", 0}, {2, "b<&", 0}}),
            "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
            "<Part><PartNumber>1</PartNumber><ETag>\"a\"</ETag></Part>"
            "<Part><PartNumber>2</PartNumber><ETag>\"b&lt;&amp;\"</ETag></Part>"
            "</CompleteMultipartUpload>");
}

TEST(Xml, TakesTheQuotesOffAnEtag) {
  EXPECT_EQ(unquoted("\"a\""), "a");
  EXPECT_EQ(unquoted("a"), "a");
  EXPECT_EQ(unquoted("W/\"a\""), "a");
  EXPECT_EQ(unquoted("\""), "\"");
  EXPECT_EQ(unquoted(""), "");
}

}  // namespace
}  // namespace spillway::s3
