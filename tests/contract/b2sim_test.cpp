// b2sim's own promises: what it refuses, what it keeps, how its faults choose their calls.
#include "tests/contract/contract.h"

namespace spillway {

namespace {

using nlohmann::json;

class B2SimServer : public testing::Test {
 protected:
  [[nodiscard]] ObjectStore& store() { return client_.store(); }
  Result<StoredObject> put(const Key& key) { return put_text(store(), key, "content"); }

  B2Sim server_;
  ClientStore client_{server_.environment()};
};

}  // namespace

TEST_F(B2SimServer, RefusesTheNamesThatB2Refuses) {
  const std::string long_segment(251, 'n');
  for (const std::string& name :
       {std::string("/leading"), std::string("a//b"), std::string("control\x01"),
        std::string("delete\x7f"), std::string("not utf-8 \xff"), "dir/" + long_segment}) {
    SCOPED_TRACE(name);
    EXPECT_TRUE(failed_with(put(name), ErrorCode::invalid_request));
  }
  EXPECT_TRUE(succeeded(put("dir/" + long_segment.substr(1))));
}

TEST_F(B2SimServer, RefusesTooMuchMetadata) {
  const auto result = put_text(store(), "key", "x", {{"big", std::string(7'000, 'b')}});
  EXPECT_TRUE(failed_with(result, ErrorCode::invalid_request));
  EXPECT_TRUE(succeeded(put_text(store(), "key", "x", {{"big", std::string(6'900, 'b')}})));
}

TEST_F(B2SimServer, RefusesPartsThatLeaveAGap) {
  const auto id = store().create_upload("up", "", {}, {});
  ASSERT_TRUE(succeeded(id));
  const auto part = put_part(store(), "up", *id, 2, "x");
  ASSERT_TRUE(succeeded(part));
  const std::vector<UploadedPart> parts = {{1, part->etag, 1}, {2, part->etag, 1}};
  EXPECT_TRUE(
      failed_with(store().complete_upload("up", *id, parts, {}), ErrorCode::invalid_request));
}

TEST_F(B2SimServer, MayRefuseDirectoryMarkers) {
  const B2Sim server({.arguments = {"--no-directory-markers"}});
  ClientStore client(server.environment());
  EXPECT_TRUE(failed_with(put_text(client.store(), "dir/", ""), ErrorCode::invalid_request));
}

TEST_F(B2SimServer, KeepsEverythingOverAKill) {
  const auto old = put_text(store(), "key", "old", {{"mtime", "1"}});
  ASSERT_TRUE(succeeded(old));
  ASSERT_TRUE(succeeded(put_text(store(), "key", "new")));
  ASSERT_TRUE(succeeded(put("hidden")));
  ASSERT_TRUE(succeeded(store().delete_object("hidden", "", {})));
  ASSERT_TRUE(succeeded(store().copy_object({"key", "", "copy", std::nullopt, ""}, {})));
  ASSERT_TRUE(succeeded(store().delete_object("key", "", {})));
  const auto id = store().create_upload("up", "", {{"mode", "2"}}, {});
  ASSERT_TRUE(succeeded(id));
  const auto part = put_part(store(), "up", *id, 1, "part");
  ASSERT_TRUE(succeeded(part));
  const json before = server_.dump();
  server_.kill();
  server_.start();
  EXPECT_EQ(server_.dump(), before);
  EXPECT_EQ(get_text(store(), "copy").value(), "new");
  GetRequest request;
  request.key = "key";
  request.version_id = old->version_id;
  EXPECT_EQ(get_text(store(), request).value(), "old");
  ASSERT_TRUE(succeeded(store().complete_upload("up", *id, {*part}, {})));
  EXPECT_EQ(get_text(store(), "up").value(), "part");
}

TEST_F(B2SimServer, DumpShowsVersionsHideMarkersAndUploads) {
  ASSERT_TRUE(succeeded(put("key")));
  ASSERT_TRUE(succeeded(store().delete_object("key", "", {})));
  const auto id = store().create_upload("up", "", {}, {});
  ASSERT_TRUE(succeeded(id));
  ASSERT_TRUE(succeeded(put_part(store(), "up", *id, 1, "part")));
  const json versions = server_.versions();
  ASSERT_EQ(versions.size(), 2U);
  EXPECT_TRUE(versions[0].at("hide_marker"));
  EXPECT_TRUE(versions[0].at("newest"));
  EXPECT_FALSE(versions[1].at("hide_marker"));
  EXPECT_EQ(versions[1].at("size"), 7);
  const json uploads = server_.uploads();
  ASSERT_EQ(uploads.size(), 1U);
  EXPECT_EQ(uploads[0].at("upload_id"), *id);
  EXPECT_EQ(uploads[0].at("parts").at(0).at("size"), 4);
}

TEST_F(B2SimServer, CountsRequestsByKind) {
  ASSERT_TRUE(succeeded(put("a")));
  ASSERT_TRUE(succeeded(put("b")));
  server_.fault("PutObject", {{"status", 503}});
  EXPECT_FALSE(put("c").ok());
  EXPECT_TRUE(succeeded(get_text(store(), "a")));
  EXPECT_EQ(server_.requests(), (std::map<std::string, int>{{"GetObject", 1}, {"PutObject", 3}}));
  EXPECT_EQ(server_.get("requests").at("total"), 4);
  server_.reset_requests();
  EXPECT_TRUE(server_.requests().empty());
  EXPECT_TRUE(succeeded(get_text(store(), "a")));
  EXPECT_EQ(server_.get("requests").at("bytes_out"), 7);
}

TEST_F(B2SimServer, AFaultStrikesTheNthCallAsOftenAsAsked) {
  const json failure = {{"status", 500}, {"code", "InternalError"}};
  const int id = server_.add_fault(
      {{"match", {{"kind", "PutObject"}}}, {"nth", 3}, {"times", 2}, {"fault", failure}});
  std::string outcome;
  for (int call = 0; call < 6; ++call) outcome += put("key").ok() ? '+' : '-';
  EXPECT_EQ(outcome, "++--++");
  const json faults = server_.get("faults");
  ASSERT_EQ(faults.size(), 1U);
  EXPECT_EQ(faults[0].at("id"), id);
  EXPECT_EQ(faults[0].at("seen"), 6);
  EXPECT_EQ(faults[0].at("hits"), 2);
}

TEST_F(B2SimServer, AFaultStrikesOnlyTheKeysItNames) {
  const json failure = {{"status", 500}, {"code", "InternalError"}};
  server_.add_fault({{"match", {{"key", "music/*"}}}, {"times", -1}, {"fault", failure}});
  EXPECT_TRUE(succeeded(put("text/a")));
  EXPECT_FALSE(put("music/a").ok());
  EXPECT_FALSE(get_text(store(), "music/b").ok());
}

TEST_F(B2SimServer, AFaultStrikesOnlyTheUploadItNames) {
  const auto first = store().create_upload("up", "", {}, {});
  const auto second = store().create_upload("up", "", {}, {});
  ASSERT_TRUE(succeeded(first));
  ASSERT_TRUE(succeeded(second));
  server_.add_fault({{"match", {{"kind", "UploadPart"}, {"upload_id", *first}, {"part", 2}}},
                     {"times", -1},
                     {"fault", {{"status", 503}}}});
  EXPECT_TRUE(succeeded(put_part(store(), "up", *first, 1, "x")));
  EXPECT_FALSE(put_part(store(), "up", *first, 2, "x").ok());
  EXPECT_TRUE(succeeded(put_part(store(), "up", *second, 2, "x")));
}

TEST_F(B2SimServer, ARateIsDrawnFromItsSeed) {
  std::vector<std::string> outcomes;
  for (const int seed : {1, 1, 2}) {
    server_.clear_faults();
    server_.add_fault({{"match", {{"kind", "PutObject"}}},
                       {"times", -1},
                       {"rate", 0.5},
                       {"seed", seed},
                       {"fault", {{"status", 500}}}});
    std::string& outcome = outcomes.emplace_back();
    for (int call = 0; call < 24; ++call) outcome += put("key").ok() ? '+' : '-';
  }
  EXPECT_EQ(outcomes[0], outcomes[1]);
  EXPECT_NE(outcomes[0], outcomes[2]);
  EXPECT_NE(outcomes[0].find('+'), std::string::npos);
  EXPECT_NE(outcomes[0].find('-'), std::string::npos);
}

TEST_F(B2SimServer, AFaultThatIsNotUnderstoodIsRefused) {
  EXPECT_THROW(server_.fault("PutObject", {{"statsu", 500}}), std::runtime_error);
  EXPECT_THROW(server_.add_fault({{"match", {{"verb", "PutObject"}}}, {"fault", json::object()}}),
               std::runtime_error);
}

TEST_F(B2SimServer, APrefixRestrictedKeyStaysBelowItsPrefix) {
  server_.post("keys", {{"access_key", server_.options().access_key},
                        {"secret_key", server_.options().secret_key},
                        {"prefix", "mine/"}});
  EXPECT_TRUE(succeeded(put("mine/a")));
  EXPECT_TRUE(failed_with(put("other/a"), ErrorCode::auth_error, Cause::not_entitled));
  EXPECT_TRUE(succeeded(store().list_objects({"mine/", "", "", "", 10}, {})));
  EXPECT_TRUE(failed_with(store().list_objects({"", "", "", "", 10}, {}), ErrorCode::auth_error,
                          Cause::not_entitled));
}

TEST_F(B2SimServer, ListsInPages) {
  const B2Sim server({.arguments = {"--page", "2"}});
  ClientStore client(server.environment());
  ASSERT_TRUE(succeeded(put_text(client.store(), "source", "x")));
  const auto id = client.store().create_upload("up", "", {}, {});
  ASSERT_TRUE(succeeded(id));
  for (PartNumber number = 1; number <= 5; ++number) {
    ASSERT_TRUE(
        succeeded(client.store().upload_part_copy("up", *id, number, "source", "", {0, 1}, {})));
  }
  const auto parts = client.store().list_parts("up", *id, {});
  ASSERT_TRUE(succeeded(parts));
  ASSERT_EQ(parts->size(), 5U);
  EXPECT_EQ(parts->back().number, 5);
  EXPECT_EQ(server.requests()["ListParts"], 3);
  for (const char* key : {"many/a", "many/a", "many/a", "many/b", "many/c"}) {
    ASSERT_TRUE(succeeded(client.store().create_upload(key, "", {}, {})));
  }
  const auto uploads = client.store().list_uploads("many/", {});
  ASSERT_TRUE(succeeded(uploads));
  EXPECT_EQ(uploads->size(), 5U);
  EXPECT_EQ(server.requests()["ListMultipartUploads"], 3);
}

}  // namespace spillway
