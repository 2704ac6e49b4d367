#include <algorithm>
#include <utility>

#include "tests/b2sim/answers.h"
#include "tests/b2sim/digest.h"
#include "tests/b2sim/verbs.h"

namespace b2sim {

namespace {

// With encoding-type=url names are written as in a form: a space becomes `+`.
class Names {
 public:
  explicit Names(const Request& request)
      : encode_(request.parameter_or("encoding-type", "") == "url") {}

  [[nodiscard]] std::string operator()(const std::string& name) const {
    if (!encode_) return name;
    std::string encoded = percent_encode(name, "/ ");
    std::ranges::replace(encoded, ' ', '+');
    return encoded;
  }
  [[nodiscard]] std::string declaration() const {
    return encode_ ? element("EncodingType", "url") : "";
  }

 private:
  bool encode_;
};

std::string after(const std::string& key) {
  return key + '\0';
}

ListQuery query_of(Call& call) {
  ListQuery query;
  query.prefix = call.request.parameter_or("prefix", "");
  query.delimiter = call.request.parameter_or("delimiter", "");
  query.most = page_size(call.request, "max-keys", call.limits);
  check_prefix(call.access, query.prefix);
  return query;
}

std::string contents_of(const Listing& listing, const Names& names) {
  std::string content;
  for (const VersionPtr& version : listing.objects) {
    content += "<Contents>" + element("Key", names(version->key)) +
               element("LastModified", iso_date(version->modified_ms)) +
               element("ETag", in_quotes(version->etag)) +
               element("Size", std::to_string(version->size)) +
               element("StorageClass", "STANDARD") + "</Contents>";
  }
  for (const std::string& prefix : listing.prefixes) {
    content += "<CommonPrefixes>" + element("Prefix", names(prefix)) + "</CommonPrefixes>";
  }
  return content;
}

std::string frame_of(const Call& call, const ListQuery& query, const Listing& listing,
                     const Names& names) {
  std::string frame = element("Name", call.name.bucket) + element("Prefix", names(query.prefix)) +
                      element("MaxKeys", std::to_string(query.most)) + names.declaration() +
                      element("IsTruncated", listing.truncated ? "true" : "false");
  if (!query.delimiter.empty()) frame += element("Delimiter", names(query.delimiter));
  return frame;
}

// The token is the first key of the next page, in hex: opaque to clients.
std::string from_token(const std::string& token) {
  std::string escaped;
  for (std::size_t i = 0; i + 1 < token.size(); i += 2) escaped += "%" + token.substr(i, 2);
  const auto decoded = percent_decode(escaped);
  if (!decoded || token.empty() || token.size() % 2 != 0) {
    throw invalid_argument("The continuation token provided is incorrect");
  }
  return *decoded;
}

std::string version_entry(const Version& version, bool newest, const Names& names) {
  const char* tag = version.hide_marker ? "DeleteMarker" : "Version";
  std::string entry = std::string("<") + tag + ">" + element("Key", names(version.key)) +
                      element("VersionId", version.id) +
                      element("IsLatest", newest ? "true" : "false") +
                      element("LastModified", iso_date(version.modified_ms));
  if (!version.hide_marker) {
    entry += element("ETag", in_quotes(version.etag)) +
             element("Size", std::to_string(version.size)) + element("StorageClass", "STANDARD");
  }
  return entry + "</" + tag + ">";
}

}  // namespace

Answer head_bucket(Call& /*call*/) {
  return {};
}

Answer list_objects_v2(Call& call) {
  const Names names(call.request);
  ListQuery query = query_of(call);
  const auto start_after = call.request.parameter("start-after");
  const auto token = call.request.parameter("continuation-token");
  if (start_after) query.from = after(*start_after);
  if (token) query.from = from_token(*token);
  const Listing listing = call.bucket->list(query);
  const std::size_t count = listing.objects.size() + listing.prefixes.size();
  std::string content =
      frame_of(call, query, listing, names) + element("KeyCount", std::to_string(count));
  if (start_after) content += element("StartAfter", names(*start_after));
  if (token) content += element("ContinuationToken", *token);
  if (listing.truncated) content += element("NextContinuationToken", to_hex(listing.resume));
  return xml_answer(document("ListBucketResult", content + contents_of(listing, names)));
}

Answer list_objects(Call& call) {
  const Names names(call.request);
  ListQuery query = query_of(call);
  const std::string marker = call.request.parameter_or("marker", "");
  if (!marker.empty()) query.from = after(marker);
  if (!query.delimiter.empty() && marker.ends_with(query.delimiter)) {
    query.from = marker;
    query.from.back() = static_cast<char>(query.from.back() + 1);
  }
  const Listing listing = call.bucket->list(query);
  std::string content = frame_of(call, query, listing, names) + element("Marker", names(marker));
  if (listing.truncated) {
    const std::string& key = listing.objects.empty() ? "" : listing.objects.back()->key;
    const std::string& prefix = listing.prefixes.empty() ? "" : listing.prefixes.back();
    content += element("NextMarker", names(std::max(key, prefix)));
  }
  return xml_answer(document("ListBucketResult", content + contents_of(listing, names)));
}

Answer list_object_versions(Call& call) {
  const Names names(call.request);
  VersionQuery query;
  query.prefix = call.request.parameter_or("prefix", "");
  query.key_marker = call.request.parameter_or("key-marker", "");
  query.id_marker = call.request.parameter_or("version-id-marker", "");
  query.most = page_size(call.request, "max-keys", call.limits);
  check_prefix(call.access, query.prefix);
  const VersionListing listing = call.bucket->list_versions(query);
  std::string content = element("Name", call.name.bucket) + element("Prefix", names(query.prefix)) +
                        element("MaxKeys", std::to_string(query.most)) + names.declaration() +
                        element("IsTruncated", listing.truncated ? "true" : "false");
  if (listing.truncated && !listing.versions.empty()) {
    const Version& last = *listing.versions.back().first;
    content += element("NextKeyMarker", names(last.key)) + element("NextVersionIdMarker", last.id);
  }
  for (const auto& [version, newest] : listing.versions) {
    content += version_entry(*version, newest, names);
  }
  return xml_answer(document("ListVersionsResult", content));
}

Answer get_bucket_location(Call& /*call*/) {
  return xml_answer(document("LocationConstraint", ""));
}

Answer get_bucket_versioning(Call& /*call*/) {
  return xml_answer(document("VersioningConfiguration", element("Status", "Enabled")));
}

}  // namespace b2sim
