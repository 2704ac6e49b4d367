#include <array>

#include "tests/contract/contract.h"

namespace spillway {

namespace {

class NameContract : public ContractTest {};
RUN_ON_ALL_STORES(NameContract);

std::vector<std::string> odd_names() {
  std::vector<std::string> names = {"a b",
                                    "a+b",
                                    "a&b=c",
                                    "100%",
                                    "a%20b",
                                    "a%2Fb",
                                    "a#b",
                                    "a?b=c&d",
                                    "quo'te\"s",
                                    "\xF0\x9F\x98\x80/\xC3\xA9",
                                    "a;b:c,d@e!$*()",
                                    "back\\slash",
                                    "~tilde_-.",
                                    "<xml>&amp;]]>",
                                    "caf\xC3\xA9",
                                    "cafe\xCC\x81",
                                    "\xC2\xA0",
                                    "{}|^`[]",
                                    " leading and trailing ",
                                    "...",
                                    ".hidden",
                                    "-dash"};
  for (int byte = 0x20; byte < 0x7f; ++byte) {
    if (byte != '/')
      names.push_back("byte " + std::to_string(byte) + " " + static_cast<char>(byte));
  }
  return names;
}

}  // namespace

TEST_P(NameContract, OddNamesAreStoredUnderThatVeryName) {
  for (const std::string& name : odd_names()) {
    SCOPED_TRACE(name);
    ASSERT_TRUE(succeeded(put_text(store(), key(name), name)));
    EXPECT_EQ(get_text(store(), key(name)).value(), name);
    EXPECT_TRUE(succeeded(store().head_object(key(name), "", {})));
  }
}

TEST_P(NameContract, OddNamesAreListedOnceEach) {
  std::vector<std::string> names = odd_names();
  for (std::string& name : names) {
    name = key(name);
    ASSERT_TRUE(succeeded(put_text(store(), name, "x")));
  }
  std::ranges::sort(names);
  ListRequest request;
  request.prefix = prefix();
  request.max_keys = 7;
  const auto listing = list_all(store(), request);
  ASSERT_TRUE(succeeded(listing));
  std::vector<std::string> listed;
  for (const ObjectInfo& object : listing->objects) listed.push_back(object.key);
  EXPECT_EQ(listed, names);
}

TEST_P(NameContract, OddNamesAreCopiedAndDeleted) {
  for (const std::string& name : odd_names()) {
    SCOPED_TRACE(name);
    ASSERT_TRUE(succeeded(put_text(store(), key("from " + name), name)));
    const CopyRequest copy = {key("from " + name), "", key("to " + name), std::nullopt, ""};
    ASSERT_TRUE(succeeded(store().copy_object(copy, {})));
    ASSERT_TRUE(succeeded(store().delete_object(key("from " + name), "", {})));
    EXPECT_TRUE(
        failed_with(store().head_object(key("from " + name), "", {}), ErrorCode::not_found));
    EXPECT_EQ(get_text(store(), key("to " + name)).value(), name);
  }
}

TEST_P(NameContract, OddPrefixesSelectTheirOwn) {
  for (const std::string prefix : {"a b/", "a+b/", "a%20b/", "a&b/", "\xF0\x9F\x98\x80/", "q?/"}) {
    SCOPED_TRACE(prefix);
    ASSERT_TRUE(succeeded(put_text(store(), key(prefix + "x y"), "x")));
    const auto listing = store().list_objects({key(prefix), "/", "", "", 10}, {});
    ASSERT_TRUE(succeeded(listing));
    ASSERT_EQ(listing->objects.size(), 1U);
    EXPECT_EQ(listing->objects[0].key, key(prefix + "x y"));
  }
}

TEST_P(NameContract, OddNamesWorkForUploads) {
  const Key name = key("up & %2F + \xF0\x9F\x98\x80?#");
  const auto id = store().create_upload(name, "", {}, {});
  ASSERT_TRUE(succeeded(id));
  const auto part = put_part(store(), name, *id, 1, "part");
  ASSERT_TRUE(succeeded(part));
  const auto uploads = store().list_uploads(prefix(), {});
  ASSERT_TRUE(succeeded(uploads));
  ASSERT_EQ(uploads->size(), 1U);
  EXPECT_EQ(uploads->front().key, name);
  EXPECT_EQ(uploads->front().id, *id);
  EXPECT_TRUE(succeeded(store().complete_upload(name, *id, {*part}, {})));
  EXPECT_EQ(get_text(store(), name).value(), "part");
}

TEST_P(NameContract, TheLongestKeyIsPossible) {
  Key name = key("");
  while (name.size() + 251 < kLongestKey) name += std::string(250, 'n') + "/";
  name += std::string(kLongestKey - name.size(), 'e');
  ASSERT_TRUE(succeeded(put_text(store(), name, "long")));
  EXPECT_EQ(get_text(store(), name).value(), "long");
}

TEST_P(NameContract, ANameMayEndInASlash) {
  ASSERT_TRUE(succeeded(put_text(store(), key("dir/"), "")));
  ASSERT_TRUE(succeeded(put_text(store(), key("dir/file"), "x")));
  const auto info = store().head_object(key("dir/"), "", {});
  ASSERT_TRUE(succeeded(info));
  EXPECT_EQ(info->size, 0U);
  const auto listing = store().list_objects({key("dir/"), "/", "", "", 10}, {});
  ASSERT_TRUE(succeeded(listing));
  ASSERT_EQ(listing->objects.size(), 2U);
  EXPECT_EQ(listing->objects[0].key, key("dir/"));
  EXPECT_EQ(listing->objects[1].key, key("dir/file"));
}

TEST_P(NameContract, KeysAreNoPaths) {
  if (traits().keys_are_paths) GTEST_SKIP() << "this server keeps objects as files";
  for (const std::string name : {"a", "a/b", "a/./b", "a/../b", "..", "."}) {
    SCOPED_TRACE(name);
    ASSERT_TRUE(succeeded(put_text(store(), key(name), name)));
    EXPECT_EQ(get_text(store(), key(name)).value(), name);
  }
}

TEST_P(NameContract, AnEmptyKeyIsRefused) {
  EXPECT_FALSE(store().put_object({"", payload_of("x"), "", {}}, {}).ok());
  EXPECT_FALSE(store().delete_object("", "", {}).ok());
}

}  // namespace spillway
