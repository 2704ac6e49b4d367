#include "src/shadow.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "src/directory_sync.h"
#include "src/guarded.h"
#include "src/shadow_draft.h"
#include "src/shadow_index.h"
#include "src/shadow_journal.h"
#include "src/shadow_layout.h"
#include "src/shadow_ledger.h"
#include "src/shadow_mark.h"
#include "src/shadow_metadata.h"
#include "src/shadow_recovery.h"
#include "src/shadow_renames.h"
#include "src/shadow_space.h"
#include "src/shadow_stock.h"

namespace spillway {

using namespace layout;

namespace {

constexpr std::size_t kCopyAtOnce = 1ULL << 20U;

class LocalShadow final : public Shadow {
 public:
  LocalShadow(Disk& disk, const ShadowSettings& settings, Executor& executor, const TextHash& hash);

  // Before all else.
  Result<> start(const ShadowSettings& settings, const Clock& clock, const TextHash& hash,
                 Log& log);

  [[nodiscard]] const ShadowRecovery& recovery() const override { return recovery_; }

  Result<std::unique_ptr<ShadowDraft>> create_draft() override;
  Result<std::unique_ptr<ShadowDraft>> copy_to_draft(const ShadowRecord& record) override;
  Result<ShadowRecord> publish(ShadowDraft& draft, ShadowRecord record) override;
  Result<std::string> set_aside(ShadowDraft& draft, const ShadowRecord& record) override;

  [[nodiscard]] std::optional<ShadowRecord> find(const Path& path) const override;
  [[nodiscard]] std::vector<ShadowRecord> within(const Path& directory) const override;
  [[nodiscard]] std::vector<ShadowRecord> begun_as(const Path& path) const override {
    return index_.lock()->begun_as(path);
  }
  [[nodiscard]] ShadowUsage usage() const override { return index_.lock()->usage(); }
  [[nodiscard]] std::string location_of(const ShadowRecord& record) const override;

  Result<std::unique_ptr<DiskFile>> open_data(const ShadowRecord& record) override;
  Result<> remove(const std::string& id) override;
  Result<ShadowRecord> rename(const std::string& id, const Path& to) override;
  Result<> update(const ShadowRecord& record) override;

  Result<> note_upload(const LedgerEntry& entry) override { return ledger_.note(entry); }
  Result<> forget_upload(const UploadId& id) override { return ledger_.forget(id); }
  void leave_upload(const UploadId& id) override { ledger_.leave(id); }
  [[nodiscard]] std::vector<LedgerEntry> orphaned_uploads() const override;
  [[nodiscard]] std::vector<std::string> unwanted_objects(const Key& key) const override {
    return ledger_.unwanted_objects(key);
  }

  Result<> note_metadata(const MetadataChange& change) override { return metadata_.note(change); }
  Result<> forget_metadata(const Path& path) override { return metadata_.forget(path); }
  [[nodiscard]] std::optional<MetadataChange> waiting_metadata(const Path& path) const override {
    return metadata_.find(path);
  }
  [[nodiscard]] std::vector<MetadataChange> waiting_metadata() const override {
    return metadata_.all();
  }
  Result<> note_rename(const TreeRename& rename) override { return renames_.note(rename); }
  Result<> forget_rename(const std::string& id) override { return renames_.forget(id); }
  [[nodiscard]] std::vector<TreeRename> unfinished_renames() const override {
    return renames_.unfinished();
  }

  Result<> close_cleanly() override;

 private:
  using Urgency = ShadowIndex::Urgency;

  // All of these with the turns of the paths they concern.
  [[nodiscard]] ShadowEntry entry_of(const std::string& id) const;
  Result<> store_draft(LocalDraft& draft, const ShadowRecord& record);
  Result<> settle(const Path& path);
  Result<> settle_if_urgent(const Path& path);
  Result<> take_back(const ShadowRecord& record, const std::vector<Path>& paths);
  void enter(const ShadowRecord& record, Place place);
  Result<> park(const ShadowEntry& entry);
  Result<> leave_upload_under(const Path& path);

  Disk& disk_;
  ShadowRecovery recovery_;
  ShadowSpace space_;
  ShadowJournal journal_;
  DirectorySync drafts_;
  DirectorySync parts_;
  ShadowLedger ledger_;
  ShadowMetadata metadata_;
  ShadowRenames renames_;
  mutable Guarded<ShadowIndex> index_;
  ShadowStock stock_;
};

LocalShadow::LocalShadow(Disk& disk, const ShadowSettings& settings, Executor& executor,
                         const TextHash& hash)
    : disk_(disk),
      space_(disk, executor, settings.limit_bytes, settings.reserve_bytes),
      journal_(disk, executor, hash),
      drafts_(disk, executor, kDrafts),
      parts_(disk, executor, kParts),
      ledger_(disk, executor, hash),
      metadata_(disk, executor, hash),
      renames_(disk, executor, hash),
      index_(executor),
      stock_(disk, executor, drafts_, journal_.directory(),
             [this] { return id_of(index_.lock()->next_number()); }) {}

Result<> LocalShadow::start(const ShadowSettings& settings, const Clock& clock,
                            const TextHash& hash, Log& log) {
  const bool after_crash = TRY(take_possession(disk_, settings.identity, log));
  auto recovered = TRY(recover_shadow(disk_, hash, log));
  TRY(ledger_.load(log));
  TRY(metadata_.load(log));
  TRY(renames_.load(log));
  recovery_ = recovered.counts;
  recovery_.after_crash = after_crash;
  space_.count(recovered.index.usage().bytes);
  auto index = index_.lock();
  *index = std::move(recovered.index);
  // Ids are not used again, although all that had them is gone: that it is gone may not be durable,
  // and what a power cut brings back must not be taken for a new record's.
  index->numbers_from(static_cast<std::uint64_t>(clock.wall().time_since_epoch().count()));
  return {};
}

// --- drafts

Result<std::unique_ptr<ShadowDraft>> LocalShadow::create_draft() {
  return std::make_unique<LocalDraft>(disk_, space_, drafts_, TRY(stock_.take()));
}

Result<std::unique_ptr<ShadowDraft>> LocalShadow::copy_to_draft(const ShadowRecord& record) {
  const auto source = TRY(open_data(record));
  auto draft = TRY(create_draft());
  std::vector<ByteRange> ranges = record.ranges;
  if (record.storage == Storage::local) ranges = {{0, record.size}};
  std::vector<std::byte> buffer(kCopyAtOnce);
  for (const auto& range : ranges) {
    for (std::uint64_t at = range.offset; at < range.end();) {
      const std::uint64_t wanted = std::min<std::uint64_t>(buffer.size(), range.end() - at);
      const std::span<std::byte> piece = std::span(buffer).first(static_cast<std::size_t>(wanted));
      if (TRY(source->read_at(at, piece)) != piece.size()) {
        return fail_errno(EIO, "a file in the shadow is shorter than its record");
      }
      TRY(draft->write(at, piece));
      at += wanted;
    }
  }
  return draft;
}

// --- publishing

Result<> check_publishable(LocalDraft& draft, const ShadowRecord& record) {
  TRY(draft.check_unpublished());
  if (record.path.is_root()) return fail(ErrorCode::invalid_argument, "the root is no file");
  const std::uint64_t size = TRY(draft.size());
  if (fits(record, size)) return {};
  return fail(ErrorCode::invalid_argument,
              fmt::format("the shadow was given {} bytes that are not what the record of {} names",
                          size, record.path.text()));
}

Result<ShadowRecord> LocalShadow::publish(ShadowDraft& given, ShadowRecord record) {
  auto& draft = static_cast<LocalDraft&>(given);  // all drafts of this shadow are
  TRY(check_publishable(draft, record));
  if (auto synced = draft.sync(); !synced) {
    stock_.clear();
    return fail(std::move(synced).error());
  }
  const auto turn = ShadowTurn::take(index_, {record.path});
  TRY(settle_if_urgent(record.path));
  TRY(leave_upload_under(record.path));
  record.id = draft.id();
  record.sequence = index_.lock()->next_number();
  TRY(store_draft(draft, record));
  enter(record, Place::drafts);
  return record;
}

// The record that is there, if any, is about to be replaced.
Result<> LocalShadow::leave_upload_under(const Path& path) {
  const auto former = find(path);
  return former ? ledger_.leave_with(*former) : Result<>();
}

// Moves the charge from draft to record. They differ by holes, and by ranges written in vain.
Result<> LocalShadow::store_draft(LocalDraft& draft, const ShadowRecord& record) {
  const std::uint64_t wanted = bytes_of(record);
  const std::uint64_t charged = draft.charged();
  const std::uint64_t holes = wanted - std::min(wanted, charged);
  if (holes > 0) TRY(space_.take_within_limit(holes));
  const StockFile file = draft.take_record_file();
  auto stored = file.file ? journal_.store_first(record, file) : journal_.store(record);
  if (!stored) {
    stock_.clear();
    space_.give_back(holes);
    if (!take_back(record, {record.path})) draft.distrust();
    return stored;
  }
  draft.published();
  space_.give_back(charged - std::min(wanted, charged));
  return {};
}

// The record is durable: from here on nothing can fail, only be left for the next start to finish.
// The older one's data goes before its record, so that a crash between leaves a record that loses
// and not data that nobody knows.
void LocalShadow::enter(const ShadowRecord& record, Place place) {
  const auto former = index_.lock()->put({record, place});
  if (former) {
    if (remove_if_there(disk_, data_name(former->place, former->record))) {
      (void)journal_.remove(former->record.id);
    }
    space_.give_back(bytes_of(former->record));
    index_.lock()->doubt(record.path, former->record.id, Urgency::lazy);
  }
  const Place settled = settle_data(disk_, record, place);
  index_.lock()->move_data(record.id, settled);
  if (former && settled != Place::files) remove_empty_parents(disk_, record.path);
}

Result<std::string> LocalShadow::set_aside(ShadowDraft& given, const ShadowRecord& record) {
  auto& draft = static_cast<LocalDraft&>(given);
  TRY(draft.check_unpublished());
  TRY(draft.sync());
  const std::string text = TRY(journal_.readable_text(record));
  // With its id: files of the same name, and those that end in ".json", must not meet there.
  constexpr std::size_t kLongestName = 200;
  const std::string name =
      draft.id() + "." + std::string(record.path.name().substr(0, kLongestName));
  const std::string kept = TRY(layout::set_aside(disk_, in(kDrafts, draft.id()), name));
  draft.set_aside();
  const Result<> described = write_text(disk_, kept + ".json", text);
  TRY(disk_.sync_directory(kLostAndFound));
  TRY(described);
  return disk_.absolute(kept);
}

// --- what the disk may hold besides the index

Result<> LocalShadow::settle(const Path& path) {
  std::vector<ShadowRecord> valid;
  std::vector<std::string> void_ids;
  {
    auto index = index_.lock();
    const auto* doubt = index->doubt_of(path);
    if (doubt == nullptr) return {};
    for (const auto& id : doubt->ids) {
      const auto* entry = index->find_id(id);
      if (entry == nullptr) {
        void_ids.push_back(id);
      } else {
        valid.push_back(entry->record);
      }
    }
  }
  for (const auto& record : valid) TRY(journal_.store(record));
  for (const auto& id : void_ids) TRY(journal_.remove(id));
  if (!void_ids.empty()) TRY(journal_.sync());
  index_.lock()->settled(path);
  return {};
}

Result<> LocalShadow::settle_if_urgent(const Path& path) {
  bool urgent = false;
  {
    auto index = index_.lock();
    const auto* doubt = index->doubt_of(path);
    urgent = doubt != nullptr && doubt->urgent;
  }
  return urgent ? settle(path) : Result<>();
}

// After a change of the journal that failed: brings it back to what the index says, now or, where
// that fails too, before anything else is done to these paths.
Result<> LocalShadow::take_back(const ShadowRecord& record, const std::vector<Path>& paths) {
  {
    auto index = index_.lock();
    for (const auto& path : paths) index->doubt(path, record.id, Urgency::urgent);
  }
  for (const auto& path : paths) TRY(settle(path));
  return {};
}

// --- changes of records

ShadowEntry LocalShadow::entry_of(const std::string& id) const {
  return *index_.lock()->find_id(id);
}

// The record stops counting first, durably; then older ones can't come back in its place, and its
// data is nobody's.
Result<> LocalShadow::remove(const std::string& id) {
  const auto turn = TRY(ShadowTurn::take_record(index_, id));
  const auto entry = entry_of(id);
  TRY(settle(entry.record.path));
  TRY(ledger_.leave_with(entry.record));
  if (auto retired = journal_.retire(id); !retired) {
    (void)take_back(entry.record, {entry.record.path});
    return retired;
  }
  index_.lock()->erase(id);
  space_.give_back(bytes_of(entry.record));
  if (remove_data(disk_, entry.record, entry.place)) journal_.forget_retired(id);
  return {};
}

// Data under the old path would be lost once the record names the new one: it goes under the id
// first, durably. Tried again after a failure only from the old path.
Result<> LocalShadow::park(const ShadowEntry& entry) {
  if (entry.place != Place::files) return {};
  const std::string from = data_name(Place::files, entry.record);
  const std::string to = data_name(Place::parts, entry.record);
  TRY(disk_.rename(from, to));
  index_.lock()->move_data(entry.record.id, Place::parts);
  auto parked = parts_.make_durable(parts_.changed());
  if (!parked && disk_.rename(to, from)) {
    index_.lock()->move_data(entry.record.id, Place::files);
  }
  return parked;
}

Result<ShadowRecord> LocalShadow::rename(const std::string& id, const Path& to) {
  if (to.is_root()) return fail(ErrorCode::invalid_argument, "the root is no file");
  const auto turn = TRY(ShadowTurn::take_record(index_, id, {to}));
  const auto entry = entry_of(id);
  const Path from = entry.record.path;
  if (from == to) return entry.record;
  TRY(settle(from));
  TRY(settle_if_urgent(to));
  TRY(leave_upload_under(to));
  TRY(park(entry));
  ShadowRecord renamed = entry.record;
  renamed.path = to;
  renamed.sequence = index_.lock()->next_number();
  if (auto stored = journal_.store(renamed); !stored) {
    (void)take_back(entry.record, {from, to});
    return fail(stored.error());
  }
  enter(renamed, entry_of(id).place);
  remove_empty_parents(disk_, from);
  return renamed;
}

Result<> LocalShadow::update(const ShadowRecord& record) {
  const auto turn = TRY(ShadowTurn::take_record(index_, record.id));
  const auto entry = entry_of(record.id);
  TRY(settle_if_urgent(entry.record.path));
  ShadowRecord changed = record;
  changed.sequence = entry.record.sequence;
  changed.path = entry.record.path;
  changed.storage = entry.record.storage;
  changed.size = entry.record.size;
  changed.ranges = entry.record.ranges;
  // Who changes something else may have read the record before these were noted.
  const auto& noted = entry.record.upload;
  if (changed.upload && noted && changed.upload->made_version.empty()) {
    changed.upload->made_version = noted->made_version;
  }
  for (const std::string& id : entry.record.own_ids) {
    if (std::ranges::find(changed.own_ids, id) == changed.own_ids.end()) changed.own_ids.push_back(id);
  }
  if (auto stored = journal_.store(changed); !stored) {
    (void)take_back(entry.record, {changed.path});
    return stored;
  }
  index_.lock()->put({changed, entry.place});
  return {};
}

// --- questions

std::optional<ShadowRecord> LocalShadow::find(const Path& path) const {
  auto index = index_.lock();
  const auto* entry = index->find(path);
  return entry == nullptr ? std::nullopt : std::optional(entry->record);
}

std::vector<ShadowRecord> LocalShadow::within(const Path& directory) const {
  return index_.lock()->within(directory);
}

std::string LocalShadow::location_of(const ShadowRecord& record) const {
  auto index = index_.lock();
  if (const auto* entry = index->find_id(record.id)) {
    return disk_.absolute(data_name(entry->place, entry->record));
  }
  const Place place = belongs_in_files(record) ? Place::files : Place::parts;
  return disk_.absolute(data_name(place, record));
}

// With the path's turn: otherwise a publish could put another version under the name meanwhile.
Result<std::unique_ptr<DiskFile>> LocalShadow::open_data(const ShadowRecord& record) {
  const auto turn = TRY(ShadowTurn::take_record(index_, record.id));
  const auto entry = entry_of(record.id);
  return disk_.open(data_name(entry.place, entry.record));
}

Result<> LocalShadow::close_cleanly() {
  stock_.clear();
  return mark_clean_end(disk_);
}

std::vector<LedgerEntry> LocalShadow::orphaned_uploads() const {
  const auto named = index_.lock()->uploads();
  return ledger_.orphans(named);
}

}  // namespace

Result<std::unique_ptr<Shadow>> open_shadow(Disk& disk, const ShadowSettings& settings,
                                            Executor& executor, const Hashing& hashing, Log& log) {
  const TextHash hash = text_hash(hashing);
  auto shadow = std::make_unique<LocalShadow>(disk, settings, executor, hash);
  TRY(shadow->start(settings, executor.clock(), hash, log));
  return shadow;
}

}  // namespace spillway
