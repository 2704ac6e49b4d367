// CatalogIndex: taking in what B2 answered and what this mount changed itself.
#include <algorithm>
#include <utility>

#include "src/catalog_index.h"

namespace spillway {
namespace {

using Source = VersionIdentity::Source;

VersionIdentity identity_of(const ObjectInfo& info) {
  return {.size = info.size,
          .etag = info.etag,
          .modified = info.last_modified,
          .source = Source::answer};
}

}  // namespace

// --- answers of B2

void CatalogIndex::set_version(FileFact& fact, const VersionIdentity& version, Moment moment) {
  if (moment.order <= fact.as_of.order) return;
  if (!fact.version || !is_same(*fact.version, version)) fact.details.reset();
  fact.version = version;
  fact.as_of = moment;
}

void CatalogIndex::set_marker(Marker& marker, const std::optional<VersionIdentity>& version,
                              Moment moment) {
  if (moment.order <= marker.as_of.order) return;
  const bool is_unchanged = version && marker.state == Marker::State::present &&
                            (!marker.version || is_same(*marker.version, *version));
  if (!is_unchanged) {
    marker.metadata.reset();
    marker.version_id.clear();
  }
  marker.state = version ? Marker::State::present : Marker::State::absent;
  marker.version = version;
  marker.as_of = moment;
}

// Takes away what was known before `moment`: it was not there then.
void CatalogIndex::sweep(Directory& directory, Moment moment) {
  for (auto entry = directory.names.begin(); entry != directory.names.end();) {
    auto& [file, subdirectory] = entry->second;
    if (file.as_of.order < moment.order) file = {};
    if (subdirectory.as_of.order < moment.order) subdirectory = {};
    const bool is_forgotten = file.as_of.order == 0 && subdirectory.as_of.order == 0;
    if (is_forgotten) --kept_;
    entry = is_forgotten ? directory.names.erase(entry) : std::next(entry);
  }
  directory.complete = true;
  directory.listed = moment;
}

void CatalogIndex::add_rows(const Path& directory, const DirectoryRows& rows, Moment moment) {
  Directory& known = obtain(directory.text());
  if (moment.order <= known.listed.order) return;
  for (const auto& row : rows.files) {
    set_version(obtain_slot(known, row.name).file, row.version, moment);
  }
  for (const auto& name : rows.directories) {
    DirectoryFact& fact = obtain_slot(known, name).directory;
    if (moment.order > fact.as_of.order) {
      fact = {.as_of = moment, .present = true, .doubtful = false};
    }
  }
  if (rows.is_large) known.is_large = true;
  // The marker is the first key below the directory, so the first page tells already.
  const bool has_first_page = !rows.files.empty() || !rows.directories.empty() || rows.marker;
  if (has_first_page) set_marker(known.marker, rows.marker, moment);
  if (rows.extent == DirectoryRows::Extent::complete) {
    known.is_large = rows.is_large;
    sweep(known, moment);
    known.hidden_keys = rows.hidden_keys;
    set_marker(known.marker, rows.marker, moment);
  }
  shrink();
}

std::optional<RemoteListing> CatalogIndex::add_listing(const Path& directory,
                                                       const DirectoryRows& rows, Moment moment) {
  add_rows(directory, rows, moment);
  Directory& known = obtain(directory.text());
  if (known.names.size() <= settings_.largest_listing) return std::nullopt;
  auto all = names_of(known);
  // Own changes that are later than the listing stay.
  sweep(known, {.order = moment.order + 1, .time = {}});
  known.complete = false;
  known.listed = {};
  known.is_large = true;
  return all;
}

RemoteListing CatalogIndex::add_stretch(const Path& directory, const DirectoryRows& rows,
                                        const ListPosition& from,
                                        const std::optional<ListPosition>& to, Moment moment) {
  add_rows(directory, rows, moment);
  Directory& known = obtain(directory.text());
  sweep(known, moment);  // own changes that are later than the listing stay
  known.complete = false;
  known.listed = {};
  known.is_large = true;
  RemoteListing stretch = names_of(known);
  stretch.hidden_keys = rows.hidden_keys;
  std::erase_if(stretch.names, [&](const ListedName& listed) {
    return !from.is_before(listed.name) || (to && to->is_before(listed.name));
  });
  return stretch;
}

void CatalogIndex::add_point(const Path& path, const std::optional<VersionIdentity>& file,
                             bool is_directory, Moment moment) {
  Slot& slot = obtain_slot(path.text());
  if (file) {
    set_version(slot.file, *file, moment);
  } else if (moment.order > slot.file.as_of.order) {
    slot.file = {.as_of = moment, .version = {}, .details = {}};
  }
  if (moment.order > slot.directory.as_of.order) {
    slot.directory = {.as_of = moment, .present = is_directory, .doubtful = false};
  }
  shrink();
}

std::optional<VersionIdentity> CatalogIndex::add_head(const Path& path, const ObjectInfo* info,
                                                      Moment moment) {
  FileFact& fact = obtain_slot(path.text()).file;
  const bool is_news = moment.order > fact.as_of.order;
  if (info == nullptr) {
    if (is_news) fact = {.as_of = moment, .version = {}, .details = {}};
    return std::nullopt;
  }
  const VersionIdentity version = identity_of(*info);
  const bool is_listed = fact.version && has_same_content(*fact.version, version);
  // What a later listing or an own change said stands; its metadata may still be wanting.
  if (!is_news && (!is_listed || fact.details)) return std::nullopt;
  // The listing's time stays with its row, to be compared with the next listing's.
  if (!is_listed) fact.version = version;
  if (is_news) fact.as_of = moment;
  fact.details = std::make_unique<Details>(Details{.version_id = info->version_id,
                                                   .content_type = info->content_type,
                                                   .metadata = metadata_from(info->metadata),
                                                   .is_first_version = false,
                                                   .history = {}});
  const VersionIdentity learned = *fact.version;
  shrink();
  // Between the listing and this answer somebody may have stored another version of equal bytes.
  return is_same(version, learned) ? std::optional(learned) : std::nullopt;
}

std::optional<VersionIdentity> CatalogIndex::add_marker_head(const Path& directory,
                                                             const ObjectInfo* info,
                                                             Moment moment) {
  Marker& marker = obtain(directory.text()).marker;
  const std::optional<VersionIdentity> version =
      info == nullptr ? std::nullopt : std::optional(identity_of(*info));
  const bool is_listed = version && marker.version && has_same_content(*marker.version, *version);
  if (moment.order > marker.as_of.order) {
    if (!is_listed) set_marker(marker, version, moment);
    marker.as_of = moment;
  } else if (!is_listed) {
    return std::nullopt;
  }
  if (info != nullptr) {
    marker.metadata = metadata_from(info->metadata);
    marker.version_id = info->version_id;
  }
  const std::optional<VersionIdentity> learned = marker.version;
  shrink();
  return version && learned && is_same(*version, *learned) ? learned : std::nullopt;
}

// --- what an earlier mount learned

bool CatalogIndex::add_remembered(const Path& path, const RememberedObject& object) {
  const Place place = find_place(path.text());
  if (place.slot == nullptr) return false;
  FileFact& fact = place.slot->file;
  if (!fact.version || fact.details || !is_same(object.identity, *fact.version)) return false;
  // Whether it was the first version, and how it was stored, is this mount's own knowledge only.
  fact.details = std::make_unique<Details>(Details{.version_id = object.version_id,
                                                   .content_type = object.content_type,
                                                   .metadata = metadata_from(object.metadata),
                                                   .is_first_version = false,
                                                   .history = {}});
  return true;
}

bool CatalogIndex::add_remembered_marker(const Path& directory, const RememberedObject& object) {
  Directory* known = find_directory(directory.text());
  if (known == nullptr) return false;
  Marker& marker = known->marker;
  if (!marker.version || marker.metadata || !is_same(object.identity, *marker.version)) return false;
  marker.metadata = metadata_from(object.metadata);
  marker.version_id = object.version_id;
  return true;
}

// --- own changes

// Marks a directory and all above it as being there. One that was not there a moment ago holds
// nothing else: its first look-ups need no LIST. From the top down: what was not there held no
// directories either.
void CatalogIndex::note_directories(std::string_view path, Moment moment) {
  if (path.empty()) return;
  note_directories(parent_of(path), moment);
  Directory& parent = obtain(parent_of(path));
  Slot& slot = obtain_slot(parent, name_of(path));
  const Moment known = moment_of({.directory = &parent, .slot = &slot}, slot.directory.as_of);
  if (!slot.directory.present && !slot.directory.doubtful && known.order > 0) {
    Directory& itself = obtain(path);
    if (known.order > itself.listed.order) {
      sweep(itself, known);
      set_marker(itself.marker, std::nullopt, known);
    }
  }
  slot.directory = {.as_of = moment, .present = true, .doubtful = false};
}

void CatalogIndex::file_stored(const Path& path, const RemoteFile& file, Instant now) {
  const Moment moment = begin(now);
  note_directories(parent_of(path.text()), moment);
  FileFact& fact = obtain_slot(path.text()).file;
  fact.as_of = moment;
  fact.version = {.size = file.size,
                  .etag = file.etag,
                  .modified = file.last_modified,
                  .source = Source::answer};
  fact.details = std::make_unique<Details>(
      Details{.version_id = file.version_id,
              .content_type = file.content_type,
              .metadata = file.metadata,
              .is_first_version = file.is_first_version,
              .history = file.history ? std::make_unique<StorageReport>(*file.history) : nullptr});
  shrink();
}

void CatalogIndex::file_removed(const Path& path, Instant now) {
  const Moment moment = begin(now);
  obtain_slot(path.text()).file = {.as_of = moment, .version = {}, .details = {}};
  forget_if_absent(obtain(parent_of(path.text())), path.name());
  doubt_directories(path.text(), moment);
  shrink();
}

void CatalogIndex::file_in_doubt(const Path& path) {
  const Place place = find_place(path.text());
  if (place.directory != nullptr) place.directory->complete = false;
  if (place.slot != nullptr) place.slot->file = {};
  // Directories on the way may have come into being with it.
  for (auto on_the_way = parent_of(path.text()); !on_the_way.empty();
       on_the_way = parent_of(on_the_way)) {
    if (find_place(on_the_way).directory == nullptr) continue;
    DirectoryFact& fact = obtain_slot(on_the_way).directory;
    if (!fact.present) fact.doubtful = true;
  }
}

void CatalogIndex::directory_stored(const Path& path, const RemoteDirectory& directory,
                                    Instant now) {
  if (path.is_root()) return;
  const Moment moment = begin(now);
  note_directories(path.text(), moment);
  Marker& marker = obtain(path.text()).marker;
  marker.as_of = moment;
  marker.state = directory.has_marker ? Marker::State::present : Marker::State::absent;
  marker.version = directory.version;
  marker.metadata = directory.metadata;
  marker.version_id = directory.marker_version;
  shrink();
}

void CatalogIndex::directory_removed(const Path& path, Instant now) {
  const Moment moment = begin(now);
  obtain_slot(path.text()).directory = {.as_of = moment, .present = false, .doubtful = false};
  Directory& itself = obtain(path.text());
  sweep(itself, moment);
  set_marker(itself.marker, std::nullopt, moment);
  forget_if_absent(obtain(parent_of(path.text())), path.name());
  doubt_directories(path.text(), moment);
  shrink();
}

// Nothing is known of what is in it, and answers that are on their way come too late.
void CatalogIndex::forget_content(Directory& directory, Moment moment) {
  kept_ -= directory.names.size();
  directory.names.clear();
  directory.complete = false;
  directory.listed = moment;
  directory.marker = {};
  directory.marker.as_of = moment;
}

void CatalogIndex::forget_below(const Path& top, Moment moment) {
  const std::string prefix = top.prefix();
  for (auto known = directories_.begin(); known != directories_.end();) {
    if (!known->path.starts_with(prefix)) {
      ++known;
      continue;
    }
    forget_content(*known, moment);
    if (known->pins > 0) {
      ++known;
      continue;
    }
    --kept_;
    by_path_.erase(known->path);
    known = directories_.erase(known);
  }
}

void CatalogIndex::tree_stored(const Path& directory, Instant now) {
  const Moment moment = begin(now);
  forget_below(directory, moment);
  note_directories(directory.text(), moment);
  forget_content(obtain(directory.text()), moment);
}

void CatalogIndex::tree_removed(const Path& directory, Instant now) {
  forget_below(directory, begin(now));
  directory_removed(directory, now);
}

// Directories without a marker end with what is in them. One of which nothing is known yet may be
// in an answer that is on its way: that one must not be believed either.
void CatalogIndex::doubt_directories(std::string_view removed, Moment moment) {
  for (auto path = parent_of(removed); !path.empty(); path = parent_of(path)) {
    if (holds_something(path, moment.time)) return;
    const Place place = find_place(path);
    if (place.directory == nullptr) continue;
    const bool is_present = place.slot != nullptr && place.slot->directory.present;
    if (!is_present && place.directory->pins == 0) continue;
    obtain_slot(*place.directory, name_of(path)).directory = {
        .as_of = moment, .present = is_present, .doubtful = true};
  }
}

bool CatalogIndex::holds_something(std::string_view path, Instant now) {
  Directory* directory = find_directory(path);
  if (directory == nullptr) return false;
  const Marker& marker = directory->marker;
  if (marker.state == Marker::State::present && is_fresh(marker.as_of, now)) return true;
  return std::ranges::any_of(directory->names, [&](auto& entry) {
    Slot& slot = entry.second;
    const Place place{.directory = directory, .slot = &slot};
    return (slot.file.version && is_fresh(moment_of(place, slot.file.as_of), now)) ||
           (slot.directory.present && !slot.directory.doubtful &&
            is_fresh(moment_of(place, slot.directory.as_of), now));
  });
}

}  // namespace spillway
