#include "s3/listing.h"

#include <algorithm>

namespace spillway::s3 {
namespace {

std::unexpected<Error> invalid(std::string_view what) {
  return fail(ErrorCode::server_error, "invalid listing: " + std::string(what));
}

Result<> check_keys(const ListRequest& request, const std::vector<ObjectInfo>& objects) {
  const std::string* last = &request.start_after;
  for (const ObjectInfo& object : objects) {
    if (!object.key.starts_with(request.prefix)) return invalid("a key lacks the prefix");
    if (object.key <= *last) return invalid("the keys do not rise");
    last = &object.key;
  }
  return {};
}

Result<> check_prefixes(const ListRequest& request, const std::vector<std::string>& prefixes) {
  if (request.delimiter.empty() && !prefixes.empty()) {
    return invalid("prefixes without a delimiter");
  }
  const std::string* last = nullptr;
  for (const std::string& prefix : prefixes) {
    if (prefix.size() <= request.prefix.size() || !prefix.starts_with(request.prefix) ||
        !prefix.ends_with(request.delimiter)) {
      return invalid("a common prefix that is none");
    }
    if (last != nullptr && prefix <= *last) return invalid("the common prefixes do not rise");
    last = &prefix;
  }
  return {};
}

}  // namespace

Result<> check_page(const ListRequest& request, const ListPage& page) {
  TRY(check_keys(request, page.listing.objects));
  TRY(check_prefixes(request, page.listing.prefixes));
  if (!page.truncated) return {};
  if (page.listing.objects.empty() && page.listing.prefixes.empty()) {
    return invalid("a truncated page is empty");
  }
  if (page.listing.next_token.empty()) return invalid("a truncated page has no token");
  if (page.listing.next_token == request.continuation_token) return invalid("the token repeats");
  return {};
}

Result<> check_page(PartNumber after, const PartsPage& page) {
  for (const UploadedPart& part : page.parts) {
    if (part.number <= after) return invalid("the part numbers do not rise");
    after = part.number;
  }
  if (!page.truncated) return {};
  if (page.parts.empty()) return invalid("a truncated page is empty");
  if (page.next_marker != after) return invalid("the marker is not the last part");
  return {};
}

Result<> check_page(const std::string& prefix, const UploadsPage& asked, const UploadsPage& page) {
  for (const UnfinishedUploadInfo& upload : page.uploads) {
    if (!upload.key.starts_with(prefix)) return invalid("a key lacks the prefix");
  }
  if (!page.truncated) return {};
  if (page.uploads.empty()) return invalid("a truncated page is empty");
  if (page.next_key_marker < asked.next_key_marker) return invalid("the markers do not rise");
  if (page.next_key_marker == asked.next_key_marker &&
      page.next_upload_id_marker == asked.next_upload_id_marker) {
    return invalid("the marker repeats");
  }
  return {};
}

Result<> check_page(const Key& key, const VersionsPage& asked, const VersionsPage& page) {
  Key last_version = asked.next_key_marker;
  Key last_marker = asked.next_key_marker;
  for (const ListedVersion& listed : page.versions) {
    if (!listed.key.starts_with(key)) return invalid("a key lacks the prefix");
    Key& last = listed.version.is_hide_marker ? last_marker : last_version;
    if (listed.key < last) return invalid("the keys do not rise");
    last = listed.key;
  }
  if (!page.truncated) return {};
  if (page.versions.empty()) return invalid("a truncated page is empty");
  if (page.next_key_marker < key || page.next_key_marker < asked.next_key_marker) {
    return invalid("the markers do not rise");
  }
  if (page.next_key_marker != key) return {};  // nobody asks for more
  if (page.next_version_id_marker.empty()) return invalid("a truncated page has no version marker");
  if (page.next_version_id_marker == asked.next_version_id_marker) {
    return invalid("the marker repeats");
  }
  return {};
}

Result<std::vector<ObjectVersion>> newest_first(std::vector<ListedVersion> versions) {
  std::ranges::stable_sort(versions, [](const ListedVersion& one, const ListedVersion& other) {
    if (one.is_latest != other.is_latest) return one.is_latest;
    return one.last_modified > other.last_modified;
  });
  if (!versions.empty() && std::ranges::count(versions, true, &ListedVersion::is_latest) != 1) {
    return invalid("not exactly one version is the latest");
  }
  std::vector<ObjectVersion> sorted;
  for (ListedVersion& listed : versions) sorted.push_back(std::move(listed.version));
  return sorted;
}

}  // namespace spillway::s3
