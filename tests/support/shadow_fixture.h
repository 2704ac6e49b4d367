// A test with an open shadow on a disk in memory.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "tests/support/shadow_rig.h"

namespace spillway {

inline std::span<const std::byte> bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

class ShadowTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(rig_.open().ok()); }

  void reopen() {
    rig_.power_cut(0);
    const auto opened = rig_.open();
    ASSERT_TRUE(opened.ok()) << opened.error().detail;
  }
  ShadowRecord publish(std::string_view path, std::string_view text) {
    auto record = rig_.publish(path, text);
    EXPECT_TRUE(record.ok()) << record.error().detail;
    return *record;
  }
  std::string text_at(std::string_view path) {
    const auto record = rig_.shadow->find(path_of(path));
    return record ? rig_.content(*record).value() : "NO RECORD";
  }
  std::string place_of(std::string_view path) {
    const auto record = rig_.shadow->find(path_of(path));
    return record ? rig_.shadow->location_of(*record) : "NO RECORD";
  }
  std::unique_ptr<ShadowDraft> draft_of(std::string_view text) {
    auto draft = rig_.shadow->create_draft().value();
    EXPECT_TRUE(draft->write(0, bytes(text)).ok());
    return draft;
  }
  static ShadowRecord record_for(std::string_view path, std::uint64_t size) {
    ShadowRecord record;
    record.path = path_of(path);
    record.size = size;
    return record;
  }

  ShadowRig rig_;
};

}  // namespace spillway
