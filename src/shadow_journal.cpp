#include "src/shadow_journal.h"

#include <cerrno>
#include <memory>
#include <set>
#include <span>
#include <utility>

#include "src/shadow_layout.h"

namespace spillway {

using namespace layout;

TextHash text_hash(const Hashing& hashing) {
  return [&hashing](std::string_view text) {
    const auto hasher = hashing.make_sha256();
    hasher->update(std::as_bytes(std::span(text)));
    return hasher->finish_hex();
  };
}

ShadowJournal::ShadowJournal(Disk& disk, Executor& executor, TextHash hash)
    : disk_(disk), hash_(std::move(hash)), directory_(disk, executor, kJournal) {}

// A record that could not be read back after a crash must not be acknowledged, so it is read back
// here, from memory.
Result<std::string> ShadowJournal::readable_text(const ShadowRecord& record) const {
  std::string text = to_text(record, hash_);
  TRY(record_from_text(text, hash_));
  return text;
}

Result<> ShadowJournal::store_first(const ShadowRecord& record, const StockFile& file) {
  const std::string text = TRY(readable_text(record));
  TRY(file.file->write_at(0, std::as_bytes(std::span(text))));
  TRY(file.file->sync());
  return directory_.make_durable(file.named);
}

Result<> ShadowJournal::store(const ShadowRecord& record) {
  const std::string text = TRY(readable_text(record));
  TRY(write_text(disk_, in(kJournal, record.id), text));
  return directory_.make_durable(directory_.changed());
}

// ENOENT: an earlier try got as far as the rename.
Result<> ShadowJournal::retire(const std::string& id) {
  const std::string name = in(kJournal, id);
  if (auto renamed = disk_.rename(name, name + std::string(kRetired));
      !renamed && !is_missing(renamed.error())) {
    return renamed;
  }
  return directory_.make_durable(directory_.changed());
}

void ShadowJournal::forget_retired(const std::string& id) {
  (void)disk_.remove(in(kJournal, id) + std::string(kRetired));
}

Result<> ShadowJournal::remove(const std::string& id) {
  return remove_if_there(disk_, in(kJournal, id));
}

Result<> ShadowJournal::sync() { return directory_.make_durable(directory_.changed()); }

namespace {

constexpr std::uint64_t kLargestRecord = 64ULL << 20U;

class JournalReader {
 public:
  JournalReader(Disk& disk, const TextHash& hash) : disk_(disk), hash_(hash) {}

  Result<JournalContent> read() {
    for (const auto& entry : TRY(disk_.list(kJournal))) TRY(take(entry));
    drop_retired_that_live();
    return std::move(content_);
  }

 private:
  Result<> take(const DiskEntry& entry) {
    const std::string& name = entry.name;
    const bool is_empty = entry.kind == DiskEntry::Kind::file && entry.size == 0;
    if (name.ends_with(kFresh) || is_empty) {
      content_.leftovers.push_back(name);
      return {};
    }
    const bool retired = name.ends_with(kRetired);
    const std::string id = retired ? name.substr(0, name.size() - kRetired.size()) : name;
    if (!number_of(id) || entry.kind != DiskEntry::Kind::file) {
      content_.damaged.push_back({name, "no record has this name"});
      return {};
    }
    auto text = read_text(disk_, in(kJournal, name), kLargestRecord);
    // What the disk gives at a second try is no damage: an older version would be shown instead.
    if (!text && text.error().system_errno == EIO) {
      text = read_text(disk_, in(kJournal, name), kLargestRecord);
    }
    if (!text && is_missing(text.error())) return {};  // gone since it was listed
    if (!text && text.error().system_errno != EIO && text.error().system_errno != EFBIG) {
      return fail(text.error());
    }
    auto record = text ? record_from_text(*text, hash_) : Result<ShadowRecord>(fail(text.error()));
    if (record && record->id != id) record = fail(ErrorCode::invalid_argument, "of another id");
    if (!record) {
      content_.damaged.push_back({name, record.error().detail});
    } else {
      (retired ? content_.retired : content_.records).push_back(std::move(record).value());
    }
    return {};
  }

  // A record is there under both names only when it was stored again after a retire() that failed.
  void drop_retired_that_live() {
    std::set<std::string> living;
    for (const auto& record : content_.records) living.insert(record.id);
    std::erase_if(content_.retired, [&](const ShadowRecord& record) {
      if (!living.contains(record.id)) return false;
      content_.leftovers.push_back(record.id + std::string(kRetired));
      return true;
    });
  }

  Disk& disk_;
  const TextHash& hash_;
  JournalContent content_;
};

}  // namespace

Result<JournalContent> read_journal(Disk& disk, const TextHash& hash) {
  return JournalReader(disk, hash).read();
}

}  // namespace spillway
