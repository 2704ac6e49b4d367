// What the catalog's tests share: a bucket in memory, other clients' doings and our own.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/catalog.h"
#include "tests/support/manual_executor.h"
#include "tests/support/memory_store.h"
#include "tests/support/store_calls.h"

namespace spillway {

inline Path path(std::string_view text) {
  return Path::parse(text).value();
}

class CatalogTest : public testing::Test {
 protected:
  CatalogTest() { make({}); }

  void make(const CatalogSettings& settings, AttributeCache& attributes = no_attribute_cache()) {
    const auto on_hidden = [&](const Key& key) {
      const std::lock_guard held(mutex_);
      hidden_.push_back(key);
    };
    catalog_ = make_catalog(requests_, executor_, settings, on_hidden, attributes);
  }

  // Another client's doings.
  void foreign_put(const Key& key, std::string_view text = "text", const MetadataMap& map = {}) {
    ASSERT_TRUE(put_text(store_, key, text, map).ok());
  }
  void foreign_delete(const Key& key) { ASSERT_TRUE(store_.delete_object(key, {}, {}).ok()); }
  // Our own.
  void own_put(const Key& key, std::string_view text = "text") {
    const auto stored = put_text(store_, key, text, {{"spillway-id", "own"}});
    ASSERT_TRUE(stored.ok());
    RemoteFile file;
    file.size = text.size();
    file.etag = stored->etag;
    file.version_id = stored->version_id;
    file.last_modified = stored->date;
    file.metadata.correlation_id = "own";
    catalog_->file_stored(path(key), file);
  }
  void own_delete(const Key& key) {
    foreign_delete(key);
    catalog_->file_removed(path(key));
  }

  RemoteEntry find(std::string_view text) {
    auto entry = catalog_->find(path(text));
    EXPECT_TRUE(entry.ok()) << text;
    return entry.ok() ? *entry : RemoteEntry();
  }
  bool is_file(std::string_view text) { return find(text).file.has_value(); }
  bool is_directory(std::string_view text) { return find(text).directory.has_value(); }
  bool is_nothing(std::string_view text) {
    const auto entry = find(text);
    return !entry.file && !entry.directory;
  }
  std::string names(std::string_view text) {
    std::string all;
    for (std::optional<ListPosition> from = ListPosition(); from;) {
      auto listing = catalog_->list(path(text), *from);
      for (const auto& name : listing.names) {
        all += (all.empty() ? "" : " ") + name.name + (name.is_directory ? "/" : "");
      }
      if (listing.error) all += " error";
      from = std::move(listing.next);
    }
    return all;
  }
  int lists() const { return store_.calls(StoreVerb::list_objects); }
  int heads() const { return store_.calls(StoreVerb::head_object); }
  // What the calls of `work` cost.
  template <class Work>
  std::pair<int, int> cost(Work work) {
    const int lists_before = lists();
    const int heads_before = heads();
    work();
    return {lists() - lists_before, heads() - heads_before};
  }
  static constexpr std::pair<int, int> kFree{0, 0};

  void fail_all_with(ErrorCode code) {
    fault_ = Error{.code = code, .detail = "the test says so", .request_id = {}, .retry_after = {}};
  }

  ManualExecutor executor_;
  MemoryStore store_{executor_.clock()};
  Requests requests_{store_, executor_, {.reading = {}, .naming = {}, .disabled = {}}};
  std::optional<Error> fault_;
  std::mutex mutex_;
  std::vector<Key> hidden_;
  std::unique_ptr<Catalog> catalog_;
};

}  // namespace spillway
