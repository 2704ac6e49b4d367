// Puts the core together: a FileSystem over a bucket and a shadow. The composition's only door; the
// classes behind it are the core's own business.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "src/attribute_cache.h"
#include "src/config.h"
#include "src/executor.h"
#include "src/file_system.h"
#include "src/hash.h"
#include "src/log.h"
#include "src/object_store.h"
#include "src/service.h"
#include "src/shadow.h"

namespace spillway {

struct EngineParts {
  ObjectStore& store;  // in local_only it is never called
  Shadow& shadow;
  const Hashing& hashing;
  Executor& executor;
  Log& log;
  AttributeCache& attributes = no_attribute_cache();
};

struct EngineSettings {
  SpillwayOptions options;
  std::string bucket;
  ServiceAtStart service;
  std::uint32_t default_uid = 0;  // owner of what carries no owner
  std::uint32_t default_gid = 0;
  std::size_t largest_listing = 20'000;  // names of a directory that are read at once
};

// The parts must outlive the file system. Its destructor expects shut_down() to have been called.
[[nodiscard]] std::unique_ptr<FileSystem> make_file_system(const EngineParts& parts,
                                                           const EngineSettings& settings);

}  // namespace spillway
