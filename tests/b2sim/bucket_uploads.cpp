// The unfinished uploads of a bucket.
#include <algorithm>
#include <utility>

#include "tests/b2sim/bucket.h"
#include "tests/b2sim/digest.h"
#include "tests/b2sim/http.h"
#include "tests/b2sim/records.h"
#include "tests/b2sim/refusal.h"

namespace b2sim {

namespace {

Refusal invalid_part() {
  return {400, "InvalidPart",
          "One or more of the specified parts could not be found. The part may not have been "
          "uploaded, or the specified entity tag may not match the part's entity tag."};
}

const Part& named_part(const Upload& upload, const PartName& name, int expected) {
  if (name.number < expected) {
    throw Refusal(400, "InvalidPartOrder", "The list of parts was not in ascending order.");
  }
  const auto found = upload.parts.find(name.number);
  if (name.number != expected || found == upload.parts.end() || found->second.etag != name.etag) {
    throw invalid_part();
  }
  return found->second;
}

Version assemble(const Upload& upload, const std::vector<PartName>& names, const PartRules& rules) {
  if (names.empty() || names.size() < rules.fewest) {
    throw invalid_request("Large files must have at least " + std::to_string(rules.fewest) +
                          " parts");
  }
  Version version;
  std::string etags;
  int expected = 1;
  for (const PartName& name : names) {
    const Part& part = named_part(upload, name, expected++);
    if (name.number < static_cast<int>(names.size()) && part.size < rules.smallest) {
      throw Refusal(400, "EntityTooSmall",
                    "Your proposed upload is smaller than the minimum allowed object size.");
    }
    version.size += part.size;
    version.pieces.insert(version.pieces.end(), part.pieces.begin(), part.pieces.end());
    etags += part.etag;
  }
  if (version.size > rules.largest_object) throw too_large();
  version.key = upload.key;
  version.headers = upload.headers;
  version.metadata = upload.metadata;
  version.upload_id = upload.id;
  version.etag = to_hex(digest_of(Algorithm::sha256, etags)).substr(0, 32) + "-" +
                 std::to_string(names.size());
  return version;
}

}  // namespace

Upload Bucket::create_upload(Upload upload) {
  upload.number = sequence_++;
  upload.id = make_id('2', upload.number);
  upload.initiated_ms = now_milliseconds();
  write_record(upload_file(upload.number), to_json(upload));
  const std::lock_guard lock(mutex_);
  uploads_.emplace(upload.id, upload);
  return upload;
}

const Upload& Bucket::find_upload(const std::string& key, const std::string& id) const {
  const auto found = uploads_.find(id);
  if (found == uploads_.end() || found->second.key != key) throw no_such_upload();
  return found->second;
}

void Bucket::require_upload(const std::string& key, const std::string& id) const {
  const std::lock_guard lock(mutex_);
  static_cast<void>(find_upload(key, id));
}

Upload Bucket::upload(const std::string& key, const std::string& id) const {
  const std::lock_guard lock(mutex_);
  return find_upload(key, id);
}

void Bucket::put_part(const std::string& key, const std::string& id, Part part) {
  const std::lock_guard lock(mutex_);
  Upload& upload = uploads_.at(find_upload(key, id).id);
  part.modified_ms = now_milliseconds();
  BlobStore::retain(part.pieces);
  write_record(part_file(upload.number, part.number), to_json(part));
  const auto old = upload.parts.find(part.number);
  if (old != upload.parts.end()) BlobStore::release(old->second.pieces);
  upload.parts.insert_or_assign(part.number, std::move(part));
}

VersionPtr Bucket::complete(const std::string& key, const std::string& id,
                            const std::vector<PartName>& names, const PartRules& rules) {
  Version version;
  Upload upload;
  {
    const std::lock_guard lock(mutex_);
    version = assemble(find_upload(key, id), names, rules);
    upload = std::move(uploads_.at(id));
    uploads_.erase(id);
  }
  VersionPtr stored = add(std::move(version));
  forget_upload_files(upload);
  for (const auto& [number, part] : upload.parts) BlobStore::release(part.pieces);
  return stored;
}

bool Bucket::abort(const std::string& key, const std::string& id) {
  const std::lock_guard lock(mutex_);
  const auto found = uploads_.find(id);
  if (found == uploads_.end() || found->second.key != key) return false;
  forget_upload_files(found->second);
  for (const auto& [number, part] : found->second.parts) BlobStore::release(part.pieces);
  uploads_.erase(found);
  return true;
}

// The upload's own record goes first: parts without one are swept at the next start.
void Bucket::forget_upload_files(const Upload& upload) const {
  std::filesystem::remove(upload_file(upload.number));
  for (const auto& [number, part] : upload.parts) {
    std::filesystem::remove(part_file(upload.number, number));
  }
}

std::vector<Upload> Bucket::uploads() const {
  std::vector<Upload> list;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, upload] : uploads_) list.push_back(upload);
  }
  std::ranges::sort(list, [](const Upload& left, const Upload& right) {
    return std::tie(left.key, left.number) < std::tie(right.key, right.number);
  });
  return list;
}

}  // namespace b2sim
