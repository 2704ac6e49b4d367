// One bucket: every version of every object, hide markers and unfinished uploads, in memory for
// the lists and on disk for the next start.
//
// On disk: versions/SEQUENCE.json, uploads/NUMBER.json and uploads/NUMBER.PART.json, each written
// to a side file and renamed, after the blobs it names are complete. A kill at any moment loses at
// most what was not answered yet.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "tests/b2sim/blobs.h"

namespace b2sim {

using Metadata = std::map<std::string, std::string>;

struct Version {
  std::string key;
  std::string id;
  std::uint64_t sequence = 0;  // a newer version has a larger one
  bool hide_marker = false;
  std::uint64_t size = 0;
  std::string etag;  // without quotes
  std::int64_t modified_ms = 0;
  Metadata headers;   // Content-Type and its like, names in lower case
  Metadata metadata;  // names without x-amz-meta-
  std::vector<Piece> pieces;
  std::string upload_id;  // of the upload it was made by, if any
};
using VersionPtr = std::shared_ptr<const Version>;

struct Part {
  int number = 0;
  std::string etag;
  std::uint64_t size = 0;
  std::int64_t modified_ms = 0;
  std::vector<Piece> pieces;
};

struct Upload {
  std::string key;
  std::string id;
  std::uint64_t number = 0;
  std::int64_t initiated_ms = 0;
  Metadata headers;
  Metadata metadata;
  std::map<int, Part> parts;
};

struct PartName {
  int number = 0;
  std::string etag;
};

struct ListQuery {
  std::string prefix;
  std::string delimiter;
  std::string from;  // the first key that may appear
  std::size_t most = 1'000;
};

struct Listing {
  std::vector<VersionPtr> objects;
  std::vector<std::string> prefixes;
  bool truncated = false;
  std::string resume;  // `from` of the next page
};

struct VersionQuery {
  std::string prefix;
  std::string key_marker;
  std::string id_marker;
  std::size_t most = 1'000;
};

struct VersionListing {
  std::vector<std::pair<VersionPtr, bool>> versions;  // true: the newest of its key
  bool truncated = false;
};

// What complete() insists on.
struct PartRules {
  std::uint64_t smallest = 5'000'000;
  std::size_t fewest = 1;
  std::uint64_t largest_object = 10'000'000'000'000;
};

// Any thread.
class Bucket {
 public:
  Bucket(std::filesystem::path directory, BlobStore& blobs, std::atomic<std::uint64_t>& sequence);

  // Stores what has key, size, etag, headers, metadata and pieces (or hide_marker); gives it id,
  // sequence and time.
  VersionPtr add(Version version);
  [[nodiscard]] VersionPtr newest(const std::string& key) const;  // nullptr, or a hide marker
  [[nodiscard]] VersionPtr find(const std::string& key, const std::string& id) const;
  void remove(const std::string& key, const std::string& id);

  [[nodiscard]] Listing list(const ListQuery& query) const;
  [[nodiscard]] VersionListing list_versions(const VersionQuery& query) const;

  Upload create_upload(Upload upload);
  void put_part(const std::string& key, const std::string& id, Part part);  // throws NoSuchUpload
  VersionPtr complete(const std::string& key, const std::string& id,
                      const std::vector<PartName>& names, const PartRules& rules);
  bool abort(const std::string& key, const std::string& id);
  void require_upload(const std::string& key, const std::string& id) const;
  [[nodiscard]] Upload upload(const std::string& key, const std::string& id) const;
  [[nodiscard]] std::vector<Upload> uploads() const;  // by key, then by age

 private:
  using Versions = std::map<std::string, std::vector<VersionPtr>>;  // of a key: oldest first

  void load();
  void load_versions();
  void load_uploads();
  void insert(VersionPtr version);
  [[nodiscard]] std::string make_id(char kind, std::uint64_t sequence) const;
  [[nodiscard]] std::filesystem::path version_file(std::uint64_t sequence) const;
  [[nodiscard]] std::filesystem::path upload_file(std::uint64_t number) const;
  [[nodiscard]] std::filesystem::path part_file(std::uint64_t number, int part) const;
  [[nodiscard]] const Upload& find_upload(const std::string& key, const std::string& id) const;
  void forget_upload_files(const Upload& upload) const;

  std::filesystem::path directory_;
  std::string bucket_id_;
  BlobStore& blobs_;
  std::atomic<std::uint64_t>& sequence_;
  mutable std::mutex mutex_;
  Versions versions_;                      // guarded by mutex_
  std::map<std::string, Upload> uploads_;  // by id; guarded by mutex_
};

}  // namespace b2sim
