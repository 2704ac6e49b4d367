#include "src/shadow_metadata.h"

#include <utility>

#include "src/shadow_entries.h"
#include "src/shadow_layout.h"

namespace spillway {

using namespace layout;

namespace {

constexpr std::uint64_t kLargestEntry = 1ULL << 20U;

// In the form of the journal's records: a file whose bytes are all in the version it is based on.
ShadowRecord record_of(const MetadataChange& change) {
  ShadowRecord record;
  record.path = change.path;
  record.storage = Storage::split;
  record.size = change.version.size;
  record.base = change.version;
  record.metadata = change.metadata;
  record.stored_at = change.changed_at;
  return record;
}

std::optional<MetadataChange> change_from(const ShadowRecord& record) {
  if (!record.base) return std::nullopt;
  return MetadataChange{record.path, record.metadata, *record.base, record.stored_at};
}

}  // namespace

ShadowMetadata::ShadowMetadata(Disk& disk, Executor& executor, TextHash hash)
    : disk_(disk),
      hash_(std::move(hash)),
      directory_(disk, executor, kMetadata),
      changes_(executor) {}

std::string ShadowMetadata::name_of(const Path& path) const {
  return in(kMetadata, hash_(path.text()));
}

Result<> ShadowMetadata::load(Log& log) {
  const EntriesOf what{kMetadata, "metadata-", kLargestEntry};
  return load_entries(disk_, what, log, [&](const std::string&, std::string_view text) {
    const auto record = record_from_text(text, hash_);
    const auto change = record ? change_from(*record) : std::nullopt;
    if (change) changes_.lock()->emplace(change->path, *change);
    return change.has_value();
  });
}

Result<> ShadowMetadata::note(const MetadataChange& change) {
  TRY(write_text(disk_, name_of(change.path), to_text(record_of(change), hash_)));
  TRY(directory_.make_durable(directory_.changed()));
  changes_.lock()->insert_or_assign(change.path, change);
  return {};
}

Result<> ShadowMetadata::forget(const Path& path) {
  if (changes_.lock()->erase(path) == 0) return {};
  return remove_if_there(disk_, name_of(path));
}

std::optional<MetadataChange> ShadowMetadata::find(const Path& path) const {
  auto changes = changes_.lock();
  const auto found = changes->find(path);
  if (found == changes->end()) return std::nullopt;
  return found->second;
}

std::vector<MetadataChange> ShadowMetadata::all() const {
  std::vector<MetadataChange> all;
  for (const auto& [path, change] : *changes_.lock()) all.push_back(change);
  return all;
}

}  // namespace spillway
