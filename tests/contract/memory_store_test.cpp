// The hooks by which a test makes any call of the in-memory store fail.
#include "tests/support/memory_store.h"

#include "tests/contract/contract.h"

namespace spillway {

namespace {

Error server_error() {
  Error error;
  error.code = ErrorCode::server_error;
  error.detail = "as told";
  return error;
}

}  // namespace

TEST(MemoryStore, AFailureBeforeLeavesNoTrace) {
  MemoryStore store;
  store.fail_before([](StoreVerb verb, const Key&, int) -> std::optional<Error> {
    if (verb == StoreVerb::put_object) return server_error();
    return std::nullopt;
  });
  EXPECT_TRUE(failed_with(put_text(store, "key", "x"), ErrorCode::server_error, Cause::none));
  EXPECT_TRUE(store.versions().empty());
}

TEST(MemoryStore, AFailureAfterIsAmbiguousAndTookEffect) {
  MemoryStore store;
  store.fail_after([](StoreVerb verb, const Key&, int) -> std::optional<Error> {
    if (verb == StoreVerb::put_object) return server_error();
    return std::nullopt;
  });
  EXPECT_TRUE(failed_with(put_text(store, "key", "x"), ErrorCode::server_error, Cause::ambiguous));
  EXPECT_EQ(store.content("key"), "x");
}

TEST(MemoryStore, CallsAreNumbered) {
  MemoryStore store;
  std::string seen;
  store.fail_before([&](StoreVerb verb, const Key& key, int number) -> std::optional<Error> {
    seen += std::to_string(number) + " " + std::string(to_string(verb)) + " " + key + "\n";
    if (number == 2) return server_error();
    return std::nullopt;
  });
  EXPECT_TRUE(put_text(store, "a", "x").ok());
  EXPECT_FALSE(store.head_object("a", "", {}).ok());
  EXPECT_TRUE(store.head_object("a", "", {}).ok());
  EXPECT_EQ(seen, "1 put_object a\n2 head_object a\n3 head_object a\n");
  EXPECT_EQ(store.calls(), 3);
  EXPECT_EQ(store.calls(StoreVerb::head_object), 2);
}

TEST(MemoryStore, ShowsAllVersionsAndUploads) {
  MemoryStore store;
  ASSERT_TRUE(put_text(store, "key", "one").ok());
  ASSERT_TRUE(put_text(store, "key", "two").ok());
  ASSERT_TRUE(store.delete_object("key", "", {}).ok());
  const auto versions = store.versions();
  ASSERT_EQ(versions.size(), 3U);
  EXPECT_TRUE(versions[0].hide_marker && versions[0].newest);
  EXPECT_EQ(versions[1].bytes, "two");
  EXPECT_EQ(versions[2].bytes, "one");
  const auto id = store.create_upload("up", "", {}, {});
  ASSERT_TRUE(put_part(store, "up", *id, 1, "part").ok());
  ASSERT_EQ(store.uploads().size(), 1U);
  EXPECT_EQ(store.uploads()[0].parts[0].size, 4U);
  store.abort_all_uploads();
  EXPECT_TRUE(store.uploads().empty());
}

}  // namespace spillway
