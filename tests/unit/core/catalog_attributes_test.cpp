// The catalog with an attribute cache: what one mount learned costs the next one nothing but the
// listings that show it to be still true.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/temp_directory.h"
#include "tests/unit/core/catalog_fixture.h"

namespace spillway {
namespace {

using std::chrono::seconds;

class CatalogAttributesTest : public CatalogTest {
 protected:
  CatalogAttributesTest() { remount(); }
  ~CatalogAttributesTest() override { catalog_.reset(); }

  // Nothing stays but the file.
  void remount() {
    catalog_.reset();
    attributes_.reset();
    attributes_ = make_attribute_cache(directory_ / "attributes.sqlite", {}, executor_, no_log());
    make({}, *attributes_);
    executor_.step(seconds(10));
  }
  void own_marker(const std::string& key, std::uint32_t permissions) {
    RemoteDirectory directory;
    directory.has_marker = true;
    directory.metadata.kind = FileKind::directory;
    directory.metadata.permissions = permissions;
    const auto stored = put_text(store_, key + "/", "", to_map(directory.metadata));
    ASSERT_TRUE(stored.ok());
    directory.version = VersionIdentity{.size = 0,
                                        .etag = stored->etag,
                                        .modified = stored->date,
                                        .source = VersionIdentity::Source::answer};
    catalog_->directory_stored(path(key), directory);
  }
  void learn(const std::vector<std::string>& names) {
    std::vector<Path> files;
    for (const auto& name : names) files.push_back(path(name));
    EXPECT_TRUE(catalog_->learn(files).ok());
  }

 private:
  TempDirectory directory_;
  std::unique_ptr<AttributeCache> attributes_;
};

TEST_F(CatalogAttributesTest, WhatHeadToldIsAskedOnce) {
  foreign_put("f", "text", {{"mtime", "1600000000"}, {"mode", "33152"}});
  const RemoteFile before = *find("f").file;
  EXPECT_EQ(heads(), 1);
  remount();
  EXPECT_EQ(cost([&] {
              const RemoteFile after = *find("f").file;
              EXPECT_EQ(after.metadata, before.metadata);
              EXPECT_EQ(after.version_id, before.version_id);
              EXPECT_EQ(after.content_type, before.content_type);
              EXPECT_EQ(after.last_modified, before.last_modified);
            }),
            std::pair(1, 0));
}

TEST_F(CatalogAttributesTest, OwnUploadsAreNeverAskedFor) {
  own_put("f");
  executor_.step(seconds(1));
  remount();
  EXPECT_EQ(cost([&] { EXPECT_EQ(find("f").file->metadata.correlation_id, "own"); }),
            std::pair(1, 0));
}

TEST_F(CatalogAttributesTest, WhatIsThisMountsOwnKnowledgeIsNotKept) {
  const auto stored = put_text(store_, "f", "text", {});
  RemoteFile file;
  file.size = 4;
  file.etag = stored->etag;
  file.version_id = stored->version_id;
  file.last_modified = stored->date;
  file.is_first_version = true;
  file.history = StorageReport();
  catalog_->file_stored(path("f"), file);
  EXPECT_TRUE(find("f").file->is_first_version);
  remount();
  EXPECT_EQ(cost([&] {
              const auto found = find("f").file;
              EXPECT_FALSE(found->is_first_version);
              EXPECT_FALSE(found->history);
              EXPECT_EQ(found->version_id, stored->version_id);
            }),
            std::pair(1, 0));
}

TEST_F(CatalogAttributesTest, AnotherVersionIsAskedForAndReplacesTheOneKept) {
  foreign_put("f", "text", {{"mtime", "1"}});
  find("f");
  remount();
  foreign_put("f", "text", {{"mtime", "2"}});  // the same bytes at another time
  EXPECT_EQ(find("f").file->metadata.mtime, WallTime(seconds(2)));
  EXPECT_EQ(heads(), 2);
  remount();
  EXPECT_EQ(find("f").file->metadata.mtime, WallTime(seconds(2)));
  EXPECT_EQ(heads(), 2);
}

TEST_F(CatalogAttributesTest, AVersionOfAnotherTimeIsNotTheOwnOneKept) {
  own_put("f");
  remount();
  foreign_put("f", "text", {{"spillway-id", "foreign"}});
  EXPECT_EQ(find("f").file->metadata.correlation_id, "foreign");
  EXPECT_EQ(heads(), 1);
}

TEST_F(CatalogAttributesTest, WhatWasRemovedIsForgotten) {
  own_put("f");
  own_put("g");
  own_delete("f");
  catalog_->file_in_doubt(path("g"));
  // Alike to what was there, and within the tolerance of its time.
  foreign_put("f", "text", {{"spillway-id", "foreign"}});
  foreign_put("g", "text", {{"spillway-id", "foreign"}});
  remount();
  EXPECT_EQ(find("f").file->metadata.correlation_id, "foreign");
  EXPECT_EQ(find("g").file->metadata.correlation_id, "foreign");
}

TEST_F(CatalogAttributesTest, MarkersAreNeverAskedForTwice) {
  foreign_put("theirs/", "", {{"mode", std::to_string(0040700)}});
  foreign_put("theirs/f");
  foreign_put("implied/sub/f");
  own_marker("ours", 0711);
  EXPECT_EQ(find("theirs").directory->metadata.permissions, 0700U);
  find("implied/sub");
  find("implied/sub/f");
  const int heads_before = heads();
  remount();
  EXPECT_EQ(find("theirs").directory->metadata.permissions, 0700U);
  EXPECT_EQ(find("ours").directory->metadata.permissions, 0711U);
  EXPECT_TRUE(find("ours").directory->has_marker);
  EXPECT_TRUE(is_directory("implied"));
  EXPECT_FALSE(find("implied").directory->has_marker);
  EXPECT_TRUE(is_directory("implied/sub"));
  EXPECT_EQ(heads(), heads_before);
  EXPECT_EQ(cost([&] { names("theirs"); }), kFree) << "listed already";
}

TEST_F(CatalogAttributesTest, AMarkerThatWasReplacedIsAskedFor) {
  own_marker("d", 0711);
  own_put("d/f");
  remount();
  foreign_put("d/", "", {{"mode", std::to_string(0040700)}});
  EXPECT_EQ(find("d").directory->metadata.permissions, 0700U);
  EXPECT_EQ(heads(), 1);
  foreign_delete("d/");
  catalog_->directory_removed(path("d"));
  foreign_put("d/", "", {{"mode", std::to_string(0040755)}});
  remount();
  EXPECT_EQ(find("d").directory->metadata.permissions, 0755U);
}

// One of more pages than a look-up may cost: the first one tells of the marker.
TEST_F(CatalogAttributesTest, LargeDirectoriesToo) {
  foreign_put("d/", "", {{"mode", std::to_string(0040700)}});
  std::vector<std::string> files;
  for (int i = 10'000; i < 15'000; ++i) files.push_back("d/" + std::to_string(i));
  for (const auto& file : files) foreign_put(file);
  find("d");
  names("d");
  learn(files);
  EXPECT_EQ(heads(), 5'001);
  remount();
  EXPECT_EQ(find("d").directory->metadata.permissions, 0700U);
  names("d");
  learn(files);
  EXPECT_TRUE(is_file("d/12345"));
  EXPECT_EQ(heads(), 5'001);
}

TEST_F(CatalogAttributesTest, LearnsOnlyWhatIsNotKept) {
  std::vector<std::string> files;
  for (int i = 0; i < 50; ++i) {
    files.push_back("d/" + std::to_string(i));
    foreign_put(files.back());
  }
  names("d");
  learn(files);
  EXPECT_EQ(heads(), 50);
  remount();
  foreign_put("d/7", "new");
  foreign_put("d/new", "new");
  files.emplace_back("d/new");
  names("d");
  learn(files);
  EXPECT_EQ(heads(), 52);
}

}  // namespace
}  // namespace spillway
