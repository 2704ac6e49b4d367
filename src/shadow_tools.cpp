#include "src/shadow_tools.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <map>
#include <span>
#include <utility>

namespace spillway {

using namespace layout;

namespace {

constexpr std::size_t kAtOnce = 1ULL << 20U;

using PieceSink = std::function<Result<>(std::uint64_t, std::span<const std::byte>)>;

// Gives `sink` the bytes of the range, or fails.
Result<> read_range(DiskFile& file, const ByteRange& range, const PieceSink& sink) {
  std::vector<std::byte> buffer(kAtOnce);
  for (std::uint64_t at = range.offset; at < range.end();) {
    const std::uint64_t wanted = std::min<std::uint64_t>(buffer.size(), range.end() - at);
    const auto piece = std::span(buffer).first(static_cast<std::size_t>(wanted));
    if (TRY(file.read_at(at, piece)) != piece.size()) return fail_errno(EIO, "the file got shorter");
    TRY(sink(at, piece));
    at += wanted;
  }
  return {};
}

std::vector<ByteRange> ranges_of(const ShadowRecord& record) {
  if (record.storage == Storage::local) return {{0, record.size}};
  return record.ranges;
}

// Other kinds of file have no data of their own, or data that is not what a reader would see.
bool can_be_exported(const ShadowRecord& record) {
  return record.metadata.kind == FileKind::regular || record.metadata.kind == FileKind::directory;
}

Result<> make_directories(Disk& target, const Path& path) {
  if (path.is_root()) return {};
  TRY(make_directories(target, path.parent()));
  return target.make_directory(path.text());
}

Result<> copy_ranges(DiskFile& from, const ShadowRecord& record, DiskFile& to) {
  for (const auto& range : ranges_of(record)) {
    TRY(read_range(from, range, [&](std::uint64_t offset, std::span<const std::byte> bytes) {
      return to.write_at(offset, bytes);
    }));
  }
  return to.sync();
}

}  // namespace

ShadowTools::ShadowTools(Disk& disk, const Hashing& hashing)
    : disk_(disk), hashing_(hashing), hash_(text_hash(hashing)) {}

Result<ShadowContent> ShadowTools::list() {
  const auto journal = TRY(read_journal(disk_, hash_));
  std::map<Path, const ShadowRecord*> newest;
  for (const auto& record : journal.records) {
    auto& there = newest[record.path];
    if (there == nullptr || there->sequence < record.sequence) there = &record;
  }
  ShadowContent content;
  for (const auto& [path, record] : newest) {
    auto item = find_data(*record);
    if (item.state == DataState::missing && is_gone(*record)) continue;
    content.items.push_back(std::move(item));
  }
  std::ranges::sort(content.items, {}, [](const ShadowItem& item) { return item.record.sequence; });
  for (const auto& damaged : journal.damaged) {
    if (disk_.open(in(kDrafts, damaged.name))) continue;  // a mount is writing it just now
    content.damaged.push_back(disk_.absolute(in(kJournal, damaged.name)));
  }
  for (const auto& entry : TRY(disk_.list(kLostAndFound))) {
    content.lost_and_found.push_back(disk_.absolute(in(kLostAndFound, entry.name)));
  }
  return content;
}

ShadowItem ShadowTools::find_data(const ShadowRecord& record) {
  ShadowItem item;
  item.record = record;
  item.detail = "its data is missing or has another size";
  for (const Place place : {Place::drafts, Place::parts, Place::files}) {
    if (place == Place::files && !belongs_in_files(record)) break;
    const std::string name = data_name(place, record);
    const auto file = disk_.open(name);
    if (!file) continue;
    const auto size = (*file)->size();
    if (!size || !fits(record, *size)) continue;
    item.location = disk_.absolute(name);
    item.state = DataState::sound;
    item.detail.clear();
    break;
  }
  return item;
}

bool ShadowTools::is_gone(const ShadowRecord& record) {
  const auto file = disk_.open(in(kJournal, record.id));
  return !file && is_missing(file.error());
}

Result<ShadowContent> ShadowTools::verify() {
  auto content = TRY(list());
  for (auto& item : content.items) {
    if (item.state == DataState::sound) check_bytes(item);
  }
  std::erase_if(content.items, [this](const ShadowItem& item) {
    return item.state != DataState::sound && is_gone(item.record);
  });
  return content;
}

void ShadowTools::check_bytes(ShadowItem& item) {
  const auto hasher = hashing_.make_sha256();
  const auto read = [&]() -> Result<> {
    const std::string name = item.location.substr(disk_.absolute("").size() + 1);
    const auto file = TRY(disk_.open(name));
    for (const auto& range : ranges_of(item.record)) {
      TRY(read_range(*file, range, [&](std::uint64_t, std::span<const std::byte> bytes) {
        hasher->update(bytes);
        return Result<>();
      }));
    }
    return {};
  }();
  if (!read) {
    item.state = DataState::unreadable;
    item.detail = read.error().detail;
    return;
  }
  const std::string& expected = item.record.metadata.sha256;
  item.has_checksum = item.record.storage == Storage::local && !expected.empty();
  const std::string found = hasher->finish_hex();
  if (!item.has_checksum || found == expected) return;
  item.state = DataState::wrong_checksum;
  item.detail = fmt::format("SHA-256 is {}, its record says {}", found, expected);
}

Result<std::vector<ExportedFile>> ShadowTools::export_to(Disk& target) {
  const auto content = TRY(list());
  std::vector<ExportedFile> files;
  for (const auto& item : content.items) {
    auto file = export_file(item, target);
    if (file.outcome == ExportedFile::Outcome::failed && is_gone(item.record)) continue;
    files.push_back(std::move(file));
  }
  return files;
}

ExportedFile ShadowTools::export_file(const ShadowItem& item, Disk& target) {
  using Outcome = ExportedFile::Outcome;
  const bool split = item.record.storage == Storage::split;
  const std::string name = item.record.path.text() + (split ? ".partial" : "");
  ExportedFile file{item.record, Outcome::failed, target.absolute(name), item.detail};
  if (!can_be_exported(item.record)) {
    file.outcome = Outcome::skipped;
    file.detail = "not a regular file";
    return file;
  }
  if (item.state != DataState::sound) return file;
  const auto copied = [&]() -> Result<> {
    TRY(make_directories(target, item.record.path.parent()));
    if (item.record.metadata.kind == FileKind::directory) return target.make_directory(name);
    const auto from = TRY(disk_.open(item.location.substr(disk_.absolute("").size() + 1)));
    const auto to = TRY(target.create(name));
    auto done = copy_ranges(*from, item.record, *to);
    if (!done) (void)target.remove(name);
    return done;
  }();
  if (copied) {
    file.outcome = split ? Outcome::ranges_only : Outcome::whole;
  } else {
    file.detail = copied.error().detail;
  }
  return file;
}

}  // namespace spillway
