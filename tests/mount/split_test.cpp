// B2 dies in the middle of a large file: what it had acknowledged stays in the unfinished upload or
// in the old version, the rest is kept here, and one file comes of both in the end; or none.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <ostream>
#include <set>
#include <string>
#include <utility>

#include "tests/support/child.h"
#include "tests/support/mounted.h"

namespace spillway {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr int kNewFile = O_WRONLY | O_CREAT | O_TRUNC;
constexpr std::size_t kMiB = 1U << 20U;

// Of the parts of 5 MiB the second is acknowledged and no longer in RAM when B2 fails; the first
// stays in RAM until the commit.
constexpr std::size_t kBefore = 12 * kMiB;
constexpr off_t kInUpload = 6 * kMiB;
constexpr off_t kInShadow = 11 * kMiB;

class Split : public testing::Test {
 protected:
  void SetUp() override {
    if (!can_mount()) GTEST_SKIP() << "/dev/fuse is not there, or not for this user";
  }

  static MountOptions options(std::vector<std::string> more = {}) {
    more.insert(more.end(), {"--part-size", "5MiB"});
    return {.arguments = std::move(more)};
  }

  static void refuse_parts(Mounted& mounted) {
    mounted.server().fault_for_ever("UploadPart*", {{"status", 503}, {"code", "InternalError"}});
  }
  static void refuse_everything(Mounted& mounted) {
    mounted.server().fault_for_ever("*", {{"status", 503}, {"code", "InternalError"}});
  }

  // Opens a new file and writes until B2 has acknowledged two parts; the descriptor.
  static int begin(Mounted& mounted, const std::string& name, const std::string& content) {
    const int descriptor = open_file(mounted / name, kNewFile);
    write_all(descriptor, std::string_view(content).substr(0, kBefore));
    EXPECT_TRUE(eventually([&] {
      const Json uploads = mounted.server().uploads();
      return uploads.size() == 1 && uploads.front().at("parts").size() == 2;
    }));
    return descriptor;
  }

  // A file of which B2 holds a part, while `trouble` lasts.
  template <class Trouble>
  static void make_split(Mounted& mounted, const std::string& name, const std::string& content,
                         Trouble trouble) {
    const int descriptor = begin(mounted, name, content);
    trouble(mounted);
    write_all(descriptor, std::string_view(content).substr(kBefore));
    ASSERT_EQ(close(descriptor), 0) << errno;
    ASSERT_EQ(xattr(mounted / name, "user.b2.storage"), "split");
  }

  static void expect_drained(Mounted& mounted) {
    const auto drained = mounted.command({"drain", "--timeout", "60s", mounted.root()});
    ASSERT_EQ(drained.exit_code, 0) << drained.errors;
    EXPECT_TRUE(eventually([&] { return mounted.server().uploads().empty(); }));
  }

  // Keys that a reader of the bucket finds, with their sizes.
  static std::set<std::pair<std::string, std::size_t>> objects(Mounted& mounted) {
    std::set<std::pair<std::string, std::size_t>> found;
    for (const Json& version : mounted.server().versions()) {
      if (!version.at("newest") || version.at("hide_marker")) continue;
      found.emplace(version.at("key"), version.at("size"));
    }
    return found;
  }

  static void expect_stored(Mounted& mounted, const std::string& name, const std::string& content) {
    EXPECT_EQ(xattr(mounted / name, "user.b2.storage"), "b2");
    EXPECT_TRUE(read_file(mounted / name) == content);
    EXPECT_TRUE(objects(mounted).contains({name, content.size()}));
  }

  // The errno of reading one byte there, or 0.
  static int read_errno(const fs::path& file, off_t offset, char* byte) {
    const int descriptor = open(file.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return errno;
    const int failed = pread(descriptor, byte, 1, offset) == 1 ? 0 : errno;
    close(descriptor);
    return failed;
  }
};

// --- a changed object

class SplitChange : public Split {
 protected:
  const std::string old_ = noise(27 * kMiB, 1);  // six parts
  const std::string new_ = noise(27 * kMiB, 2);

  static std::string changed(std::string content, const std::string& by, std::size_t from,
                             std::size_t to) {
    return content.replace(from, to - from, by, from, to - from);
  }
};

TEST_F(SplitChange, OfAnObjectWhoseServerDiesInTheMiddle) {
  Mounted mounted(options());
  TempDirectory source;
  write_file(source / "new.bin", new_);
  ASSERT_EQ(try_to_write(mounted / "large.bin", old_), 0);
  mounted.server().reset_requests();
  mounted.server().add_fault({{"match", {{"kind", "UploadPart"}, {"part", 2}}},
                              {"times", -1},
                              {"fault", {{"stall_ms", 60'000}, {"then", "close"}}}});
  Process change({.arguments = {"dd", "bs=1M", "skip=6", "seek=6", "count=11", "conv=notrunc",
                                "if=" + (source / "new.bin").string(),
                                "of=" + (mounted / "large.bin").string()},
                  .environment = {},
                  .without = {},
                  .directory = {},
                  .input = {}});
  ASSERT_TRUE(eventually([&] {
    auto requests = mounted.server().requests();
    return requests["UploadPartCopy"] == 3 && requests["UploadPart"] == 3;
  })) << "parts 1, 5 and 6 are copied, 2 to 4 sent";
  mounted.server().kill();
  ASSERT_EQ(change.wait(), 0) << change.errors();
  EXPECT_EQ(xattr(mounted / "large.bin", "user.b2.storage"), "split");
  EXPECT_EQ(xattr(mounted / "large.bin", "user.b2.error_code"), "network_error");
  mounted.server().start();
  expect_drained(mounted);
  auto requests = mounted.server().requests();
  EXPECT_EQ(requests["UploadPartCopy"], 3);
  EXPECT_GE(requests["UploadPart"], 1);
  EXPECT_LE(requests["UploadPart"], 3) << "what was not changed is not sent";
  expect_stored(mounted, "large.bin", changed(old_, new_, 6 * kMiB, 17 * kMiB));
}

TEST_F(SplitChange, OfAnObjectWhoseServerIsGoneAtTheClose) {
  Mounted mounted(options());
  ASSERT_EQ(try_to_write(mounted / "large.bin", old_), 0);
  const int descriptor = open_file(mounted / "large.bin", O_WRONLY);
  std::string content = old_;
  for (const std::size_t at : {6 * kMiB, 16 * kMiB}) {
    write_all_at(descriptor, std::string_view(new_).substr(at, kMiB), static_cast<off_t>(at));
    content = changed(content, new_, at, at + kMiB);
  }
  mounted.server().kill();
  ASSERT_EQ(close(descriptor), 0);
  EXPECT_EQ(xattr(mounted / "large.bin", "user.b2.storage"), "split");
  char byte = 0;
  EXPECT_EQ(read_errno(mounted / "large.bin", kInUpload, &byte), 0);
  EXPECT_EQ(byte, content.at(kInUpload));
  mounted.server().start();
  expect_drained(mounted);
  EXPECT_EQ(mounted.server().requests()["UploadPartCopy"], 4);
  expect_stored(mounted, "large.bin", content);
}

// --- a new file

class SplitFile : public Split {
 protected:
  const std::string content_ = noise(17 * kMiB);
};

TEST_F(SplitFile, DrainsWithoutSendingItsHeadAgain) {
  Mounted mounted(options());
  make_split(mounted, "file", content_, [](Mounted& m) { m.server().kill(); });
  EXPECT_TRUE(fs::exists(*xattr(mounted / "file", "user.b2.location")));
  mounted.server().start();
  expect_drained(mounted);
  EXPECT_EQ(mounted.server().requests()["UploadPart"], 3);
  expect_stored(mounted, "file", content_);
}

TEST_F(SplitFile, DrainsAfterARemount) {
  Mounted mounted(options());
  make_split(mounted, "file", content_, [](Mounted& m) { m.server().kill(); });
  mounted.unmount();
  mounted.server().start();
  mounted.mount();
  expect_drained(mounted);
  expect_stored(mounted, "file", content_);
}

TEST_F(SplitFile, IsRenamed) {
  Mounted mounted(options());
  make_split(mounted, "old", content_, refuse_parts);
  fs::rename(mounted / "old", mounted / "new");
  EXPECT_EQ(xattr(mounted / "new", "user.b2.storage"), "split");
  EXPECT_FALSE(fs::exists(mounted / "old"));
  mounted.server().clear_faults();
  expect_drained(mounted);
  expect_stored(mounted, "new", content_);
  EXPECT_FALSE(fs::exists(mounted / "old"));
  EXPECT_EQ(objects(mounted).size(), 1U);
}

TEST_F(SplitFile, IsRenamedOntoAnother) {
  Mounted mounted(options());
  ASSERT_EQ(try_to_write(mounted / "new", "replaced"), 0);
  make_split(mounted, "old", content_, refuse_parts);
  fs::rename(mounted / "old", mounted / "new");
  mounted.server().clear_faults();
  expect_drained(mounted);
  expect_stored(mounted, "new", content_);
  EXPECT_EQ(objects(mounted).size(), 1U);
  EXPECT_TRUE(mounted.log("drain_conflict").empty());
}

// Whether it works or not: the file has one of both names, and is whole.
TEST_F(SplitFile, IsRenamedWhileNobodyAnswers) {
  Mounted mounted(options());
  make_split(mounted, "old", content_, [](Mounted& m) { m.server().kill(); });
  std::error_code failed;
  fs::rename(mounted / "old", mounted / "new", failed);
  mounted.server().start();
  expect_drained(mounted);
  expect_stored(mounted, failed ? "old" : "new", content_);
  EXPECT_EQ(objects(mounted).size(), 1U);
}

TEST_F(SplitFile, IsDeleted) {
  Mounted mounted(options());
  make_split(mounted, "file", content_, refuse_parts);
  fs::remove(mounted / "file");
  EXPECT_FALSE(fs::exists(mounted / "file"));
  mounted.server().clear_faults();
  expect_drained(mounted);
  EXPECT_TRUE(objects(mounted).empty());
  EXPECT_FALSE(fs::exists(mounted / "file"));
}

TEST_F(SplitFile, IsDeletedWithTheObjectItWouldHaveReplaced) {
  Mounted mounted(options());
  ASSERT_EQ(try_to_write(mounted / "file", "older"), 0);
  make_split(mounted, "file", content_, refuse_parts);
  fs::remove(mounted / "file");
  mounted.server().clear_faults();
  expect_drained(mounted);
  EXPECT_TRUE(objects(mounted).empty());
  mounted.unmount();
  mounted.mount();
  EXPECT_FALSE(fs::exists(mounted / "file"));
}

TEST_F(SplitFile, IsOverwritten) {
  Mounted mounted(options());
  make_split(mounted, "file", content_, refuse_parts);
  ASSERT_EQ(try_to_write(mounted / "file", "short"), 0);
  EXPECT_EQ(read_file(mounted / "file"), "short");
  mounted.server().clear_faults();
  expect_drained(mounted);
  expect_stored(mounted, "file", "short");
  EXPECT_EQ(objects(mounted).size(), 1U);
  EXPECT_TRUE(mounted.log("drain_conflict").empty());
}

// --- B2 loses the upload

class LostHead : public SplitFile {
 protected:
  // The unfinished upload goes while B2 is out, as by a lifecycle rule.
  void lose(Mounted& mounted) const {
    make_split(mounted, "file", content_, refuse_everything);
    mounted.server().abort_uploads();
    mounted.server().clear_faults();
    ASSERT_TRUE(eventually([&] { return !mounted.log("head_lost").empty(); }));
  }

  void expect_told(Mounted& mounted) const {
    const auto attributes = b2_xattrs(mounted / "file");
    EXPECT_EQ(attributes.at("storage"), "split");
    EXPECT_EQ(attributes.at("error_code"), "not_found");
    EXPECT_TRUE(attributes.at("detail").contains("lost in B2")) << attributes.at("detail");
    EXPECT_FALSE(attributes.at("hints").empty());
    char byte = 0;
    EXPECT_EQ(read_errno(mounted / "file", kInShadow, &byte), 0);
    EXPECT_EQ(byte, content_.at(kInShadow));
    EXPECT_EQ(read_errno(mounted / "file", kInUpload, &byte), EIO);
    EXPECT_TRUE(objects(mounted).empty());
  }
};

TEST_F(LostHead, IsToldAndNothingShortIsPublished) {
  Mounted mounted(options());
  lose(mounted);
  expect_told(mounted);
  const auto drained = mounted.command({"drain", "--timeout", "3s", mounted.root()});
  EXPECT_EQ(drained.exit_code, 1);
  EXPECT_TRUE(drained.errors.contains("lost in B2")) << drained.errors;
  const auto lines = mounted.log("head_lost");
  ASSERT_EQ(lines.size(), 1U) << "told once";
  EXPECT_EQ(lines.front().at("level"), "error");
  EXPECT_EQ(lines.front().at("path"), "file");
  EXPECT_EQ(lines.front().at("error_code"), "not_found");
  EXPECT_FALSE(lines.front().at("hints").empty());
  EXPECT_EQ(lines.front().at("location"), xattr(mounted / "file", "user.b2.location"));
  mounted.unmount();
  mounted.mount();
  expect_told(mounted);
}

TEST_F(LostHead, TheFileCanBeWrittenAnew) {
  Mounted mounted(options());
  lose(mounted);
  ASSERT_EQ(try_to_write(mounted / "file", content_), 0);
  expect_drained(mounted);
  expect_stored(mounted, "file", content_);
  EXPECT_EQ(xattr(mounted / "file", "user.b2.error_code"), std::nullopt);
}

TEST_F(LostHead, TheFileCanBeRemoved) {
  Mounted mounted(options());
  lose(mounted);
  fs::remove(mounted / "file");
  expect_drained(mounted);
  EXPECT_TRUE(objects(mounted).empty());
}

// --- --on-split=fail

struct Refusal {
  const char* name;
  void (*begin)(Mounted& mounted);
  void (*end)(Mounted& mounted);
  int errno_of_close;
  friend void PrintTo(const Refusal& refusal, std::ostream* out) { *out << refusal.name; }
};

class OnSplitFail : public SplitFile, public testing::WithParamInterface<Refusal> {
 protected:
  static void close_fails(Mounted& mounted, int descriptor) {
    GetParam().begin(mounted);
    EXPECT_EQ(close(descriptor), -1);
    EXPECT_EQ(errno, GetParam().errno_of_close);
    EXPECT_TRUE(eventually([&] { return xattr(mounted.root(), "user.b2.pending_files") == "0"; }));
    EXPECT_EQ(mounted.log("upload_failed").size(), 1U);
    GetParam().end(mounted);
    EXPECT_TRUE(
        eventually([&] { return mounted.server().uploads().empty(); }, std::chrono::seconds(60)));
  }
};

TEST_P(OnSplitFail, NothingOfANewFileIsPublished) {
  Mounted mounted(options({"--on-split", "fail"}));
  close_fails(mounted, begin(mounted, "file", content_));
  EXPECT_TRUE(mounted.server().versions().empty());
  EXPECT_FALSE(fs::exists(mounted / "file"));
}

TEST_P(OnSplitFail, AnExistingFileKeepsItsOldContent) {
  Mounted mounted(options({"--on-split", "fail"}));
  ASSERT_EQ(try_to_write(mounted / "file", "old"), 0);
  close_fails(mounted, begin(mounted, "file", content_));
  EXPECT_EQ(read_file(mounted / "file"), "old");
  EXPECT_EQ(mounted.server().versions().size(), 1U);
}

INSTANTIATE_TEST_SUITE_P(
    By, OnSplitFail,
    testing::Values(
        Refusal{"Death", [](Mounted& m) { m.server().kill(); },
                [](Mounted& m) { m.server().start(); }, EHOSTUNREACH},
        Refusal{"Errors",
                [](Mounted& m) {
                  m.server().fault_for_ever("*", {{"status", 503}, {"code", "InternalError"}});
                },
                [](Mounted& m) { m.server().clear_faults(); }, EIO},
        Refusal{"Key", [](Mounted& m) { m.server().revoke_key(); },
                [](Mounted& m) { m.server().restore_key(); }, EACCES}),
    [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace spillway
