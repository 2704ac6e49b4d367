// The port to B2: the verbs Spillway needs of an object store, in the store's own terms. s3/
// implements it over HTTP; tests implement it in memory.
//
// All calls block until the answer is known, may be made from any thread at once, and send exactly
// one logical request: retrying is the caller's decision (src/policy.h), never done below. The
// three exceptions repeat a request that the server is known not to have carried out: a clock
// corrected once after clock_skew, a Content-MD5 added once when the bucket demands it, and a
// redirect within the endpoint (at most two).
//
// A call that ends in an Error with Cause::ambiguous may have been carried out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "src/clock.h"
#include "src/error.h"

namespace spillway {

using Key = std::string;        // the object's name: 1 to 1,024 bytes of UTF-8, without escaping
using Etag = std::string;       // without the quotes; opaque
using VersionId = std::string;  // empty where the server keeps no versions
using UploadId = std::string;
using PartNumber = int;         // 1 to 10,000

// Limits of B2 (Backblaze's documentation of its S3-compatible API).
inline constexpr std::uint64_t kSmallestPart = 5'242'880;  // B2: 5,000,000; other servers: 5 MiB
inline constexpr std::uint64_t kLargestPart = 5'000'000'000;
inline constexpr std::uint64_t kLargestPut = 5'000'000'000;
inline constexpr std::uint64_t kLargestCopy = 5'000'000'000;
inline constexpr std::uint64_t kLargestObject = 10'000'000'000'000;
inline constexpr PartNumber kMostParts = 10'000;
inline constexpr std::size_t kLongestKey = 1'024;

// Bytes [offset, offset + size).
struct ByteRange {
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  [[nodiscard]] std::uint64_t end() const { return offset + size; }
  friend bool operator==(const ByteRange&, const ByteRange&) = default;
};

// The body of a request. The pieces must stay valid and unchanged until the call returns.
struct Payload {
  std::vector<std::span<const std::byte>> pieces;
  // SHA-256 of all pieces, 64 hex digits, when the caller has it already; empty: the store hashes.
  std::string sha256;
  [[nodiscard]] std::uint64_t size() const {
    std::uint64_t total = 0;
    for (const auto& piece : pieces) total += piece.size();
    return total;
  }
};

// User metadata: names in lower case without the protocol's prefix, values as written. What the
// names mean is decided in src/metadata.h.
using MetadataMap = std::map<std::string, std::string>;

struct CallOptions {
  bool fresh_connection = false;  // B2 asks for one on a retry: another vault answers
  std::stop_token cancel;         // a stop ends the call early with `interrupted`
};

struct ObjectInfo {
  Key key;
  std::uint64_t size = 0;
  Etag etag;
  VersionId version_id;
  WallTime last_modified{};
  std::string content_type;
  MetadataMap metadata;  // empty in listings, which carry none
};

// One version of one object, as it was seen.
struct RemoteVersion {
  Key key;
  VersionId version_id;  // empty where the server keeps none: then `etag` is the condition
  Etag etag;
  std::uint64_t size = 0;
  friend bool operator==(const RemoteVersion&, const RemoteVersion&) = default;
};

// One entry in the history of a key.
struct ObjectVersion {
  VersionId version_id;  // "null" of an object that was stored while the server kept no versions
  bool is_hide_marker = false;
  friend bool operator==(const ObjectVersion&, const ObjectVersion&) = default;
};

// The answer to a request that stored something.
struct StoredObject {
  Key key;
  Etag etag;
  VersionId version_id;
  std::string request_id;
  WallTime date{};  // of the answer, by the server's clock
};

struct PutRequest {
  Key key;
  Payload payload;
  std::string content_type;
  MetadataMap metadata;
};

struct GetRequest {
  Key key;
  VersionId version_id;            // empty: the newest
  Etag if_match;                   // empty: no condition; else fails with Cause::version_changed
  std::optional<ByteRange> range;  // empty: all; size must not be 0
};

struct CopyRequest {
  Key source;
  VersionId source_version;  // empty: the newest
  Key destination;
  // With a value the destination gets this metadata and content type instead of the source's.
  std::optional<MetadataMap> metadata;
  std::string content_type;
};

struct ListRequest {
  std::string prefix;
  std::string delimiter;           // "" or "/"
  std::string continuation_token;  // of the page before; empty on the first
  std::string start_after;         // only keys after this one; empty: from the start
  int max_keys = 1'000;
};

struct Listing {
  std::vector<ObjectInfo> objects;     // in the order of their keys' bytes
  std::vector<std::string> prefixes;   // common prefixes, with the trailing delimiter
  std::string next_token;              // empty: this was the last page
};

struct UploadedPart {
  PartNumber number = 0;
  Etag etag;
  std::uint64_t size = 0;  // 0 where the caller of complete_upload() has no use for it
  friend bool operator==(const UploadedPart&, const UploadedPart&) = default;
};

struct UnfinishedUploadInfo {
  Key key;
  UploadId id;
  WallTime initiated{};
};

// Takes a stretch of a body as it arrives; an error stops the transfer and becomes its result.
using ByteSink = std::function<Result<>(std::span<const std::byte>)>;

class ObjectStore {
 public:
  virtual ~ObjectStore() = default;

  // ok: the bucket is there and the key works. Asks HeadBucket, and where that is refused the GET
  // probe, whose body names the reason (keys without `listBuckets` can't HEAD a bucket).
  virtual Result<> verify_bucket(const CallOptions& options) = 0;

  // The fewest days after which a lifecycle rule of the bucket, for whatever prefix, aborts
  // unfinished uploads; nothing when no rule does. Servers may lack this (invalid_request), and
  // keys the capability for it (auth_error).
  virtual Result<std::optional<int>> abort_rule_days(const CallOptions& options) = 0;

  // Durable in the store on return. Replaces the object of that key all or nothing.
  virtual Result<StoredObject> put_object(const PutRequest& request, const CallOptions& options) = 0;

  // not_found also for a hidden object. `version_id` empty: the newest.
  virtual Result<ObjectInfo> head_object(const Key& key, const VersionId& version_id,
                                         const CallOptions& options) = 0;

  // Gives `sink` exactly the bytes of the range (cut off at the object's end), in order, or fails:
  // never fewer with ok, never more. A range that starts at or after the end gives no byte.
  virtual Result<ObjectInfo> get_object(const GetRequest& request, const ByteSink& sink,
                                        const CallOptions& options) = 0;

  // Inside the store; source at most kLargestCopy. An error in the body of a 200 is an error.
  virtual Result<StoredObject> copy_object(const CopyRequest& request,
                                           const CallOptions& options) = 0;

  // With an empty version id B2 hides the object (and answers ok for a key that never was); with
  // one, that version is removed for good.
  virtual Result<> delete_object(const Key& key, const VersionId& version_id,
                                 const CallOptions& options) = 0;

  // One page. Pages of a hostile or broken server (keys that do not rise or lack the prefix, a
  // token that repeats) are an error, never a wrong listing.
  virtual Result<Listing> list_objects(const ListRequest& request, const CallOptions& options) = 0;

  // All versions and hide markers of exactly that key (all pages), newest first; none: B2 has never
  // had it. Pages that make no sense are an error, never a shorter history.
  virtual Result<std::vector<ObjectVersion>> list_versions(const Key& key,
                                                           const CallOptions& options) = 0;

  virtual Result<UploadId> create_upload(const Key& key, const std::string& content_type,
                                         const MetadataMap& metadata,
                                         const CallOptions& options) = 0;
  virtual Result<UploadedPart> upload_part(const Key& key, const UploadId& id, PartNumber number,
                                           const Payload& payload, const CallOptions& options) = 0;
  // Copies `range` of an object (of `source_version` if not empty) as a part.
  virtual Result<UploadedPart> upload_part_copy(const Key& key, const UploadId& id,
                                                PartNumber number, const Key& source,
                                                const VersionId& source_version, ByteRange range,
                                                const CallOptions& options) = 0;
  // `parts` in rising order without a gap. An error in the body of a 200 is an error.
  virtual Result<StoredObject> complete_upload(const Key& key, const UploadId& id,
                                               const std::vector<UploadedPart>& parts,
                                               const CallOptions& options) = 0;
  // ok also when the upload is gone already.
  virtual Result<> abort_upload(const Key& key, const UploadId& id,
                                const CallOptions& options) = 0;
  // All parts (all pages), in order.
  virtual Result<std::vector<UploadedPart>> list_parts(const Key& key, const UploadId& id,
                                                       const CallOptions& options) = 0;
  // All unfinished uploads below `prefix` (all pages), other clients' too.
  virtual Result<std::vector<UnfinishedUploadInfo>> list_uploads(const std::string& prefix,
                                                                 const CallOptions& options) = 0;
};

}  // namespace spillway
