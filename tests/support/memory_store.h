// An ObjectStore in memory that behaves as B2 does: versions, hide markers, unfinished uploads.
// Deterministic: ids and times depend on nothing but the calls made and the clock given.
//
// Any call can be made to fail, before it does anything or after it took effect, by hooks.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/clock.h"
#include "src/object_store.h"

namespace spillway {

enum class StoreVerb : std::uint8_t {
  verify_bucket,
  put_object,
  head_object,
  get_object,
  copy_object,
  delete_object,
  list_objects,
  create_upload,
  upload_part,
  upload_part_copy,
  complete_upload,
  abort_upload,
  list_parts,
  list_uploads,
  abort_rule_days,
  list_versions,
};
inline constexpr std::size_t kStoreVerbs = 16;
[[nodiscard]] std::string_view to_string(StoreVerb verb);

// Called on the thread of the call, with no lock held: may call the store, and may block. `key` is
// the prefix for lists, the destination for copies. `call_number` counts the calls of all verbs
// since the store was made, from 1. A value makes the call fail with it.
using StoreHook =
    std::function<std::optional<Error>(StoreVerb verb, const Key& key, int call_number)>;

struct MemoryStoreRules {
  std::uint64_t smallest_part = 5'000'000;
  std::uint64_t largest_copy = kLargestCopy;
  int most_keys = 1'000;  // of one page
};

class MemoryStore final : public ObjectStore {
 public:
  struct Version {
    Key key;
    VersionId id;
    bool hide_marker = false;
    bool newest = false;
    std::string bytes;
    Etag etag;
    std::string content_type;
    MetadataMap metadata;
    WallTime modified{};
  };
  struct Upload {
    Key key;
    UploadId id;
    std::vector<UploadedPart> parts;
  };

  explicit MemoryStore(const Clock& clock = system_clock(), MemoryStoreRules rules = {});

  // An error of `before` is the call's result, and nothing happened. An error of `after` replaces
  // the result of a call that succeeded; it gets Cause::ambiguous unless it has a cause. For
  // get_object the sink has had all bytes by then. Set before the first call.
  void fail_before(StoreHook hook) { before_ = std::move(hook); }
  void fail_after(StoreHook hook) { after_ = std::move(hook); }

  // What is in the bucket: by key, then newest first. Any thread.
  [[nodiscard]] std::vector<Version> versions() const;
  [[nodiscard]] std::vector<Upload> uploads() const;
  // The bytes of the newest version; nullopt: not there, or hidden.
  [[nodiscard]] std::optional<std::string> content(const Key& key) const;
  [[nodiscard]] int calls() const;
  [[nodiscard]] int calls(StoreVerb verb) const;
  // As a lifecycle rule would: all unfinished uploads are gone.
  void abort_all_uploads();
  // What abort_rule_days() tells of; nullopt: no rule.
  void set_abort_rule(std::optional<int> days);

  Result<> verify_bucket(const CallOptions& options) override;
  Result<std::optional<int>> abort_rule_days(const CallOptions& options) override;
  Result<StoredObject> put_object(const PutRequest& request, const CallOptions& options) override;
  Result<ObjectInfo> head_object(const Key& key, const VersionId& version_id,
                                 const CallOptions& options) override;
  Result<ObjectInfo> get_object(const GetRequest& request, const ByteSink& sink,
                                const CallOptions& options) override;
  Result<StoredObject> copy_object(const CopyRequest& request, const CallOptions& options) override;
  Result<> delete_object(const Key& key, const VersionId& version_id,
                         const CallOptions& options) override;
  Result<Listing> list_objects(const ListRequest& request, const CallOptions& options) override;
  Result<std::vector<ObjectVersion>> list_versions(const Key& key,
                                                   const CallOptions& options) override;
  Result<UploadId> create_upload(const Key& key, const std::string& content_type,
                                 const MetadataMap& metadata, const CallOptions& options) override;
  Result<UploadedPart> upload_part(const Key& key, const UploadId& id, PartNumber number,
                                   const Payload& payload, const CallOptions& options) override;
  Result<UploadedPart> upload_part_copy(const Key& key, const UploadId& id, PartNumber number,
                                        const Key& source, const VersionId& source_version,
                                        ByteRange range, const CallOptions& options) override;
  Result<StoredObject> complete_upload(const Key& key, const UploadId& id,
                                       const std::vector<UploadedPart>& parts,
                                       const CallOptions& options) override;
  Result<> abort_upload(const Key& key, const UploadId& id, const CallOptions& options) override;
  Result<std::vector<UploadedPart>> list_parts(const Key& key, const UploadId& id,
                                               const CallOptions& options) override;
  Result<std::vector<UnfinishedUploadInfo>> list_uploads(const std::string& prefix,
                                                         const CallOptions& options) override;

 private:
  using Bytes = std::shared_ptr<const std::string>;
  struct Stored {
    VersionId id;
    bool hide_marker = false;
    Bytes bytes;
    Etag etag;
    std::string content_type;
    MetadataMap metadata;
    WallTime modified{};
  };
  struct Part {
    Bytes bytes;
    Etag etag;
  };
  struct Unfinished {
    Key key;
    std::string content_type;
    MetadataMap metadata;
    WallTime initiated{};
    std::map<PartNumber, Part> parts;
  };

  // Runs `work` with the lock held, between the two hooks.
  template <class Work>
  auto perform(StoreVerb verb, const Key& key, const CallOptions& options, Work work)
      -> decltype(work());
  [[nodiscard]] std::optional<Error> begin(StoreVerb verb, const Key& key,
                                           const CallOptions& options, int& number);
  [[nodiscard]] std::optional<Error> finish(StoreVerb verb, const Key& key, int number) const;

  // All of these with the lock held.
  StoredObject store(const Key& key, Stored stored);
  [[nodiscard]] Result<const Stored*> find(const Key& key, const VersionId& id) const;
  [[nodiscard]] Result<Unfinished*> find_upload(const Key& key, const UploadId& id);
  [[nodiscard]] Result<Stored> assemble(const Unfinished& upload,
                                        const std::vector<UploadedPart>& parts) const;
  [[nodiscard]] Listing page(const ListRequest& request) const;
  [[nodiscard]] std::string next_id(const char* prefix);

  const Clock& clock_;
  const MemoryStoreRules rules_;
  StoreHook before_;
  StoreHook after_;
  mutable std::mutex mutex_;
  std::map<Key, std::vector<Stored>> objects_;  // oldest first; guarded by mutex_, as all below
  std::map<UploadId, Unfinished> uploads_;
  std::optional<int> abort_rule_;
  std::array<int, kStoreVerbs> calls_{};
  int last_id_ = 0;
};

}  // namespace spillway
