#include "src/shadow_layout.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <span>

namespace spillway::layout {

std::string id_of(std::uint64_t number) { return fmt::format("{:016x}", number); }

std::optional<std::uint64_t> number_of(std::string_view id) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), number, 16);
  if (error != std::errc() || end != id.data() + id.size() || id_of(number) != id) {
    return std::nullopt;
  }
  return number;
}

std::string in(std::string_view directory, std::string_view name) {
  return fmt::format("{}/{}", directory, name);
}

std::string data_name(Place place, const ShadowRecord& record) {
  switch (place) {
    case Place::drafts:
      return in(kDrafts, record.id);
    case Place::parts:
      return in(kParts, record.id);
    case Place::files:
      break;
  }
  return in(kFiles, record.path.text());
}

bool belongs_in_files(const ShadowRecord& record) {
  return record.storage == Storage::local && record.metadata.kind == FileKind::regular;
}

std::uint64_t bytes_of(const ShadowRecord& record) {
  if (record.storage == Storage::local) return record.size;
  std::uint64_t total = 0;
  for (const auto& range : record.ranges) total += range.size;
  return total;
}

bool fits(const ShadowRecord& record, std::uint64_t size) {
  if (record.storage == Storage::local) return size == record.size;
  return std::ranges::all_of(record.ranges,
                             [&](const ByteRange& range) { return range.end() <= size; });
}

bool is_missing(const Error& error) {
  return error.system_errno == ENOENT || error.system_errno == ENOTDIR;
}

Result<> remove_if_there(Disk& disk, const std::string& name) {
  auto removed = disk.remove(name);
  if (!removed && is_missing(removed.error())) return {};
  return removed;
}

Result<std::string> read_text(Disk& disk, const std::string& name, std::uint64_t largest) {
  const auto file = TRY(disk.open(name));
  const std::uint64_t size = TRY(file->size());
  if (size > largest) return fail_errno(EFBIG, name);
  std::string text(static_cast<std::size_t>(size), '\0');
  text.resize(TRY(file->read_at(0, std::as_writable_bytes(std::span(text)))));
  return text;
}

namespace {

Result<> write_fresh(Disk& disk, const std::string& name, std::string_view text) {
  auto created = disk.create(name);
  if (!created && created.error().system_errno == EEXIST) {
    TRY(disk.remove(name));
    created = disk.create(name);
  }
  if (!created) return fail(std::move(created).error());
  const auto file = std::move(created).value();
  TRY(file->write_at(0, std::as_bytes(std::span(text))));
  return file->sync();
}

// Each directory on the way, from the top.
Result<> make_parents(Disk& disk, const Path& path) {
  const std::string& text = path.text();
  for (std::size_t slash = text.find('/'); slash != std::string::npos;
       slash = text.find('/', slash + 1)) {
    TRY(disk.make_directory(in(kFiles, text.substr(0, slash))));
  }
  return {};
}

bool is_free(Disk& disk, const std::string& name) {
  const auto there = disk.open(name);
  return !there && there.error().system_errno == ENOENT;
}

// Most directories are there already, so they are made only once the rename misses one; again when
// somebody else, who removed the last file there, has taken them away meanwhile.
Result<> move_to_path(Disk& disk, const std::string& from, const ShadowRecord& record) {
  const std::string to = data_name(Place::files, record);
  if (!is_free(disk, to)) return fail_errno(EEXIST, to);
  auto moved = disk.rename(from, to);
  constexpr int kMostTries = 4;
  for (int tries = 1; tries < kMostTries && !moved && moved.error().system_errno == ENOENT; ++tries) {
    auto made = make_parents(disk, record.path);
    if (!made && made.error().system_errno != ENOENT) return made;
    moved = disk.rename(from, to);
  }
  return moved;
}

}  // namespace

Result<> write_text(Disk& disk, const std::string& name, std::string_view text) {
  const std::string fresh = name + std::string(kFresh);
  auto written = write_fresh(disk, fresh, text);
  if (written) written = disk.rename(fresh, name);
  if (!written) (void)disk.remove(fresh);
  return written;
}

Result<std::string> set_aside(Disk& disk, const std::string& name, const std::string& as) {
  constexpr int kMostAlike = 10'000;
  std::string target = in(kLostAndFound, as);
  for (int number = 1; !is_free(disk, target); ++number) {
    if (number == kMostAlike) return fail_errno(EEXIST, target);
    target = in(kLostAndFound, fmt::format("{}.{}", as, number));
  }
  TRY(disk.rename(name, target));
  return target;
}

Place settle_data(Disk& disk, const ShadowRecord& record, Place now) {
  if (now == Place::files) return now;
  const std::string from = data_name(now, record);
  if (belongs_in_files(record) && move_to_path(disk, from, record)) return Place::files;
  if (now == Place::parts) return now;
  return disk.rename(from, data_name(Place::parts, record)) ? Place::parts : now;
}

Result<> remove_data(Disk& disk, const ShadowRecord& record, Place place) {
  TRY(remove_if_there(disk, data_name(place, record)));
  if (place == Place::files) remove_empty_parents(disk, record.path);
  return {};
}

void remove_empty_parents(Disk& disk, const Path& path) {
  for (Path parent = path.parent(); !parent.is_root(); parent = parent.parent()) {
    if (!disk.remove_directory(in(kFiles, parent.text()))) return;
  }
}

}  // namespace spillway::layout
