// Application keys: what they may do, in which bucket, below which prefix.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>

namespace b2sim {

struct AccessKey {
  std::string id;
  std::string secret;
  // readFiles, writeFiles, listFiles, deleteFiles, listBuckets
  std::set<std::string, std::less<>> capabilities;
  std::string bucket;  // empty: all buckets
  std::string prefix;  // empty: all keys

  [[nodiscard]] bool may(const char* capability) const { return capabilities.contains(capability); }
};

[[nodiscard]] inline std::set<std::string, std::less<>> all_capabilities() {
  return {"readFiles", "writeFiles", "listFiles", "deleteFiles", "listBuckets"};
}

// Any thread.
class Keys {
 public:
  void put(AccessKey key) {
    const std::lock_guard lock(mutex_);
    keys_[key.id] = std::move(key);
  }
  bool revoke(const std::string& id) {
    const std::lock_guard lock(mutex_);
    return keys_.erase(id) > 0;
  }
  [[nodiscard]] std::optional<AccessKey> find(const std::string& id) const {
    const std::lock_guard lock(mutex_);
    const auto found = keys_.find(id);
    if (found == keys_.end()) return std::nullopt;
    return found->second;
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, AccessKey> keys_;  // guarded by mutex_
};

}  // namespace b2sim
