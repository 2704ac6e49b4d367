#include "tests/b2sim/store.h"

#include "tests/b2sim/refusal.h"

namespace b2sim {

Store::Store(const std::filesystem::path& root)
    : directory_(root / "buckets"), blobs_(root / "blobs") {
  std::filesystem::create_directories(directory_);
  for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
    create_bucket(entry.path().filename());
  }
  blobs_.sweep();
}

void Store::create_bucket(const std::string& name) {
  if (name.empty() || name.find('/') != std::string::npos || name.starts_with('.')) {
    throw invalid_argument("not a bucket name: " + name);
  }
  const std::lock_guard lock(mutex_);
  hidden_.erase(name);
  if (!buckets_.contains(name)) {
    buckets_[name] = std::make_shared<Bucket>(directory_ / name, blobs_, sequence_);
  }
}

bool Store::hide_bucket(const std::string& name) {
  const std::lock_guard lock(mutex_);
  return buckets_.contains(name) && hidden_.insert(name).second;
}

BucketPtr Store::bucket(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  const auto found = buckets_.find(name);
  if (found == buckets_.end() || hidden_.contains(name)) throw no_such_bucket(name);
  return found->second;
}

std::vector<std::pair<std::string, BucketPtr>> Store::buckets() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::pair<std::string, BucketPtr>> list;
  for (const auto& [name, bucket] : buckets_) {
    if (!hidden_.contains(name)) list.emplace_back(name, bucket);
  }
  return list;
}

}  // namespace b2sim
