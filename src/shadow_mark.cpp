#include "src/shadow_mark.h"

#include <spdlog/fmt/fmt.h>

#include <cerrno>
#include <nlohmann/json.hpp>
#include <optional>

#include "src/shadow_layout.h"

namespace spillway {

using namespace layout;

namespace {

constexpr std::uint64_t kLargestMark = 64ULL << 10U;

struct Mark {
  bool there = false;
  std::optional<std::string> identity;  // of a mark that can be read
};

Result<Mark> read_mark(Disk& disk) {
  const auto text = read_text(disk, kMark, kLargestMark);
  if (!text && is_missing(text.error())) return Mark{};
  if (!text && text.error().system_errno != EIO) return fail(text.error());
  Mark mark{.there = true, .identity = std::nullopt};
  if (!text) return mark;
  const auto json = nlohmann::json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return mark;
  if (const auto found = json.find("identity"); found != json.end() && found->is_string()) {
    mark.identity = found->get<std::string>();
  }
  return mark;
}

Result<> write_mark(Disk& disk, const std::string& identity) {
  const nlohmann::ordered_json mark{{"format", 1}, {"identity", identity}};
  return write_text(
      disk, kMark, mark.dump(2, ' ', true, nlohmann::ordered_json::error_handler_t::replace) + "\n");
}

Result<> make_directories(Disk& disk) {
  for (const char* name : {kFiles, kParts, kDrafts, kJournal, kLedger, kMetadata, kRenames, kLostAndFound}) {
    TRY(disk.make_directory(name));
  }
  return {};
}

Result<bool> take_clean_mark(Disk& disk) {
  auto removed = disk.remove(kCleanEnd);
  if (removed) return true;
  if (is_missing(removed.error())) return false;
  return fail(removed.error());
}

Result<> renew_mark(Disk& disk, const Mark& mark, const std::string& identity, Log& log) {
  if (mark.there) {
    const std::string kept = TRY(set_aside(disk, kMark, kMark));
    log.event(Level::error, "shadow_damaged", {{"name", kMark}, {"kept", disk.absolute(kept)}});
  }
  return write_mark(disk, identity);
}

}  // namespace

Result<bool> take_possession(Disk& disk, const std::string& identity, Log& log) {
  TRY(disk.lock(kLock));
  const Mark mark = TRY(read_mark(disk));
  if (mark.identity && *mark.identity != identity) {
    return fail(ErrorCode::not_permitted,
                fmt::format("{} is the shadow of {}, not of {}", disk.absolute(""), *mark.identity,
                            identity));
  }
  TRY(make_directories(disk));
  const bool clean = TRY(take_clean_mark(disk));
  const bool used = mark.there || !TRY(disk.list(kJournal)).empty();
  if (!mark.identity) TRY(renew_mark(disk, mark, identity, log));
  TRY(disk.sync_directory(""));
  return used && !clean;
}

Result<> mark_clean_end(Disk& disk) {
  if (const auto created = disk.create(kCleanEnd);
      !created && created.error().system_errno != EEXIST) {
    return fail(created.error());
  }
  return disk.sync_directory("");
}

}  // namespace spillway
