// The XML bodies of S3: the only file that knows tinyxml2. Pure; what comes in is hostile input.
//
// Every parser refuses (server_error): what is not well-formed, any DOCTYPE, bodies over the limit,
// more than kDeepest levels or kMostTags tags, numbers and dates that are none, missing fields. An
// `<Error>` where a result is expected is a refusal too: look with parse_error() first.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/error.h"
#include "src/object_store.h"

namespace spillway::s3 {

inline constexpr std::size_t kListBodyLimit = 8 * 1024 * 1024;
inline constexpr std::size_t kSmallBodyLimit = 64 * 1024;
inline constexpr int kDeepest = 8;
inline constexpr std::size_t kMostTags = 100'000;  // a full page has about 20,000

struct ErrorBody {
  std::string code;
  std::string message;
  std::string request_id;
};

// nullopt for anything that is not an `<Error>`: HTML, nothing, a result.
[[nodiscard]] std::optional<ErrorBody> parse_error(std::string_view body);

struct ListPage {
  Listing listing;
  bool truncated = false;
};
// ListObjectsV2. Keys and prefixes are decoded once where the answer says encoding-type=url. Says
// nothing about whether the page makes sense: see listing.h.
[[nodiscard]] Result<ListPage> parse_list(std::string_view body);

struct PartsPage {
  std::vector<UploadedPart> parts;
  bool truncated = false;
  PartNumber next_marker = 0;
};
[[nodiscard]] Result<PartsPage> parse_parts(std::string_view body);

struct UploadsPage {
  std::vector<UnfinishedUploadInfo> uploads;
  bool truncated = false;
  std::string next_key_marker;
  std::string next_upload_id_marker;
};
[[nodiscard]] Result<UploadsPage> parse_uploads(std::string_view body);

struct ListedVersion {
  Key key;
  ObjectVersion version;
  bool is_latest = false;
  WallTime last_modified{};
};
struct VersionsPage {
  std::vector<ListedVersion> versions;  // as the answer has them: servers may put all markers first
  bool truncated = false;
  std::string next_key_marker;
  std::string next_version_id_marker;
};
// ListObjectVersions.
[[nodiscard]] Result<VersionsPage> parse_versions(std::string_view body);

// GetBucketLifecycleConfiguration: the fewest days, at least 1, of the enabled rules that abort
// unfinished uploads; nothing when none does.
[[nodiscard]] Result<std::optional<int>> parse_abort_rule(std::string_view body);

// CreateMultipartUpload. Never empty, never with control bytes.
[[nodiscard]] Result<UploadId> parse_created_upload(std::string_view body);

// The ETag in the results of CompleteMultipartUpload, CopyObject and UploadPartCopy, unquoted.
// `root` is the result's name, e.g. "CopyPartResult".
[[nodiscard]] Result<Etag> parse_etag_of(std::string_view root, std::string_view body);

// The body of CompleteMultipartUpload.
[[nodiscard]] std::string write_complete(const std::vector<UploadedPart>& parts);

// `"abc"` and `abc` to `abc`; a weak mark (W/) goes too.
[[nodiscard]] Etag unquoted(std::string_view etag);

}  // namespace spillway::s3
