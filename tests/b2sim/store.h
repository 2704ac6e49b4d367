// All buckets below one root directory.
#pragma once

#include <atomic>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "tests/b2sim/bucket.h"

namespace b2sim {

using BucketPtr = std::shared_ptr<Bucket>;

// Any thread.
class Store {
 public:
  // Takes up what an earlier run left below `root`.
  explicit Store(const std::filesystem::path& root);

  // Creates the bucket, or brings a hidden one back with all that is in it.
  void create_bucket(const std::string& name);
  // From now on there is no such bucket; its content waits for create_bucket() or a restart.
  bool hide_bucket(const std::string& name);
  [[nodiscard]] BucketPtr bucket(const std::string& name) const;  // throws NoSuchBucket
  [[nodiscard]] std::vector<std::pair<std::string, BucketPtr>> buckets() const;
  [[nodiscard]] BlobStore& blobs() { return blobs_; }

 private:
  std::filesystem::path directory_;
  BlobStore blobs_;
  std::atomic<std::uint64_t> sequence_ = 1;
  mutable std::mutex mutex_;
  std::map<std::string, BucketPtr> buckets_;  // guarded by mutex_
  std::set<std::string> hidden_;              // guarded by mutex_
};

}  // namespace b2sim
