// The attribute cache on a real SQLite: what it keeps over its end, and that no file, however
// broken, is more than a line in the log.
#include "src/attribute_cache.h"

#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "src/metadata.h"
#include "tests/support/manual_executor.h"
#include "tests/support/process.h"
#include "tests/support/temp_directory.h"

namespace spillway {
namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;
using Source = VersionIdentity::Source;

class LineLog final : public Log {
 public:
  void event(Level level, std::string_view event, Fields fields) override {
    const std::lock_guard held(mutex_);
    EXPECT_EQ(level, Level::warning);
    lines_.push_back(std::string(event) + " " + fields.dump());
  }
  void reopen() override {}
  std::vector<std::string> lines() {
    const std::lock_guard held(mutex_);
    return lines_;
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> lines_;
};

RememberedObject object(const std::string& word, Source source = Source::listing) {
  return {.identity = {.size = word.size(),
                       .etag = "etag-" + word,
                       .modified = WallTime(seconds(1'700'000'000)) + std::chrono::milliseconds(7),
                       .source = source},
          .version_id = "version-" + word,
          .content_type = "text/plain",
          .metadata = {{"mtime", "1600000000.123456789"}, {"mode", "33188"}, {"word", word}}};
}

class AttributeCacheTest : public testing::Test {
 protected:
  void open(const AttributeCacheSettings& settings = {}) {
    cache_.reset();
    cache_ = make_attribute_cache(file(), settings, executor_, log_);
  }
  [[nodiscard]] std::string file() const { return directory_ / "attributes.sqlite"; }
  // A crash at this moment: what another process would find.
  void crash() {
    const fs::path copy = directory_ / "copy";
    for (const auto* end : {"", "-wal"}) {
      if (fs::exists(file() + end)) fs::copy_file(file() + end, copy.string() + end);
    }
    cache_.reset();
    for (const auto* end : {"", "-wal"}) {
      if (fs::exists(copy.string() + end)) fs::rename(copy.string() + end, file() + end);
    }
    open();
  }
  void step_and_wait_for_a_write(Duration duration) {
    const auto size = [&] {
      return fs::exists(file() + "-wal") ? fs::file_size(file() + "-wal") : 0;
    };
    const auto before = size();
    executor_.step(duration);
    for (int i = 0; i < 200 && size() == before; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(200));  // and to its end
  }
  void execute(const std::string& sql) {
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open(file().c_str(), &database), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(database, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
        << sqlite3_errmsg(database);
    sqlite3_close(database);
  }
  // Broken as it was, it is begun anew and works.
  void expect_begun_anew(std::size_t lines) {
    open();
    EXPECT_FALSE(cache_->recall("key"));
    cache_->keep("key", object("new"));
    open();
    EXPECT_EQ(cache_->recall("key"), object("new"));
    EXPECT_EQ(log_.lines().size(), lines);
    EXPECT_EQ(fs::exists(file() + ".damaged"), lines > 0);
  }

  TempDirectory directory_;
  ManualExecutor executor_;
  LineLog log_;
  std::unique_ptr<AttributeCache> cache_;
};

TEST_F(AttributeCacheTest, KeepsOverItsEnd) {
  open();
  auto all_bytes = object("bytes");
  all_bytes.metadata["odd"] = "\x01\xff\n'";
  all_bytes.metadata["empty"] = "";
  cache_->keep("a/file", object("one"));
  cache_->keep("a/b/", object("marker", Source::answer));
  cache_->keep("odd \xff '\"", all_bytes);
  cache_->keep("gone", object("gone"));
  cache_->forget("gone");
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(cache_->recall("a/file"), object("one"));
    EXPECT_EQ(cache_->recall("a/b/"), object("marker", Source::answer));
    EXPECT_EQ(cache_->recall("odd \xff '\""), all_bytes);
    EXPECT_FALSE(cache_->recall("gone"));
    EXPECT_FALSE(cache_->recall("a/b"));
    open();
  }
  EXPECT_TRUE(log_.lines().empty());
}

TEST_F(AttributeCacheTest, TheLastOneCounts) {
  open();
  cache_->keep("key", object("old"));
  cache_->keep("other", object("other"));
  open();
  cache_->keep("key", object("new"));
  cache_->forget("other");
  EXPECT_EQ(cache_->recall("key"), object("new"));
  EXPECT_FALSE(cache_->recall("other"));
  open();
  EXPECT_EQ(cache_->recall("key"), object("new"));
  EXPECT_FALSE(cache_->recall("other"));
}

TEST_F(AttributeCacheTest, TellsWhetherItKnowsSomethingBelow) {
  open();
  cache_->keep("a/b/c", object("c"));
  cache_->keep("d/", object("d"));
  cache_->keep("e-", object("e"));
  for (int round = 0; round < 2; ++round) {
    EXPECT_TRUE(cache_->knows_below("a/"));
    EXPECT_TRUE(cache_->knows_below("a/b/"));
    EXPECT_TRUE(cache_->knows_below("d/"));
    EXPECT_FALSE(cache_->knows_below("a/b/c/"));
    EXPECT_FALSE(cache_->knows_below("e/"));
    open();
  }
}

TEST_F(AttributeCacheTest, NobodyElseMayReadIt) {
  open();
  cache_->keep("key", object("one"));
  struct stat status {};
  for (const auto* end : {"", "-wal"}) {
    ASSERT_EQ(stat((file() + end).c_str(), &status), 0) << end;
    EXPECT_EQ(status.st_mode & 07777U, 0600U) << end;
  }
}

TEST_F(AttributeCacheTest, IsWrittenBehindAndInBatches) {
  open();
  for (int i = 0; i < 100; ++i) cache_->keep(std::to_string(i), object("few"));
  crash();
  EXPECT_FALSE(cache_->recall("0")) << "written before the time was up";
  for (int i = 0; i < 100; ++i) cache_->keep(std::to_string(i), object("few"));
  step_and_wait_for_a_write(seconds(4));
  crash();
  EXPECT_EQ(cache_->recall("0"), object("few"));
  EXPECT_EQ(cache_->recall("99"), object("few"));
}

// Made, then given its times: what listings show of the two is the same within the tolerance.
TEST_F(AttributeCacheTest, ACrashNeverLeavesTheFormerOfTwoAlikeVersions) {
  open();
  cache_->keep("d/", object("made", Source::answer));
  cache_->keep("listed", object("listed"));
  executor_.step(seconds(2));
  cache_->keep("d/", object("with times", Source::answer));
  step_and_wait_for_a_write(seconds(2));
  crash();
  EXPECT_FALSE(cache_->recall("d/"));
  EXPECT_TRUE(cache_->recall("listed"));
}

TEST_F(AttributeCacheTest, DropsTheOldestPastItsSize) {
  const AttributeCacheSettings settings{.most_objects = 10, .reserve_bytes = 0};
  for (int i = 0; i < 30; ++i) {
    if (i % 5 == 0) open(settings);
    cache_->keep("key-" + std::to_string(i), object("x"));
  }
  open(settings);
  EXPECT_FALSE(cache_->recall("key-0"));
  EXPECT_FALSE(cache_->recall("key-19"));
  for (int i = 20; i < 30; ++i) EXPECT_TRUE(cache_->recall("key-" + std::to_string(i))) << i;
}

TEST_F(AttributeCacheTest, WhatNoBucketCanSayIsNotKept) {
  open();
  cache_->keep("key", object("former"));
  auto large = object("large");
  large.metadata["long"] = std::string(20'000, 'x');
  cache_->keep("key", large);
  EXPECT_FALSE(cache_->recall("key")) << "the former version is gone all the same";
  auto timeless = object("timeless");
  timeless.identity.modified = {};
  cache_->keep("timeless", timeless);
  EXPECT_FALSE(cache_->recall("timeless"));
  cache_->keep(std::string(1'025, 'k'), object("key"));
  EXPECT_FALSE(cache_->recall(std::string(1'025, 'k')));
}

TEST_F(AttributeCacheTest, HostileRowsAreNotGivenOn) {
  open();
  cache_->keep("large", object("one"));
  cache_->keep("timeless", object("two"));
  cache_->keep("good", object("three"));
  cache_.reset();
  execute("UPDATE attributes SET etag = zeroblob(2000) WHERE key = CAST('large' AS BLOB);"
          "UPDATE attributes SET modified = 0 WHERE key = CAST('timeless' AS BLOB);"
          "UPDATE attributes SET metadata = CAST('mode' AS BLOB) WHERE key = CAST('good' AS BLOB)");
  open();
  EXPECT_FALSE(cache_->recall("large"));
  EXPECT_FALSE(cache_->recall("timeless"));
  const auto odd = cache_->recall("good");
  ASSERT_TRUE(odd);
  EXPECT_EQ(metadata_from(odd->metadata), Metadata());
}

TEST_F(AttributeCacheTest, ADamagedFileIsSetAside) {
  write_file(file(), std::string(100'000, 'x'));
  expect_begun_anew(1);
}

TEST_F(AttributeCacheTest, AFileThatIsDamagedInsideIsSetAsideOnceItIsRead) {
  open();
  for (int i = 0; i < 2'000; ++i) cache_->keep("key-" + std::to_string(i), object("x"));
  cache_.reset();
  std::string bytes = read_file(file());
  ASSERT_GT(bytes.size(), 100'000U);
  std::fill(bytes.begin() + 8'192, bytes.end(), 'x');
  write_file(file(), bytes);
  open();
  for (int i = 0; i < 2'000; ++i) EXPECT_FALSE(cache_->recall("key-" + std::to_string(i)));
  cache_->keep("key", object("x"));
  EXPECT_FALSE(cache_->recall("key"));
  expect_begun_anew(1);
}

TEST_F(AttributeCacheTest, ADatabaseOfAnotherProgramIsSetAsideAsItIs) {
  execute("CREATE TABLE mine(a); INSERT INTO mine VALUES(42)");
  const std::string before = read_file(file());
  expect_begun_anew(1);
  EXPECT_EQ(read_file(file() + ".damaged"), before);
}

TEST_F(AttributeCacheTest, AnotherVersionIsBegunAnewWithoutAWord) {
  open();
  cache_->keep("key", object("old"));
  cache_.reset();
  execute("PRAGMA user_version = 4711");
  expect_begun_anew(0);
}

TEST_F(AttributeCacheTest, ATableThatIsNotOursIsSetAside) {
  open();
  cache_.reset();
  execute("ALTER TABLE attributes ADD COLUMN more ANY");
  expect_begun_anew(1);
}

TEST_F(AttributeCacheTest, GoesOnWithoutWhereItCantBe) {
  fs::create_directory(file());
  open();
  cache_->keep("key", object("x"));
  EXPECT_FALSE(cache_->recall("key"));
  EXPECT_FALSE(cache_->knows_below("key/"));
  EXPECT_EQ(log_.lines().size(), 1U);
  cache_ = make_attribute_cache(directory_ / "none" / "attributes.sqlite", {}, executor_, log_);
  cache_->keep("key", object("x"));
  EXPECT_EQ(log_.lines().size(), 2U);
}

TEST_F(AttributeCacheTest, NeverFollowsALink) {
  write_file(directory_ / "precious", "");
  fs::create_symlink(directory_ / "precious", file());
  open();
  EXPECT_EQ(log_.lines().size(), 1U);
  EXPECT_EQ(fs::file_size(directory_ / "precious"), 0U);
}

TEST_F(AttributeCacheTest, ALockedDatabaseIsLeftAlone) {
  open();
  cache_->keep("key", object("kept"));
  cache_.reset();
  // Locks are a process's: another one has to hold it.
  Process other({.arguments = {"python3", "-c",
                               "import sqlite3,sys,time\n"
                               "c=sqlite3.connect(sys.argv[1],isolation_level=None)\n"
                               "c.execute('PRAGMA locking_mode=EXCLUSIVE')\n"
                               "c.execute('BEGIN EXCLUSIVE')\n"
                               "open(sys.argv[1]+'.held','w')\n"
                               "time.sleep(60)",
                               file()},
                 .environment = {},
                 .without = {},
                 .directory = {},
                 .input = {}});
  for (int i = 0; i < 200 && !fs::exists(file() + ".held"); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  if (!fs::exists(file() + ".held")) GTEST_SKIP() << "no other process has locked the database in 10 s (it takes python3)";
  open();
  EXPECT_FALSE(cache_->recall("key"));
  EXPECT_EQ(log_.lines().size(), 1U);
  EXPECT_TRUE(fs::exists(file()));
  other.send_signal(SIGKILL);
  other.wait();
}

// A disk that gets short is the shadow's: the cache goes.
TEST_F(AttributeCacheTest, GoesWhenTheDiskGetsShort) {
  open();
  cache_->keep("key", object("x"));
  open({.most_objects = 10, .reserve_bytes = ~0ULL});
  EXPECT_TRUE(cache_->recall("key"));
  cache_->forget("key");
  executor_.step(seconds(4));
  for (int i = 0; i < 100 && log_.lines().empty(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  EXPECT_EQ(log_.lines().size(), 1U);
  EXPECT_FALSE(cache_->recall("key"));
  cache_.reset();
  EXPECT_FALSE(fs::exists(file())) << "the next mount must not find what was to be forgotten";
  EXPECT_FALSE(fs::exists(file() + "-wal"));
}

TEST_F(AttributeCacheTest, ManyThreadsAtOnce) {
  open();
  std::atomic<int> wrong = 0;
  std::vector<std::jthread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < 3'000; ++i) {
        const std::string key = std::to_string(thread) + "/" + std::to_string(i % 1'500);
        cache_->keep(key, object(std::to_string(i)));
        const auto found = cache_->recall(key);
        if (!found || *found != object(std::to_string(i))) ++wrong;
        if (!cache_->knows_below(std::to_string(thread) + "/")) ++wrong;
        if (i % 100 == 0) executor_.step(std::chrono::milliseconds(100));
      }
    });
  }
  threads.clear();
  EXPECT_EQ(wrong, 0);
  open();
  for (int thread = 0; thread < 4; ++thread) {
    for (int i = 0; i < 1'500; ++i) {
      const auto found = cache_->recall(std::to_string(thread) + "/" + std::to_string(i));
      if (!found || *found != object(std::to_string(i + 1'500))) ++wrong;
    }
  }
  EXPECT_EQ(wrong, 0);
  EXPECT_TRUE(log_.lines().empty());
}

}  // namespace
}  // namespace spillway
