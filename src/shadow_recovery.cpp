#include "src/shadow_recovery.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "src/shadow_layout.h"

namespace spillway {

using namespace layout;

namespace {

using Sizes = std::map<std::string, std::uint64_t>;

// All files below files/, by their paths.
Result<Sizes> walk_files(Disk& disk) {
  Sizes sizes;
  std::vector<std::string> directories{""};
  while (!directories.empty()) {
    const std::string directory = std::move(directories.back());
    directories.pop_back();
    for (const auto& entry : TRY(disk.list(kFiles + directory))) {
      const std::string path = directory + "/" + entry.name;
      if (entry.kind == DiskEntry::Kind::directory) {
        directories.push_back(path);
      } else if (entry.kind == DiskEntry::Kind::file) {
        sizes.emplace(path.substr(1), entry.size);
      }
    }
  }
  return sizes;
}

Result<Sizes> sizes_in(Disk& disk, const char* directory) {
  Sizes sizes;
  for (const auto& entry : TRY(disk.list(directory))) {
    if (entry.kind == DiskEntry::Kind::file) sizes.emplace(entry.name, entry.size);
  }
  return sizes;
}

class Recovery {
 public:
  Recovery(Disk& disk, const TextHash& hash, Log& log) : disk_(disk), hash_(hash), log_(log) {}

  Result<Recovered> run();

 private:
  using Versions = std::vector<ShadowRecord>;  // of one path, newest first

  Result<> survey();
  void number_on();
  [[nodiscard]] std::map<Path, Versions> by_path();
  [[nodiscard]] Sizes& sizes_of(Place place);
  [[nodiscard]] const std::string& key_of(Place place, const ShadowRecord& record) const;
  [[nodiscard]] std::optional<Place> find_data(const ShadowRecord& record);
  Result<> choose(const Versions& versions);
  void adopt(const ShadowRecord& record, Place place);
  Result<> give_up(const ShadowRecord& record);
  Result<> drop(const ShadowRecord& record);
  Result<> set_damaged_aside();
  Result<> finish_removals();
  void finish_moves();
  Result<> set_orphans_aside(const char* directory, Sizes& orphans, std::uint64_t& count);
  Result<> make_durable();
  void report_unknown_files();
  Result<std::string> keep(const std::string& name, const std::string& as);

  Disk& disk_;
  const TextHash& hash_;
  Log& log_;
  JournalContent journal_;
  // What no record has claimed yet.
  Sizes drafts_;
  Sizes parts_;
  Sizes files_;
  bool journal_changed_ = false;
  bool kept_something_ = false;
  Recovered result_;
};

Result<Recovered> Recovery::run() {
  TRY(survey());
  number_on();
  TRY(set_damaged_aside());
  for (const auto& [path, versions] : by_path()) TRY(choose(versions));
  TRY(finish_removals());
  finish_moves();
  TRY(set_orphans_aside(kDrafts, drafts_, result_.counts.interrupted));
  TRY(set_orphans_aside(kParts, parts_, result_.counts.damaged));
  TRY(make_durable());
  report_unknown_files();
  return std::move(result_);
}

Result<> Recovery::survey() {
  journal_ = TRY(read_journal(disk_, hash_));
  drafts_ = TRY(sizes_in(disk_, kDrafts));
  parts_ = TRY(sizes_in(disk_, kParts));
  files_ = TRY(walk_files(disk_));
  return {};
}

void Recovery::number_on() {
  std::uint64_t highest = 0;
  const auto note = [&](std::string_view id) {
    highest = std::max(highest, number_of(id.substr(0, id.find('.'))).value_or(0));
  };
  for (const auto* records : {&journal_.records, &journal_.retired}) {
    for (const auto& record : *records) {
      note(record.id);
      highest = std::max(highest, record.sequence);
    }
  }
  for (const auto& damaged : journal_.damaged) note(damaged.name);
  for (const auto& name : journal_.leftovers) note(name);
  for (const auto* sizes : {&drafts_, &parts_}) {
    for (const auto& [id, size] : *sizes) note(id);
  }
  result_.index.numbers_from(highest + 1);
}

std::map<Path, Recovery::Versions> Recovery::by_path() {
  std::map<Path, Versions> paths;
  for (auto& record : journal_.records) paths[record.path].push_back(std::move(record));
  for (auto& [path, versions] : paths) {
    std::ranges::sort(versions, std::ranges::greater{}, &ShadowRecord::sequence);
  }
  return paths;
}

Sizes& Recovery::sizes_of(Place place) {
  if (place == Place::drafts) return drafts_;
  return place == Place::parts ? parts_ : files_;
}

const std::string& Recovery::key_of(Place place, const ShadowRecord& record) const {
  return place == Place::files ? record.path.text() : record.id;
}

std::optional<Place> Recovery::find_data(const ShadowRecord& record) {
  for (const Place place : {Place::drafts, Place::parts, Place::files}) {
    if (place == Place::files && !belongs_in_files(record)) break;
    const auto found = sizes_of(place).find(key_of(place, record));
    if (found == sizes_of(place).end()) continue;
    if (fits(record, found->second)) return place;
    if (place != Place::files) break;  // under its own id: it is the record's, and it is wrong
  }
  return std::nullopt;
}

// The winner claims its data before the losers look: they would take its file for theirs.
Result<> Recovery::choose(const Versions& versions) {
  const auto winner = std::ranges::find_if(
      versions, [this](const ShadowRecord& record) { return find_data(record).has_value(); });
  if (winner != versions.end()) {
    const Place place = *find_data(*winner);
    sizes_of(place).erase(key_of(place, *winner));
    for (auto loser = winner + 1; loser != versions.end(); ++loser) TRY(drop(*loser));
    adopt(*winner, place);
  }
  for (auto broken = versions.begin(); broken != winner; ++broken) TRY(give_up(*broken));
  return {};
}

void Recovery::adopt(const ShadowRecord& record, Place place) {
  if (place == Place::drafts) ++result_.counts.finished;
  ++(record.storage == Storage::split ? result_.counts.splits : result_.counts.files);
  result_.index.put({record, place});
}

// Once all that is not theirs is out of the way.
void Recovery::finish_moves() {
  for (const auto& record : result_.index.within(Path())) {
    const Place place = result_.index.find_id(record.id)->place;
    result_.index.move_data(record.id, settle_data(disk_, record, place));
  }
}

// Its data first: a record that is still there when the next start looks is given up again.
Result<> Recovery::give_up(const ShadowRecord& record) {
  for (const Place place : {Place::drafts, Place::parts, Place::files}) {
    if (place == Place::files && !belongs_in_files(record)) continue;
    const auto found = sizes_of(place).find(key_of(place, record));
    if (found == sizes_of(place).end()) continue;
    TRY(keep(data_name(place, record), record.id + ".data"));
    sizes_of(place).erase(found);
  }
  const std::string kept = TRY(keep(in(kJournal, record.id), record.id + ".record"));
  journal_changed_ = true;
  ++result_.counts.damaged;
  log_.event(Level::error, "shadow_damaged",
             {{"name", in(kJournal, record.id)},
              {"path", record.path.text()},
              {"detail", "its data is missing or has another size"},
              {"kept", disk_.absolute(kept)}});
  return {};
}

Result<> Recovery::drop(const ShadowRecord& record) {
  if (const auto place = find_data(record)) {
    TRY(remove_if_there(disk_, data_name(*place, record)));
    sizes_of(*place).erase(key_of(*place, record));
  }
  TRY(remove_if_there(disk_, in(kJournal, record.id)));
  journal_changed_ = true;
  return {};
}

Result<> Recovery::set_damaged_aside() {
  for (const auto& name : journal_.leftovers) TRY(remove_if_there(disk_, in(kJournal, name)));
  for (const auto& damaged : journal_.damaged) {
    const std::string kept = TRY(keep(in(kJournal, damaged.name), damaged.name + ".record"));
    journal_changed_ = true;
    // With its bytes still in drafts/ it was being written, and nobody was told that it was stored.
    const bool interrupted = drafts_.contains(damaged.name);
    if (!interrupted) ++result_.counts.damaged;
    log_.event(interrupted ? Level::warning : Level::error,
               interrupted ? "shadow_interrupted_write" : "shadow_damaged",
               {{"name", in(kJournal, damaged.name)},
                {"detail", damaged.detail},
                {"kept", disk_.absolute(kept)}});
  }
  return {};
}

// After the living have claimed theirs: what is left under a removed record's path is its own.
Result<> Recovery::finish_removals() {
  for (const auto& record : journal_.retired) {
    if (const auto place = find_data(record)) {
      TRY(remove_data(disk_, record, *place));
      sizes_of(*place).erase(key_of(*place, record));
    }
    TRY(remove_if_there(disk_, in(kJournal, record.id) + std::string(kRetired)));
  }
  return {};
}

// In drafts/ they are writes that nobody was told were stored; in parts/ the data of records that are
// damaged or gone.
Result<> Recovery::set_orphans_aside(const char* directory, Sizes& orphans, std::uint64_t& count) {
  for (const auto& [name, size] : orphans) {
    if (size == 0) {
      TRY(remove_if_there(disk_, in(directory, name)));
      continue;
    }
    const std::string kept = TRY(keep(in(directory, name), name + ".data"));
    ++count;
    log_.event(Level::warning, &orphans == &drafts_ ? "shadow_interrupted_write" : "shadow_damaged",
               {{"name", in(directory, name)},
                {"detail", "data that no record names"},
                {"bytes", size},
                {"kept", disk_.absolute(kept)}});
  }
  return {};
}

// A record that lost must not come back once the one that won is gone.
Result<> Recovery::make_durable() {
  if (kept_something_) TRY(disk_.sync_directory(kLostAndFound));
  if (journal_changed_) TRY(disk_.sync_directory(kJournal));
  return {};
}

void Recovery::report_unknown_files() {
  if (files_.empty()) return;
  result_.counts.unknown = files_.size();
  log_.event(Level::warning, "shadow_unknown_files",
             {{"files", files_.size()},
              {"first", disk_.absolute(in(kFiles, files_.begin()->first))},
              {"detail", "no record names them: they stay, and are not sent to B2"}});
}

Result<std::string> Recovery::keep(const std::string& name, const std::string& as) {
  kept_something_ = true;
  return set_aside(disk_, name, as);
}

}  // namespace

Result<Recovered> recover_shadow(Disk& disk, const TextHash& hash, Log& log) {
  return Recovery(disk, hash, log).run();
}

}  // namespace spillway
