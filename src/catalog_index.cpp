#include "src/catalog_index.h"

#include <algorithm>
#include <utility>

namespace spillway {

RemoteFile file_from(const ObjectInfo& info) {
  RemoteFile file;
  file.size = info.size;
  file.etag = info.etag;
  file.version_id = info.version_id;
  file.last_modified = info.last_modified;
  file.content_type = info.content_type;
  file.metadata = metadata_from(info.metadata);
  return file;
}

namespace {

using Need = CatalogIndex::View::Need;

CatalogIndex::View view(Need need, RemoteEntry entry, Instant until) {
  return {.need = need, .entry = std::move(entry), .until = until};
}

}  // namespace

std::string_view CatalogIndex::parent_of(std::string_view path) {
  const auto slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view() : path.substr(0, slash);
}

std::string_view CatalogIndex::name_of(std::string_view path) {
  const auto slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

// --- places

const CatalogIndex::Directory* CatalogIndex::peek(std::string_view path) const {
  const auto found = by_path_.find(path);
  return found == by_path_.end() ? nullptr : &*found->second;
}

CatalogIndex::Directory* CatalogIndex::find_directory(std::string_view path) {
  const auto found = by_path_.find(path);
  if (found == by_path_.end()) return nullptr;
  directories_.splice(directories_.begin(), directories_, found->second);
  return &*found->second;
}

CatalogIndex::Directory& CatalogIndex::obtain(std::string_view path) {
  if (Directory* known = find_directory(path)) return *known;
  directories_.emplace_front().path = path;
  by_path_.emplace(directories_.front().path, directories_.begin());
  ++kept_;
  return directories_.front();
}

CatalogIndex::Place CatalogIndex::find_place(std::string_view path) {
  Place place{.directory = find_directory(parent_of(path))};
  if (place.directory == nullptr) return place;
  const auto found = place.directory->names.find(name_of(path));
  if (found != place.directory->names.end()) place.slot = &found->second;
  return place;
}

CatalogIndex::Slot& CatalogIndex::obtain_slot(std::string_view path) {
  return obtain_slot(obtain(parent_of(path)), name_of(path));
}

CatalogIndex::Slot& CatalogIndex::obtain_slot(Directory& directory, std::string_view name) {
  const auto found = directory.names.find(name);
  if (found != directory.names.end()) return found->second;
  ++kept_;
  return directory.names[std::string(name)];
}

// A complete listing says by itself what is not there. While requests are under way the slot is
// kept for its moment: an older answer must not bring the name back.
void CatalogIndex::forget_if_absent(Directory& directory, std::string_view name) {
  const auto found = directory.names.find(name);
  if (!directory.complete || directory.pins > 0 || found == directory.names.end()) return;
  if (!found->second.is_absent() || found->second.directory.doubtful) return;
  directory.names.erase(found);
  --kept_;
}

void CatalogIndex::shrink() {
  auto oldest = directories_.end();
  while (kept_ > settings_.kept_names && oldest != directories_.begin()) {
    --oldest;
    // The one in use just now stays, however large it is.
    if (oldest == directories_.begin()) return;
    if (oldest->pins > 0) continue;
    kept_ -= oldest->names.size() + 1;
    by_path_.erase(oldest->path);
    oldest = directories_.erase(oldest);
  }
}

// --- what is known

Moment CatalogIndex::moment_of(const Place& place, const Moment& fact) {
  const bool listed_later = place.directory->complete && place.directory->listed.order > fact.order;
  return listed_later ? place.directory->listed : fact;
}

bool CatalogIndex::is_fresh(Moment moment, Instant since) const {
  return moment.order > 0 && (moment.time >= since || moment.time + settings_.ttl > since);
}

// Where a directory on the way is known not to be there, nothing below it is. The nearest one of
// which anything is known decides.
std::optional<CatalogIndex::View> CatalogIndex::below_nothing(std::string_view path,
                                                              Instant since) {
  for (auto on_the_way = parent_of(path); !on_the_way.empty(); on_the_way = parent_of(on_the_way)) {
    const Place place = find_place(on_the_way);
    if (place.directory == nullptr) continue;
    const DirectoryFact none;
    const DirectoryFact& fact = place.slot == nullptr ? none : place.slot->directory;
    const Moment moment = moment_of(place, fact.as_of);
    if (fact.doubtful || !is_fresh(moment, since)) continue;
    if (fact.present) return std::nullopt;
    return view(Need::nothing, {}, moment.time + settings_.ttl);
  }
  return std::nullopt;
}

CatalogIndex::View CatalogIndex::look(const Path& path, Instant since) {
  if (path.is_root()) {
    return view(Need::nothing, {.file = {}, .directory = RemoteDirectory()}, since + settings_.ttl);
  }
  if (auto nothing = below_nothing(path.text(), since)) return *std::move(nothing);
  const Place place = find_place(path.text());
  if (place.directory == nullptr) return view(Need::lookup, {}, {});
  const Slot none;
  const Slot& slot = place.slot == nullptr ? none : *place.slot;
  const Moment directory = moment_of(place, slot.directory.as_of);
  if (slot.directory.doubtful || !is_fresh(directory, since)) return view(Need::lookup, {}, {});
  if (slot.directory.present) {
    const Directory* itself = find_directory(path.text());
    const bool is_known = itself != nullptr && itself->marker.is_known();
    return view(is_known ? Need::nothing : Need::directory_metadata,
                {.file = {}, .directory = directory_of(itself)}, directory.time + settings_.ttl);
  }
  const Moment file = moment_of(place, slot.file.as_of);
  if (!is_fresh(file, since)) return view(Need::lookup, {}, {});
  const Instant until = std::min(file.time, directory.time) + settings_.ttl;
  if (!slot.file.version) return view(Need::nothing, {}, until);
  if (!slot.file.details) return view(Need::file_metadata, {}, until);
  return view(Need::nothing, {.file = file_of(slot.file), .directory = {}}, until);
}

CatalogIndex::View::Need CatalogIndex::metadata_need(const Path& path) {
  const Place place = find_place(path.text());
  if (place.slot != nullptr && place.slot->directory.present) {
    const Directory* itself = find_directory(path.text());
    const bool is_known = itself != nullptr && itself->marker.is_known();
    return is_known ? Need::nothing : Need::directory_metadata;
  }
  return place.slot != nullptr && place.slot->file.details ? Need::nothing : Need::file_metadata;
}

std::optional<RemoteEntry> CatalogIndex::recall(const Path& path) {
  if (path.is_root()) return RemoteEntry{.file = {}, .directory = RemoteDirectory()};
  const Place place = find_place(path.text());
  if (place.directory == nullptr) return std::nullopt;
  if (place.slot == nullptr) {
    return place.directory->complete ? std::optional(RemoteEntry()) : std::nullopt;
  }
  const Slot& slot = *place.slot;
  if (slot.directory.present) {
    return RemoteEntry{.file = {}, .directory = directory_of(peek(path.text()))};
  }
  if (slot.file.details) return RemoteEntry{.file = file_of(slot.file), .directory = {}};
  const bool both_known = moment_of(place, slot.file.as_of).order > 0 &&
                          moment_of(place, slot.directory.as_of).order > 0;
  const bool is_known = slot.is_absent() && both_known && !slot.directory.doubtful;
  return is_known ? std::optional(RemoteEntry()) : std::nullopt;
}

bool CatalogIndex::is_listed(const Path& path) {
  const Place place = find_place(path.text());
  return place.slot != nullptr && place.slot->file.version.has_value();
}

std::optional<RemoteListing> CatalogIndex::listing(const Path& directory, Instant since) {
  if (!directory.is_root()) {
    const auto itself = look(directory, since);
    const bool is_absent = itself.need == Need::nothing && !itself.entry.directory;
    if (is_absent) return RemoteListing();
  }
  const Directory* known = find_directory(directory.text());
  if (known == nullptr || !known->complete || !is_fresh(known->listed, since)) return std::nullopt;
  if (has_doubts(directory)) return std::nullopt;
  return names_of(*known);
}

bool CatalogIndex::has_doubts(const Path& directory) {
  const Directory* known = find_directory(directory.text());
  return known != nullptr && std::ranges::any_of(known->names, [](const auto& entry) {
           return entry.second.directory.doubtful;
         });
}

RemoteListing CatalogIndex::known_names(const Path& directory) {
  const Directory* known = find_directory(directory.text());
  return known == nullptr ? RemoteListing() : names_of(*known);
}

bool CatalogIndex::is_large(const Path& directory) {
  const Directory* known = find_directory(directory.text());
  return known != nullptr && known->is_large;
}

bool CatalogIndex::filled_since(const Path& directory, Moment moment) {
  const Directory* known = find_directory(directory.text());
  return known != nullptr && std::ranges::any_of(known->names, [&](const auto& entry) {
           const Slot& slot = entry.second;
           return (slot.file.version && slot.file.as_of.order > moment.order) ||
                  (slot.directory.present && !slot.directory.doubtful &&
                   slot.directory.as_of.order > moment.order);
         });
}

bool CatalogIndex::removed_since(const Key& key, Moment moment) {
  const std::string_view text = key;
  if (text.ends_with('/')) {
    const Place place = find_place(text.substr(0, text.size() - 1));
    return place.slot != nullptr && !place.slot->directory.present &&
           place.slot->directory.as_of.order > moment.order;
  }
  const Place place = find_place(text);
  return place.slot != nullptr && !place.slot->file.version &&
         place.slot->file.as_of.order > moment.order;
}

bool CatalogIndex::has_listed_marker(const Path& directory) {
  const Directory* known = find_directory(directory.text());
  return known != nullptr && known->marker.version && !known->marker.metadata;
}

RemoteDirectory CatalogIndex::directory_of(const Directory* known) {
  if (known == nullptr) return {.is_known = false};
  const Marker& marker = known->marker;
  return {.has_marker = marker.state == Marker::State::present,
          .marker_version = marker.version_id,
          .metadata = marker.metadata.value_or(Metadata()),
          .version = marker.metadata ? marker.version : std::nullopt,
          .is_known = marker.is_known()};
}

RemoteFile CatalogIndex::file_of(const FileFact& fact) {
  RemoteFile file{.size = fact.version->size,
                  .etag = fact.version->etag,
                  .version_id = {},
                  .last_modified = fact.version->modified,
                  .content_type = {},
                  .metadata = {},
                  .is_first_version = false,
                  .history = {}};
  if (!fact.details) return file;
  file.version_id = fact.details->version_id;
  file.content_type = fact.details->content_type;
  file.metadata = fact.details->metadata;
  file.is_first_version = fact.details->is_first_version;
  if (fact.details->history) file.history = *fact.details->history;
  return file;
}

RemoteListing CatalogIndex::names_of(const Directory& directory) const {
  RemoteListing listing;
  listing.hidden_keys = directory.hidden_keys;
  listing.names.reserve(directory.names.size());
  for (const auto& [name, slot] : directory.names) {
    if (slot.is_absent()) continue;
    ListedName& listed = listing.names.emplace_back();
    listed.name = name;
    listed.is_directory = slot.directory.present;
    if (listed.is_directory) {
      const auto path = directory.path.empty() ? name : directory.path + "/" + name;
      const Directory* itself = peek(path);
      listed.metadata_known = itself != nullptr && itself->marker.is_known();
      listed.directory = directory_of(itself);
      continue;
    }
    listed.file = file_of(slot.file);
    listed.metadata_known = slot.file.details != nullptr;
  }
  return listing;
}

}  // namespace spillway
