// --delete=purge: what unlink() and rmdir leave in the bucket, and for whom a version stays.
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "s3/hash.h"
#include "src/engine.h"
#include "tests/support/memory_disk.h"
#include "tests/support/memory_store.h"
#include "tests/support/seeded_executor.h"
#include "tests/support/shadow_rig.h"
#include "tests/support/store_calls.h"

namespace spillway::testing {
namespace {

class CurrentClock final : public Clock {
 public:
  Instant now() const override { return clock->now(); }
  WallTime wall() const override { return clock->wall(); }
  const Clock* clock = nullptr;
};

class BucketPurge : public ::testing::Test {
 protected:
  BucketPurge() {
    clock_.clock = &executor_.clock();
    options_.delete_mode = DeleteMode::purge;
    options_.retry_for = options_.name_retry_for = {};
    options_.shadow_reserve = 0;
  }

  // One mount, from its start to its end.
  void mounted(const std::function<void()>& use) {
    executor_.run([&] {
      auto shadow = open_shadow(disk_, {.identity = "test/bucket", .reserve_bytes = 0}, executor_,
                                *hashing_, log_);
      ASSERT_TRUE(shadow.ok());
      EngineSettings settings;
      settings.bucket = "bucket";
      settings.options = options_;
      const auto engine =
          make_file_system({store_, **shadow, *hashing_, executor_, log_}, settings);
      shadow_ = shadow->get();
      engine_ = engine.get();
      use();
      engine->shut_down(std::chrono::seconds(60));
      EXPECT_TRUE((*shadow)->close_cleanly().ok());
    });
    disk_.process_ends();
  }

  FileHandle* create(const std::string& name) {
    const auto opened = engine_->create(
        path_of(name), 0644, {.read = true, .write = true, .truncate = true}, {});
    EXPECT_TRUE(opened.ok());
    return opened->handle;
  }
  void write(const std::string& name, const std::string& content) {
    FileHandle* const handle = create(name);
    EXPECT_TRUE(engine_->write(*handle, 0, std::as_bytes(std::span(content))).ok());
    EXPECT_TRUE(engine_->flush(*handle, {}).ok());
    engine_->release(handle);
  }
  FileHandle* open(const std::string& name) {
    const auto opened = engine_->open(path_of(name), {.read = true}, {});
    EXPECT_TRUE(opened.ok());
    return opened->handle;
  }
  std::string read(FileHandle& handle) {
    std::string content(100, '\0');
    const auto got = engine_->read(handle, 0, std::as_writable_bytes(std::span(content)));
    if (!got.ok()) return "error: " + got.error().detail;
    content.resize(*got);
    return content;
  }
  void unlink(const std::string& name) {
    const auto removed = engine_->unlink(path_of(name));
    EXPECT_TRUE(removed.ok()) << removed.error().detail;
  }
  // The last handle goes, and what that sets off is done.
  void release(FileHandle* handle) {
    engine_->release(handle);
    executor_.sleep(std::chrono::seconds(1));
  }

  // The contents in the bucket, newest first; a hide marker is a dash.
  std::string history() const {
    std::string all;
    for (const auto& version : store_.versions()) {
      all += (all.empty() ? "" : " ") + (version.hide_marker ? "-" : version.bytes);
    }
    return all;
  }
  // All of them after the first `allowed` ones, as if the key lacked the capability.
  void refuse(StoreVerb refused, int allowed) {
    store_.fail_before([=, calls = 0](StoreVerb verb, const Key&, int) mutable
                           -> std::optional<Error> {
      if (verb != refused || ++calls <= allowed) return std::nullopt;
      Error error;
      error.code = ErrorCode::auth_error;
      error.cause = Cause::not_entitled;
      error.detail = "refused";
      return error;
    });
  }
  void expect_told(const std::string& path) const {
    ASSERT_EQ(log_.count("purge_incomplete"), 1U);
    const Fields event = log_.last("purge_incomplete");
    EXPECT_EQ(event.at("path"), path);
    EXPECT_EQ(event.at("error_code"), "auth_error");
    EXPECT_TRUE(event.at("detail").get<std::string>().ends_with("hidden: refused"));
  }

  SeededExecutor executor_{1};
  CurrentClock clock_;
  MemoryStore store_{clock_, {.smallest_part = 1}};
  MemoryDisk disk_;
  std::unique_ptr<Hashing> hashing_ = s3::make_hashing();
  RecordingLog log_;
  SpillwayOptions options_;
  Shadow* shadow_ = nullptr;
  FileSystem* engine_ = nullptr;
};

TEST_F(BucketPurge, NothingIsLeftOfARemovedFile) {
  mounted([&] {
    write("a", "first");
    unlink("a");
    EXPECT_EQ(history(), "");
    write("a", "second");
    write("a", "third");
    write("ab", "neighbour");
    EXPECT_EQ(history(), "third second neighbour");
    unlink("a");
    EXPECT_EQ(history(), "neighbour");
    EXPECT_FALSE(engine_->lookup(path_of("a"))->attributes.has_value());
  });
  EXPECT_EQ(log_.count("purge_incomplete"), 0U);
}

TEST_F(BucketPurge, WhatWasHiddenBeforeGoesAsWell) {
  options_.delete_mode = DeleteMode::hide;
  mounted([&] {
    write("a", "first");
    unlink("a");
    write("a", "second");
  });
  EXPECT_EQ(history(), "second - first");
  options_.delete_mode = DeleteMode::purge;
  mounted([&] { unlink("a"); });
  EXPECT_EQ(history(), "");
}

TEST_F(BucketPurge, HidingIsTheDefault) {
  options_.delete_mode = SpillwayOptions().delete_mode;
  mounted([&] {
    write("a", "first");
    write("a", "second");
    unlink("a");
    EXPECT_TRUE(engine_->make_directory(path_of("d"), 0755, {}).ok());
    EXPECT_TRUE(engine_->remove_directory(path_of("d")).ok());
  });
  EXPECT_EQ(history(), "- second first - ");
  EXPECT_EQ(store_.calls(StoreVerb::list_versions), 0);
}

TEST_F(BucketPurge, NothingIsLeftOfARemovedDirectory) {
  mounted([&] {
    EXPECT_TRUE(engine_->make_directory(path_of("d"), 0755, {}).ok());
    EXPECT_EQ(store_.versions().size(), 1U);
    EXPECT_TRUE(engine_->remove_directory(path_of("d")).ok());
  });
  EXPECT_TRUE(store_.versions().empty());
}

TEST_F(BucketPurge, WhatB2NeverHadCostsNoRequest) {
  mounted([&] {
    FileHandle* const handle = create("a");
    unlink("a");
    release(handle);
  });
  EXPECT_EQ(store_.calls(StoreVerb::list_versions), 0);
  EXPECT_EQ(store_.calls(StoreVerb::delete_object), 0);
}

// --- for whom a version stays

TEST_F(BucketPurge, AnOpenFileIsReadUntilItsLastHandleGoes) {
  mounted([&] {
    write("a", "first");
    FileHandle* const one = open("a");
    FileHandle* const other = open("a");
    unlink("a");
    release(one);
    EXPECT_EQ(read(*other), "first");
    EXPECT_EQ(history(), "- first");
    release(other);
    EXPECT_EQ(history(), "");
  });
}

TEST_F(BucketPurge, WhatIsStoredAnewStays) {
  mounted([&] {
    write("a", "first");
    FileHandle* const handle = open("a");
    unlink("a");
    write("a", "second");
    release(handle);
    EXPECT_EQ(history(), "second");
    EXPECT_EQ(store_.content("a"), "second");
  });
}

TEST_F(BucketPurge, TwoRemovedFilesOfOneNameAreReadEach) {
  mounted([&] {
    write("a", "first");
    FileHandle* const first = open("a");
    unlink("a");
    write("a", "second");
    FileHandle* const second = open("a");
    unlink("a");
    release(second);
    EXPECT_EQ(read(*first), "first");
    EXPECT_FALSE(store_.content("a").has_value());
    release(first);
    EXPECT_EQ(history(), "");
  });
}

TEST_F(BucketPurge, AReplacedFileIsReadOn) {
  mounted([&] {
    write("a", "first");
    FileHandle* const handle = open("a");
    write("b", "second");
    EXPECT_TRUE(engine_->rename(path_of("b"), path_of("a"), RenameMode::replace).ok());
    unlink("a");
    EXPECT_EQ(read(*handle), "first");
    EXPECT_FALSE(store_.content("a").has_value());
    release(handle);
    EXPECT_EQ(history(), "");
  });
}

TEST_F(BucketPurge, TheUnmountTakesWhatStillWaits) {
  mounted([&] {
    write("a", "first");
    open("a");
    unlink("a");
    EXPECT_EQ(history(), "- first");
  });
  EXPECT_EQ(history(), "");
}

// A split file that was renamed, and whose unchanged bytes are in a version of its old name.
TEST_F(BucketPurge, AVersionThatTheShadowNeedsStays) {
  mounted([&] {
    write("a", "0123456789");
    write("a", "newer");
    const auto base = store_.versions().back();
    ASSERT_EQ(base.bytes, "0123456789");
    auto draft = shadow_->create_draft();
    ASSERT_TRUE(draft.ok());
    const std::string changed = "AAAAA";
    ASSERT_TRUE((*draft)->write(0, std::as_bytes(std::span(changed))).ok());
    ShadowRecord record;
    record.path = path_of("b");
    record.storage = Storage::split;
    record.size = base.bytes.size();
    record.ranges = {{0, changed.size()}};
    record.base = RemoteVersion{"a", base.id, base.etag, base.bytes.size()};
    record.seen = Seen::absent;
    record.metadata.correlation_id = "of-b";
    ASSERT_TRUE(shadow_->publish(**draft, record).ok());
    unlink("a");
    EXPECT_EQ(history(), "- 0123456789");
    EXPECT_EQ(log_.count("purge_incomplete"), 1U);
    executor_.sleep(std::chrono::seconds(60));
    EXPECT_EQ(store_.content("b"), "AAAAA56789");
  });
}

// --- failures

TEST_F(BucketPurge, WhatCanNotBeDeletedStaysHiddenAndIsTold) {
  refuse(StoreVerb::delete_object, 2);  // the name is hidden, one version goes
  mounted([&] {
    write("a", "first");
    write("a", "second");
    unlink("a");
    EXPECT_EQ(history(), "- second");
    EXPECT_FALSE(engine_->lookup(path_of("a"))->attributes.has_value());
  });
  expect_told("a");
}

TEST_F(BucketPurge, VersionsThatCanNotBeListedStayHiddenAndAreTold) {
  refuse(StoreVerb::list_versions, 0);
  mounted([&] {
    write("a", "first");
    unlink("a");
    EXPECT_EQ(history(), "- first");
    EXPECT_EQ(store_.calls(StoreVerb::list_versions), 1);
  });
  expect_told("a");
}

TEST_F(BucketPurge, WhatOthersStoreMeanwhileStays) {
  bool is_done = false;
  store_.fail_before([&](StoreVerb verb, const Key& key, int) -> std::optional<Error> {
    if (verb == StoreVerb::list_versions && !std::exchange(is_done, true)) {
      EXPECT_TRUE(put_text(store_, key, "theirs").ok());
    }
    return std::nullopt;
  });
  mounted([&] {
    write("a", "first");
    unlink("a");
  });
  EXPECT_EQ(history(), "theirs - first");
  EXPECT_EQ(log_.count("purge_incomplete"), 1U);
}

}  // namespace
}  // namespace spillway::testing
