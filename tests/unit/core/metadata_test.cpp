#include "src/metadata.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

namespace spillway {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

std::string written_mtime(WallTime time) {
  Metadata metadata;
  metadata.mtime = time;
  return to_map(metadata).at("mtime");
}

std::optional<WallTime> read_mtime(const std::string& text) {
  return metadata_from({{"mtime", text}}).mtime;
}

std::optional<std::uint32_t> read_permissions(std::uint32_t mode) {
  return metadata_from({{"mode", std::to_string(mode)}}).permissions;
}

TEST(MetadataMtime, IsWholeSecondsOrExactlyNineDigits) {
  EXPECT_EQ(written_mtime(WallTime(seconds(1'700'000'000))), "1700000000");
  EXPECT_EQ(written_mtime(WallTime(seconds(5) + milliseconds(500))), "5.500000000");
  EXPECT_EQ(written_mtime(WallTime(nanoseconds(1))), "0.000000001");
  EXPECT_EQ(written_mtime(WallTime(milliseconds(-1'500))), "-1.500000000");
}

TEST(MetadataMtime, IsWrittenInMillisecondsToo) {
  Metadata metadata;
  metadata.mtime = WallTime(nanoseconds(1'999'999));
  EXPECT_EQ(to_map(metadata).at("src_last_modified_millis"), "1");
  metadata.mtime = WallTime(nanoseconds(-1));
  EXPECT_FALSE(to_map(metadata).contains("src_last_modified_millis"));
}

TEST(MetadataMtime, ReadsWhatOtherToolsWrite) {
  EXPECT_EQ(read_mtime("1700000000"), WallTime(seconds(1'700'000'000)));
  EXPECT_EQ(read_mtime("5.5"), WallTime(milliseconds(5'500)));
  EXPECT_EQ(read_mtime("5.000000001"), WallTime(seconds(5) + nanoseconds(1)));
  EXPECT_EQ(read_mtime("5.0000000019"), WallTime(seconds(5) + nanoseconds(1)));
  EXPECT_EQ(read_mtime("-1.5"), WallTime(milliseconds(-1'500)));
}

TEST(MetadataMtime, IgnoresWhatIsOutOfRangeOrNoNumber) {
  for (const auto* text : {"", "-", ".", "5.", ".5", "--5", "5.-5", "+5", " 5", "5 ", "5e9", "5.5.5",
                           "0x5", "nan", "99999999999999999999", "9223372037", "-9223372037"}) {
    EXPECT_EQ(read_mtime(text), std::nullopt) << text;
  }
}

TEST(MetadataMtime, FallsBackToMilliseconds) {
  EXPECT_EQ(metadata_from({{"src_last_modified_millis", "1500"}}).mtime,
            WallTime(milliseconds(1'500)));
  EXPECT_EQ(metadata_from({{"mtime", "7"}, {"src_last_modified_millis", "1500"}}).mtime,
            WallTime(seconds(7)));
  EXPECT_EQ(metadata_from({{"mtime", "x"}, {"src_last_modified_millis", "1500"}}).mtime,
            WallTime(milliseconds(1'500)));
  for (const auto* text : {"-1", "1.5", "", "9223372036854775807", "99999999999999999999"}) {
    EXPECT_EQ(metadata_from({{"src_last_modified_millis", text}}).mtime, std::nullopt) << text;
  }
}

TEST(MetadataMode, CarriesKindAndPermissions) {
  for (const auto kind : {FileKind::regular, FileKind::directory, FileKind::symlink, FileKind::fifo,
                          FileKind::socket}) {
    Metadata metadata;
    metadata.kind = kind;
    metadata.permissions = 01750;
    EXPECT_EQ(metadata_from(to_map(metadata)), metadata);
  }
  Metadata file;
  file.permissions = 0644;
  EXPECT_EQ(to_map(file).at("mode"), "33188");
}

TEST(MetadataMode, IsWrittenWhereTheKindNeedsIt) {
  EXPECT_FALSE(to_map({}).contains("mode"));
  Metadata link;
  link.kind = FileKind::symlink;
  EXPECT_EQ(to_map(link).at("mode"), std::to_string(S_IFLNK | 0777U));
}

TEST(MetadataMode, DropsSetIdAndDevicesFromTheBucket) {
  EXPECT_EQ(read_permissions(S_IFREG | 06755U), 0755U);
  EXPECT_EQ(read_permissions(S_IFDIR | 03777U), 01777U);
  EXPECT_EQ(read_permissions(0644U), 0644U);
  for (const std::uint32_t type : {S_IFBLK, S_IFCHR, S_IFMT}) {
    EXPECT_EQ(read_permissions(type | 0666U), std::nullopt);
    EXPECT_EQ(metadata_from({{"mode", std::to_string(type | 0666U)}}).kind, FileKind::regular);
  }
}

TEST(MetadataMode, IgnoresWhatIsNoMode) {
  for (const auto* text : {"", "-1", "0100644x", "99999999999", "65536", "rw-r--r--"}) {
    EXPECT_EQ(metadata_from({{"mode", text}}).permissions, std::nullopt) << text;
  }
}

TEST(MetadataOwner, RangesAreChecked) {
  EXPECT_EQ(metadata_from({{"uid", "1000"}}).uid, 1'000U);
  EXPECT_EQ(metadata_from({{"gid", "4294967294"}}).gid, 4'294'967'294U);
  for (const auto* text : {"-1", "4294967295", "4294967296", "", "root", "1 "}) {
    EXPECT_EQ(metadata_from({{"uid", text}}).uid, std::nullopt) << text;
    EXPECT_EQ(metadata_from({{"gid", text}}).gid, std::nullopt) << text;
  }
}

TEST(MetadataIds, TakesOnlyWhatWeWouldWrite) {
  const std::string hash(64, 'a');
  const auto metadata = metadata_from({{"spillway-id", "01J-abc_9"}, {"sha256", hash}});
  EXPECT_EQ(metadata.correlation_id, "01J-abc_9");
  EXPECT_EQ(metadata.sha256, hash);
  EXPECT_EQ(metadata_from({{"spillway-id", "a\nb"}}).correlation_id, "");
  EXPECT_EQ(metadata_from({{"spillway-id", std::string(65, 'a')}}).correlation_id, "");
  EXPECT_EQ(metadata_from({{"sha256", std::string(64, 'g')}}).sha256, "");
  EXPECT_EQ(metadata_from({{"sha256", "abc"}}).sha256, "");
}

TEST(MetadataForeign, IsKeptAsItIsAndYieldsToOurs) {
  const MetadataMap map{{"atime", "1"}, {"s3cmd-attrs", "md5:x/mode:33188"}};
  const auto metadata = metadata_from(map);
  EXPECT_EQ(metadata.foreign, map);
  EXPECT_EQ(to_map(metadata), map);
  Metadata both;
  both.foreign = {{"uid", "7"}};
  both.uid = 8;
  EXPECT_EQ(to_map(both).at("uid"), "8");
}

TEST(MetadataForeign, WritesOnlyPrintableAscii) {
  Metadata metadata;
  metadata.foreign = {{"a", "x\r\ny"}, {"b", "\xc3\xbc"}, {"c:d", "x"}, {"E", "x"}, {"", "x"}, {"f", "ok"}};
  metadata.correlation_id = "x\r\ny";
  EXPECT_EQ(to_map(metadata), (MetadataMap{{"f", "ok"}}));
  EXPECT_EQ(metadata_from(metadata.foreign).foreign, (MetadataMap{{"f", "ok"}}));
}

TEST(MetadataForeign, IsBounded) {
  MetadataMap map;
  for (int i = 0; i < 100; ++i) map["x" + std::to_string(i)] = std::string(1'000, 'v');
  EXPECT_LE(metadata_from(map).foreign.size(), 7U);
}

TEST(MetadataAll, RoundTrips) {
  Metadata metadata;
  metadata.mtime = WallTime(nanoseconds(1'700'000'000'123'456'789));
  metadata.permissions = 0640;
  metadata.uid = 1'000;
  metadata.gid = 100;
  metadata.xattrs = {{"user.a", "1"}, {"user.bin", std::string("\0\xff\n", 3)}, {"user.empty", ""}};
  metadata.correlation_id = "abc-1";
  metadata.sha256 = std::string(64, '0');
  metadata.foreign = {{"note", "kept"}};
  const auto map = to_map(metadata);
  for (const auto& [name, value] : map) {
    for (const char c : value) EXPECT_TRUE(c >= ' ' && c <= '~') << name;
  }
  EXPECT_EQ(metadata_from(map), metadata);
}

TEST(MetadataAll, XattrsThatCannotBeReadAreKeptForTheirTool) {
  const std::string long_text(3'000, 'x');
  const auto metadata = metadata_from({{"xattr", long_text}});
  EXPECT_TRUE(metadata.xattrs.empty());
  EXPECT_EQ(to_map(metadata).at("xattr"), long_text);
}

}  // namespace
}  // namespace spillway
