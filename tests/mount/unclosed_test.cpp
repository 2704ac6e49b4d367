// A mount that ends while a program still has a file open: what was not closed is nobody's file, so
// that nothing of it is published; and its bytes are kept where a person finds them.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "tests/support/child.h"
#include "tests/support/mounted.h"

namespace spillway {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr int kNewFile = O_WRONLY | O_CREAT | O_TRUNC;
constexpr std::size_t kMiB = 1U << 20U;

class Unclosed : public testing::Test {
 protected:
  void SetUp() override {
    if (!can_mount()) GTEST_SKIP() << "/dev/fuse is not there, or not for this user";
  }

  static MountOptions hurried() {
    return {.arguments = {"--part-size", "5MiB", "--shutdown-timeout", "1s"}};
  }

  static void end_by_signal(Mounted& mounted) {
    mounted.process().send_signal(SIGTERM);
    ASSERT_EQ(mounted.process().wait(), 0) << mounted.process().errors();
  }

  // The log names the place, and the place is in lost+found; gives it.
  static fs::path expect_kept(const Mounted& mounted, const std::string& name, std::size_t bytes) {
    const auto lines = mounted.log("unclosed_file_kept");
    if (lines.size() != 1) {
      ADD_FAILURE() << lines.size() << " lines";
      return {};
    }
    const Json& line = lines.front();
    EXPECT_EQ(line.at("level"), "error");
    EXPECT_EQ(line.at("path"), name);
    EXPECT_EQ(line.at("bytes"), bytes);
    EXPECT_FALSE(line.at("detail").get<std::string>().empty());
    const fs::path place = line.at("location").get<std::string>();
    EXPECT_EQ(place.parent_path(), mounted.shadow() / "lost+found");
    EXPECT_TRUE(place.filename().string().ends_with("." + fs::path(name).filename().string()));
    return place;
  }

  // What is known of the kept bytes, beside them.
  static Json description_of(const fs::path& place) {
    const std::string text = read_file(place.string() + ".json");
    return Json::parse(text.substr(0, text.find('\n')));
  }

  static std::string newest_version(Mounted& mounted, const std::string& name) {
    for (const Json& version : mounted.server().versions()) {
      if (version.at("key") == name && version.at("newest")) return version.at("version_id");
    }
    return "";
  }
};

TEST_F(Unclosed, ANewFileIsNotPublishedAndKept) {
  Mounted mounted(hurried());
  const std::string content = noise(100'000);
  fs::create_directory(mounted / "music");
  Child child([&] { write_all(open_file(mounted / "music/new.bin", kNewFile), content); });
  ASSERT_TRUE(child.stands_still());
  end_by_signal(mounted);
  EXPECT_EQ(newest_version(mounted, "music/new.bin"), "");
  const fs::path place = expect_kept(mounted, "music/new.bin", content.size());
  ASSERT_FALSE(place.empty());
  EXPECT_EQ(read_file(place), content);
  EXPECT_EQ(description_of(place).at("path"), "music/new.bin");
  EXPECT_EQ(mounted.log("unmount").size(), 1U);
  child.kill(SIGKILL);

  mounted.mount();
  EXPECT_FALSE(fs::exists(mounted / "music/new.bin"));
  EXPECT_EQ(xattr(mounted.root(), "user.b2.pending_files"), "0");
  EXPECT_EQ(read_file(place), content) << "a person may not have come yet";
}

TEST_F(Unclosed, AnExistingFileKeepsItsOldContent) {
  Mounted mounted(hurried());
  ASSERT_EQ(try_to_write(mounted / "file", "old"), 0);
  const std::string version = newest_version(mounted, "file");
  Child child(
      [&] { write_all(open_file(mounted / "file", O_WRONLY | O_TRUNC), "new and longer"); });
  ASSERT_TRUE(child.stands_still());
  end_by_signal(mounted);
  EXPECT_EQ(newest_version(mounted, "file"), version);
  const fs::path place = expect_kept(mounted, "file", 14);
  ASSERT_FALSE(place.empty());
  EXPECT_EQ(read_file(place), "new and longer");
  child.kill(SIGKILL);
  mounted.mount();
  EXPECT_EQ(read_file(mounted / "file"), "old");
}

TEST_F(Unclosed, WhatWasFlushedIsPublishedAndTheRestKept) {
  Mounted mounted(hurried());
  Child child([&] {
    const int descriptor = open_file(mounted / "log", kNewFile);
    write_all(descriptor, "synced");
    if (fsync(descriptor) != 0) _exit(1);
    write_all(descriptor, ", and not");
  });
  ASSERT_TRUE(child.stands_still());
  end_by_signal(mounted);
  const fs::path place = expect_kept(mounted, "log", 15);
  ASSERT_FALSE(place.empty());
  EXPECT_EQ(read_file(place), "synced, and not");
  child.kill(SIGKILL);
  mounted.mount();
  EXPECT_EQ(read_file(mounted / "log"), "synced");
}

class UnclosedLarge : public Unclosed {
 protected:
  // Two parts of three are acknowledged, and the second is no longer in RAM.
  static void write_and_wait(Mounted& mounted, const std::string& name, const std::string& content,
                             std::unique_ptr<Child>& child) {
    child =
        std::make_unique<Child>([&] { write_all(open_file(mounted / name, kNewFile), content); });
    ASSERT_TRUE(child->stands_still());
    ASSERT_TRUE(eventually([&] {
      const Json uploads = mounted.server().uploads();
      return uploads.size() == 1 && uploads.front().at("parts").size() == 2;
    }));
  }

  // Every byte is either in the kept file or in a part that the description names.
  static void expect_whole(const fs::path& place, const std::string& content, const Json& upload) {
    const Json description = description_of(place);
    const std::string kept = read_file(place);
    ASSERT_EQ(kept.size(), content.size());
    std::string found(content.size(), '\0');
    const auto take = [&](const Json& range, const std::string& from) {
      const std::size_t offset = range.at(0);
      found.replace(offset, range.at(1), from, offset, range.at(1));
    };
    for (const Json& range : description.at("ranges")) take(range, kept);
    for (const Json& part : description.at("upload").at("parts")) take(part.at("range"), content);
    EXPECT_TRUE(found == content);
    EXPECT_EQ(description.at("upload").at("id"), upload.at("upload_id"));
    EXPECT_EQ(description.at("upload").at("key"), upload.at("key"));
    EXPECT_FALSE(description.at("ranges").empty());
  }
};

TEST_F(UnclosedLarge, NamesTheUploadThatHoldsItsParts) {
  Mounted mounted(hurried());
  const std::string content = noise(12 * kMiB);
  std::unique_ptr<Child> child;
  write_and_wait(mounted, "large.bin", content, child);
  if (HasFatalFailure()) return;
  const Json upload = mounted.server().uploads().front();
  end_by_signal(mounted);
  EXPECT_EQ(newest_version(mounted, "large.bin"), "");
  const fs::path place = expect_kept(mounted, "large.bin", content.size());
  ASSERT_FALSE(place.empty());
  expect_whole(place, content, upload);
  child->kill(SIGKILL);

  // No later mount takes the only copy of these parts away.
  mounted.mount();
  ASSERT_EQ(try_to_write(mounted / "other", "x"), 0);
  std::this_thread::sleep_for(std::chrono::seconds(2));
  const Json left = mounted.server().uploads();
  ASSERT_EQ(left.size(), 1U);
  EXPECT_EQ(left.front().at("parts").size(), 2U);
  EXPECT_FALSE(fs::exists(mounted / "large.bin"));
}

TEST_F(UnclosedLarge, AnExistingObjectStaysAsItIs) {
  Mounted mounted(hurried());
  const std::string old = noise(11 * kMiB, 1);
  const std::string content = noise(12 * kMiB, 2);
  ASSERT_EQ(try_to_write(mounted / "large.bin", old), 0);
  const std::string version = newest_version(mounted, "large.bin");
  std::unique_ptr<Child> child;
  write_and_wait(mounted, "large.bin", content, child);
  if (HasFatalFailure()) return;
  const Json upload = mounted.server().uploads().front();
  end_by_signal(mounted);
  EXPECT_EQ(newest_version(mounted, "large.bin"), version);
  const fs::path place = expect_kept(mounted, "large.bin", content.size());
  ASSERT_FALSE(place.empty());
  expect_whole(place, content, upload);
  child->kill(SIGKILL);
  mounted.mount();
  EXPECT_TRUE(read_file(mounted / "large.bin") == old);
}

// B2 can't be reached either: the shadow has all that RAM held.
TEST_F(UnclosedLarge, InAnOutage) {
  Mounted mounted(hurried());
  mounted.server().kill();
  const std::string content = noise(12 * kMiB);
  Child child([&] { write_all(open_file(mounted / "large.bin", kNewFile), content); });
  ASSERT_TRUE(child.stands_still());
  end_by_signal(mounted);
  const fs::path place = expect_kept(mounted, "large.bin", content.size());
  ASSERT_FALSE(place.empty());
  EXPECT_TRUE(read_file(place) == content);
  child.kill(SIGKILL);
  mounted.server().start();
  mounted.mount();
  EXPECT_FALSE(fs::exists(mounted / "large.bin"));
}

}  // namespace
}  // namespace spillway
