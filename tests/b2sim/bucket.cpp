#include "tests/b2sim/bucket.h"

#include <algorithm>
#include <ctime>
#include <set>
#include <utility>

#include "tests/b2sim/digest.h"
#include "tests/b2sim/http.h"
#include "tests/b2sim/records.h"
#include "tests/b2sim/refusal.h"

namespace b2sim {

namespace fs = std::filesystem;

namespace {

// Side files of a write that a kill interrupted are of no use to anybody.
std::vector<fs::path> records_in(const fs::path& directory) {
  std::vector<fs::path> records;
  for (const auto& entry : fs::directory_iterator(directory)) {
    if (entry.path().extension() == ".json") {
      records.push_back(entry.path());
    } else {
      fs::remove(entry.path());
    }
  }
  std::ranges::sort(records);
  return records;
}

}  // namespace

Bucket::Bucket(fs::path directory, BlobStore& blobs, std::atomic<std::uint64_t>& sequence)
    : directory_(std::move(directory)),
      bucket_id_(
          to_hex(digest_of(Algorithm::sha256, directory_.filename().string())).substr(0, 24)),
      blobs_(blobs),
      sequence_(sequence) {
  fs::create_directories(directory_ / "versions");
  fs::create_directories(directory_ / "uploads");
  load();
}

void Bucket::load() {
  load_versions();
  load_uploads();
}

void Bucket::load_versions() {
  for (const fs::path& path : records_in(directory_ / "versions")) {
    auto version = std::make_shared<const Version>(version_from(read_record(path), blobs_));
    BlobStore::retain(version->pieces);
    if (sequence_ <= version->sequence) sequence_ = version->sequence + 1;
    insert(std::move(version));
  }
}

// An upload whose version is already there was completed just before the server was killed.
void Bucket::load_uploads() {
  std::set<std::string> completed;
  for (const auto& [key, versions] : versions_) {
    for (const VersionPtr& version : versions) completed.insert(version->upload_id);
  }
  std::map<std::uint64_t, Upload> by_number;
  std::vector<fs::path> parts;
  for (const fs::path& path : records_in(directory_ / "uploads")) {
    if (path.stem().has_extension()) {
      parts.push_back(path);
      continue;
    }
    Upload upload = upload_from(read_record(path));
    if (sequence_ <= upload.number) sequence_ = upload.number + 1;
    if (completed.contains(upload.id)) {
      fs::remove(path);
    } else {
      by_number.emplace(upload.number, std::move(upload));
    }
  }
  for (const fs::path& path : parts) {
    const auto owner = by_number.find(std::stoull(path.stem().stem()));
    if (owner == by_number.end()) {
      fs::remove(path);
      continue;
    }
    Part part = part_from(read_record(path), blobs_);
    BlobStore::retain(part.pieces);
    owner->second.parts.emplace(part.number, std::move(part));
  }
  for (auto& [number, upload] : by_number) uploads_.emplace(upload.id, std::move(upload));
}

fs::path Bucket::version_file(std::uint64_t sequence) const {
  return directory_ / "versions" / (std::to_string(sequence) + ".json");
}

fs::path Bucket::upload_file(std::uint64_t number) const {
  return directory_ / "uploads" / (std::to_string(number) + ".json");
}

fs::path Bucket::part_file(std::uint64_t number, int part) const {
  return directory_ / "uploads" / (std::to_string(number) + "." + std::to_string(part) + ".json");
}

// The look of B2's file ids; only the uniqueness matters.
std::string Bucket::make_id(char kind, std::uint64_t sequence) const {
  const std::string counter = std::to_string(10'000'000'000'000 + sequence);
  return "4_z" + bucket_id_ + "_f" + kind + random_hex(8) +
         "_d20260101_m000000_c000_v0001000_t0000_u" + counter;
}

void Bucket::insert(VersionPtr version) {
  std::vector<VersionPtr>& versions = versions_[version->key];
  const auto place = std::ranges::upper_bound(
      versions, version->sequence, {}, [](const VersionPtr& other) { return other->sequence; });
  versions.insert(place, std::move(version));
}

VersionPtr Bucket::add(Version version) {
  version.sequence = sequence_++;
  version.id = make_id('1', version.sequence);
  version.modified_ms = now_milliseconds();
  const auto stored = std::make_shared<const Version>(std::move(version));
  BlobStore::retain(stored->pieces);
  write_record(version_file(stored->sequence), to_json(*stored));
  const std::lock_guard lock(mutex_);
  insert(stored);
  return stored;
}

VersionPtr Bucket::newest(const std::string& key) const {
  const std::lock_guard lock(mutex_);
  const auto found = versions_.find(key);
  return found == versions_.end() ? nullptr : found->second.back();
}

VersionPtr Bucket::find(const std::string& key, const std::string& id) const {
  const std::lock_guard lock(mutex_);
  const auto found = versions_.find(key);
  if (found == versions_.end()) return nullptr;
  const auto match = std::ranges::find(found->second, id, [](const auto& v) { return v->id; });
  return match == found->second.end() ? nullptr : *match;
}

void Bucket::remove(const std::string& key, const std::string& id) {
  const std::lock_guard lock(mutex_);
  const auto found = versions_.find(key);
  if (found == versions_.end()) return;
  const auto match = std::ranges::find(found->second, id, [](const auto& v) { return v->id; });
  if (match == found->second.end()) return;
  fs::remove(version_file((*match)->sequence));
  BlobStore::release((*match)->pieces);
  found->second.erase(match);
  if (found->second.empty()) versions_.erase(found);
}

Listing Bucket::list(const ListQuery& query) const {
  const std::lock_guard lock(mutex_);
  Listing listing;
  auto at = versions_.lower_bound(std::max(query.prefix, query.from));
  while (at != versions_.end() && at->first.starts_with(query.prefix)) {
    const VersionPtr& version = at->second.back();
    if (version->hide_marker) {
      ++at;
      continue;
    }
    if (listing.objects.size() + listing.prefixes.size() == query.most) {
      listing.truncated = true;
      listing.resume = at->first;
      break;
    }
    const auto cut = query.delimiter.empty() ? std::string::npos
                                             : at->first.find(query.delimiter, query.prefix.size());
    if (cut == std::string::npos) {
      listing.objects.push_back(version);
      ++at;
      continue;
    }
    std::string beyond = at->first.substr(0, cut + query.delimiter.size());
    listing.prefixes.push_back(beyond);
    beyond.back() = static_cast<char>(beyond.back() + 1);
    at = versions_.lower_bound(beyond);
  }
  return listing;
}

VersionListing Bucket::list_versions(const VersionQuery& query) const {
  const std::lock_guard lock(mutex_);
  VersionListing listing;
  bool skipping = !query.id_marker.empty();
  auto at = versions_.lower_bound(std::max(query.prefix, query.key_marker));
  for (; at != versions_.end() && at->first.starts_with(query.prefix); ++at) {
    const bool marked = at->first == query.key_marker;
    if (marked && !skipping) continue;
    for (auto version = at->second.rbegin(); version != at->second.rend(); ++version) {
      if (marked && skipping) {
        skipping = (*version)->id != query.id_marker;
        continue;
      }
      if (listing.versions.size() == query.most) {
        listing.truncated = true;
        return listing;
      }
      listing.versions.emplace_back(*version, version == at->second.rbegin());
    }
  }
  return listing;
}

}  // namespace b2sim
