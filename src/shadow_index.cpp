#include "src/shadow_index.h"

#include <algorithm>
#include <utility>

namespace spillway {

const ShadowEntry* ShadowIndex::find(const Path& path) const {
  const auto found = by_path_.find(path.text());
  return found == by_path_.end() ? nullptr : &found->second;
}

const ShadowEntry* ShadowIndex::find_id(const std::string& id) const {
  const auto path = path_of_.find(id);
  return path == path_of_.end() ? nullptr : &by_path_.at(path->second);
}

std::vector<ShadowRecord> ShadowIndex::within(const Path& directory) const {
  std::vector<ShadowRecord> records;
  if (const auto* entry = find(directory)) records.push_back(entry->record);
  const std::string prefix = directory.prefix();
  for (auto entry = by_path_.lower_bound(prefix);
       entry != by_path_.end() && entry->first.starts_with(prefix); ++entry) {
    records.push_back(entry->second.record);
  }
  std::ranges::sort(records, {}, &ShadowRecord::sequence);
  return records;
}

std::set<UploadId> ShadowIndex::uploads() const {
  std::set<UploadId> ids;
  for (const auto& [path, entry] : by_path_) {
    if (entry.record.upload) ids.insert(entry.record.upload->id);
  }
  return ids;
}

std::vector<ShadowRecord> ShadowIndex::begun_as(const Path& path) const {
  std::vector<ShadowRecord> records;
  const auto [first, last] = begun_as_.equal_range(path.text());
  for (auto entry = first; entry != last; ++entry) records.push_back(find_id(entry->second)->record);
  return records;
}

std::optional<ShadowEntry> ShadowIndex::put(ShadowEntry entry) {
  erase(entry.record.id);
  std::optional<ShadowEntry> former;
  if (const auto* there = find(entry.record.path)) {
    former = *there;
    erase(former->record.id);
  }
  bytes_ += layout::bytes_of(entry.record);
  const std::string path = entry.record.path.text();
  path_of_[entry.record.id] = path;
  const auto& upload = entry.record.upload;
  if (upload && upload->key != path) begun_as_.emplace(upload->key, entry.record.id);
  by_path_.insert_or_assign(path, std::move(entry));
  return former;
}

void ShadowIndex::move_data(const std::string& id, layout::Place place) {
  if (const auto path = path_of_.find(id); path != path_of_.end()) {
    by_path_.at(path->second).place = place;
  }
}

void ShadowIndex::erase(const std::string& id) {
  const auto path = path_of_.find(id);
  if (path == path_of_.end()) return;
  const auto entry = by_path_.find(path->second);
  bytes_ -= layout::bytes_of(entry->second.record);
  std::erase_if(begun_as_, [&](const auto& begun) { return begun.second == id; });
  by_path_.erase(entry);
  path_of_.erase(path);
}

void ShadowIndex::doubt(const Path& path, const std::string& id, Urgency urgency) {
  auto& doubt = doubts_[path.text()];
  doubt.ids.insert(id);
  doubt.urgent = doubt.urgent || urgency == Urgency::urgent;
}

const ShadowDoubt* ShadowIndex::doubt_of(const Path& path) const {
  const auto found = doubts_.find(path.text());
  return found == doubts_.end() ? nullptr : &found->second;
}

std::set<std::string> ShadowIndex::concerned(const std::vector<Path>& paths) const {
  std::set<std::string> all;
  for (const auto& path : paths) {
    all.insert(path.text());
    const auto* doubt = doubt_of(path);
    if (doubt == nullptr) continue;
    for (const auto& id : doubt->ids) {
      if (const auto* entry = find_id(id)) all.insert(entry->record.path.text());
    }
  }
  return all;
}

bool ShadowIndex::is_free(const std::set<std::string>& paths) const {
  return std::ranges::none_of(paths, [&](const std::string& path) { return busy_.contains(path); });
}

void ShadowIndex::release(const std::set<std::string>& paths) {
  for (const auto& path : paths) busy_.erase(path);
}

ShadowTurn ShadowTurn::take(Guarded<ShadowIndex>& index, const std::vector<Path>& paths) {
  auto locked = index.lock();
  std::set<std::string> all;
  locked.wait([&] {
    all = locked->concerned(paths);
    return locked->is_free(all);
  });
  locked->occupy(all);
  return {index, std::move(all)};
}

Result<ShadowTurn> ShadowTurn::take_record(Guarded<ShadowIndex>& index, const std::string& id,
                                           const std::vector<Path>& others) {
  auto locked = index.lock();
  std::set<std::string> all;
  bool there = true;
  locked.wait([&] {
    const auto* entry = locked->find_id(id);
    there = entry != nullptr;
    if (!there) return true;
    auto paths = others;
    paths.push_back(entry->record.path);
    all = locked->concerned(paths);
    return locked->is_free(all);
  });
  if (!there) return fail(ErrorCode::stale, "no such record in the shadow any more");
  locked->occupy(all);
  return ShadowTurn(index, std::move(all));
}

ShadowTurn::ShadowTurn(ShadowTurn&& other) noexcept
    : index_(std::exchange(other.index_, nullptr)), paths_(std::move(other.paths_)) {}

ShadowTurn::~ShadowTurn() {
  if (index_ == nullptr) return;
  auto locked = index_->lock();
  locked->release(paths_);
  locked.notify_all();
}

}  // namespace spillway
