#include "src/shadow_record.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>
#include <span>
#include <string>

#include "s3/hash.h"

namespace spillway {
namespace {

std::string sha256_hex(std::string_view text) { return s3::to_hex(s3::sha256(text)); }

// Records as odd as they can be: any bytes, numbers at their ends, absent and empty members.
class AnyRecord {
 public:
  explicit AnyRecord(std::uint64_t seed) : random_(seed) {}

  ShadowRecord make() {
    ShadowRecord record;
    record.id = bytes(16);
    record.sequence = number();
    record.path = path();
    record.storage = flip() ? Storage::local : Storage::split;
    record.size = number();
    for (std::uint64_t n = below(4); n > 0; --n) record.ranges.push_back(range(record.size));
    record.content_type = bytes(20);
    record.metadata = metadata();
    if (flip()) record.upload = upload();
    record.seen = static_cast<Seen>(below(3));
    record.seen_etag = bytes(34);
    for (std::uint64_t n = below(3); n > 0; --n) record.own_ids.push_back(bytes(36));
    for (std::uint64_t n = below(3); n > 0; --n) record.own_ids.push_back(bytes(36));
    record.reason = error();
    record.attempts = static_cast<int>(below(100));
    record.duration = Duration(signed_number());
    record.stored_at = WallTime(WallTime::duration(signed_number()));
    return record;
  }

 private:
  std::uint64_t below(std::uint64_t limit) { return random_() % limit; }
  bool flip() { return below(2) == 0; }
  std::uint64_t number() {
    constexpr auto kMost = std::numeric_limits<std::uint64_t>::max();
    const std::uint64_t kind = below(4);
    return kind == 0 ? 0 : kind == 1 ? kMost : random_() >> below(64);
  }
  std::int64_t signed_number() { return static_cast<std::int64_t>(number()); }
  std::string bytes(std::size_t longest) {
    std::string text(below(longest + 1), '\0');
    for (auto& c : text) c = static_cast<char>(flip() ? random_() : 0x20 + below(0x5f));
    return text;
  }
  Path path() {
    Path path;
    for (std::uint64_t n = 1 + below(4); n > 0; --n) {
      while (true) {
        if (auto child = path.child(bytes(30))) {
          path = *child;
          break;
        }
      }
    }
    return path;
  }
  ByteRange range(std::uint64_t size) {
    const std::uint64_t offset = size == 0 ? 0 : below(size);
    return {offset, size == offset ? 0 : below(size - offset)};
  }
  std::map<std::string, std::string> map() {
    std::map<std::string, std::string> map;
    for (std::uint64_t n = below(4); n > 0; --n) map[bytes(12)] = bytes(40);
    return map;
  }
  Metadata metadata() {
    Metadata metadata;
    metadata.kind = static_cast<FileKind>(below(5));
    if (flip()) metadata.mtime = WallTime(WallTime::duration(signed_number()));
    if (flip()) metadata.permissions = static_cast<std::uint32_t>(number());
    if (flip()) metadata.uid = static_cast<std::uint32_t>(number());
    if (flip()) metadata.gid = static_cast<std::uint32_t>(number());
    metadata.xattrs = map();
    metadata.correlation_id = bytes(36);
    metadata.sha256 = bytes(64);
    metadata.foreign = map();
    return metadata;
  }
  UnfinishedUpload upload() {
    UnfinishedUpload upload;
    upload.key = bytes(50);
    upload.id = bytes(80);
    upload.part_size = number();
    upload.largest_part = number();
    for (std::uint64_t n = below(4); n > 0; --n) {
      upload.parts.push_back({.number = static_cast<PartNumber>(1 + below(kMostParts)),
                              .range = range(number()),
                              .etag = bytes(34),
                              .sha256 = bytes(64)});
    }
    return upload;
  }
  Error error() {
    Error error;
    error.code = static_cast<ErrorCode>(below(static_cast<std::uint64_t>(ErrorCode::interrupted) + 1));
    error.detail = bytes(60);
    error.request_id = bytes(16);
    error.cause = static_cast<Cause>(below(7));
    error.system_errno = static_cast<int>(below(200));
    if (flip()) error.retry_after = std::chrono::nanoseconds(signed_number());
    return error;
  }

  std::mt19937_64 random_;
};

void expect_equal(const Error& a, const Error& b) {
  EXPECT_EQ(a.code, b.code);
  EXPECT_EQ(a.detail, b.detail);
  EXPECT_EQ(a.request_id, b.request_id);
  EXPECT_EQ(a.cause, b.cause);
  EXPECT_EQ(a.system_errno, b.system_errno);
  EXPECT_EQ(a.retry_after, b.retry_after);
}

void expect_equal(const ShadowRecord& a, const ShadowRecord& b) {
  EXPECT_EQ(a.id, b.id);
  EXPECT_EQ(a.sequence, b.sequence);
  EXPECT_EQ(a.path, b.path);
  EXPECT_EQ(a.storage, b.storage);
  EXPECT_EQ(a.size, b.size);
  EXPECT_EQ(a.ranges, b.ranges);
  EXPECT_EQ(a.content_type, b.content_type);
  EXPECT_EQ(a.metadata, b.metadata);
  EXPECT_EQ(a.upload, b.upload);
  EXPECT_EQ(a.seen, b.seen);
  EXPECT_EQ(a.seen_etag, b.seen_etag);
  EXPECT_EQ(a.own_ids, b.own_ids);
  EXPECT_EQ(a.own_ids, b.own_ids);
  expect_equal(a.reason, b.reason);
  EXPECT_EQ(a.attempts, b.attempts);
  EXPECT_EQ(a.duration, b.duration);
  EXPECT_EQ(a.stored_at, b.stored_at);
}

TEST(ShadowRecord, AnyRecordComesBackAsItWas) {
  for (std::uint64_t seed = 0; seed < 3'000; ++seed) {
    SCOPED_TRACE(seed);
    const auto record = AnyRecord(seed).make();
    const auto text = to_text(record, sha256_hex);
    const auto back = record_from_text(text, sha256_hex);
    ASSERT_TRUE(back.ok()) << back.error().detail << "\n" << text;
    expect_equal(record, *back);
    ASSERT_FALSE(HasFailure());
  }
}

TEST(ShadowRecord, IsTwoLinesOfPrintableAscii) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const auto text = to_text(AnyRecord(seed).make(), sha256_hex);
    EXPECT_EQ(std::ranges::count(text, '\n'), 2);
    EXPECT_TRUE(text.ends_with('\n'));
    EXPECT_TRUE(std::ranges::all_of(
        text, [](char c) { return c == '\n' || (c >= 0x20 && c < 0x7f); }));
  }
}

void expect_refused(std::string_view text) {
  const auto record = record_from_text(text, sha256_hex);
  ASSERT_FALSE(record.ok()) << text;
  EXPECT_EQ(record.error().code, ErrorCode::invalid_argument);
  EXPECT_FALSE(record.error().detail.empty());
}

TEST(ShadowRecord, EveryFlippedBitIsFound) {
  for (std::uint64_t seed = 0; seed < 3; ++seed) {
    const auto text = to_text(AnyRecord(seed).make(), sha256_hex);
    for (std::size_t at = 0; at < text.size(); ++at) {
      for (unsigned bit = 0; bit < 8; ++bit) {
        std::string damaged = text;
        damaged[at] = static_cast<char>(static_cast<unsigned char>(damaged[at]) ^ (1U << bit));
        expect_refused(damaged);
      }
    }
  }
}

TEST(ShadowRecord, EveryTruncationIsFound) {
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    const auto text = to_text(AnyRecord(seed).make(), sha256_hex);
    for (std::size_t size = 0; size < text.size(); ++size) {
      expect_refused(std::string_view(text).substr(0, size));
      expect_refused(std::string_view(text).substr(text.size() - size));
      // What a crash leaves of a file whose size was kept and whose blocks were not.
      expect_refused(text.substr(0, size) + std::string(text.size() - size, '\0'));
    }
    expect_refused(text + "\n");
    expect_refused(text + text);
  }
}

// With a right checksum: written by another version, or by a person.
std::string sealed(const std::string& line) { return line + "\n" + sha256_hex(line) + "\n"; }

TEST(ShadowRecord, SealedNonsenseIsRefused) {
  for (const std::string line :
       {"", "{}", "[]", "null", "7", "\"\"", "{\"format\":1}", "{\"format\":2}", "{\"format\":\"1\"}",
        "{\"format\":1,\"id\":7}", "[[[[[[[[", "{\"format\":1e400}"}) {
    expect_refused(sealed(line));
  }
}

// One member missing, or of every other type.
TEST(ShadowRecord, SealedRecordsWithAWrongMemberAreRefusedOrRead) {
  const auto record = AnyRecord(4).make();
  const std::string text = to_text(record, sha256_hex);
  const std::string line = text.substr(0, text.find('\n'));
  for (std::size_t colon = line.find(':'); colon != std::string::npos;
       colon = line.find(':', colon + 1)) {
    const std::size_t end = line.find_first_of(",}]", colon);
    for (const std::string value : {"-1", "1e99", "\"%\"", "\"%zz\"", "null", "{}", "[1,2,3]",
                                    "18446744073709551615", "true"}) {
      (void)record_from_text(sealed(line.substr(0, colon + 1) + value + line.substr(end)), sha256_hex);
    }
  }
}

std::string with(const ShadowRecord& record, std::string_view from, std::string_view to) {
  const std::string text = to_text(record, sha256_hex);
  std::string line = text.substr(0, text.find('\n'));
  const std::size_t at = line.find(from);
  EXPECT_NE(at, std::string::npos) << line;
  line.replace(at, from.size(), to);
  return sealed(line);
}

TEST(ShadowRecord, RefusesWhatCantBe) {
  ShadowRecord record;
  record.id = "0";
  record.path = *Path::parse("a/b");
  record.size = 10;
  record.ranges = {{2, 5}};
  ASSERT_TRUE(record_from_text(to_text(record, sha256_hex), sha256_hex).ok());
  expect_refused(with(record, "a/b", "a/../b"));
  expect_refused(with(record, "a/b", "/etc/passwd"));
  expect_refused(with(record, "a/b", ""));
  expect_refused(with(record, "a/b", "a%00b"));
  expect_refused(with(record, "[2,5]", "[6,5]"));
  expect_refused(with(record, "[2,5]", "[2,18446744073709551615]"));
  expect_refused(with(record, "\"local\"", "\"b2\""));
  expect_refused(with(record, "\"local\"", "\"elsewhere\""));
  expect_refused(with(record, "\"size\":10", "\"size\":-10"));
  expect_refused(with(record, "\"size\":10", "\"size\":10.5"));
}

TEST(ShadowRecord, ConflictIsBesideTheFile) {
  ShadowRecord record;
  record.stored_at = WallTime(std::chrono::seconds(1'795'360'803));
  record.path = *Path::parse("a/b.txt");
  EXPECT_EQ(conflict_path(record).text(), "a/b.txt (conflict 2026-11-22 152003)");
}

// A name that has no room for the suffix must not fall back to the one that is taken.
TEST(ShadowRecord, ConflictOfALongNameIsAnotherName) {
  ShadowRecord record;
  record.stored_at = WallTime(std::chrono::seconds(1'795'360'803));
  std::string name = "x";
  while (name.size() + 2 <= kLongestName) name += "é";
  record.path = *Path::parse("a/" + name);
  const Path conflict = conflict_path(record);
  EXPECT_TRUE(check_creatable(conflict).ok());
  EXPECT_TRUE(conflict.text().ends_with("é (conflict 2026-11-22 152003)")) << conflict.text();
}

}  // namespace
}  // namespace spillway
