#include <tinyxml2.h>

#include <algorithm>
#include <utility>

#include "tests/b2sim/answers.h"
#include "tests/b2sim/verbs.h"

namespace b2sim {

namespace {

constexpr std::size_t kMostDeletes = 1'000;

// `etags` is a header's list of quoted tags, or `*`.
bool names_etag(const std::string& etags, const std::string& etag) {
  return etags == "*" || etags == etag || etags.find(in_quotes(etag)) != std::string::npos;
}

VersionPtr find_version(const Call& call) {
  const auto id = call.request.parameter("versionId");
  VersionPtr version = id ? call.bucket->find(call.key(), *id) : call.bucket->newest(call.key());
  if (!version && id) {
    throw Refusal(404, "NoSuchVersion", "The version id specified in the request does not exist.");
  }
  if (!version) throw no_such_key();
  if (version->hide_marker && !id) throw hidden(no_such_key());
  if (version->hide_marker) {
    throw hidden(
        {405, "MethodNotAllowed", "The specified method is not allowed against this resource."});
  }
  return version;
}

void add_object_headers(Answer& answer, const Version& version) {
  answer.headers.emplace_back("Accept-Ranges", "bytes");
  answer.headers.emplace_back("Last-Modified", http_date(version.modified_ms / 1'000));
  answer.headers.emplace_back("ETag", in_quotes(version.etag));
  answer.headers.emplace_back("x-amz-version-id", version.id);
  for (const auto& [name, value] : version.headers) answer.headers.emplace_back(name, value);
  for (const auto& [name, value] : version.metadata) {
    answer.headers.emplace_back("x-amz-meta-" + name, value);
  }
}

// The directive decides whose metadata a copy gets.
void choose_metadata(const Call& call, const Version& source, Version& copy) {
  const std::string* directive = call.request.header("x-amz-metadata-directive");
  if (directive != nullptr && *directive != "COPY" && *directive != "REPLACE") {
    throw invalid_argument("Unknown metadata directive.");
  }
  const bool replace = directive != nullptr && *directive == "REPLACE";
  copy.headers = replace ? stored_headers(call.request) : source.headers;
  copy.metadata = replace ? user_metadata(call.request) : source.metadata;
  check_metadata(copy.key, copy.metadata, call.limits);
}

VersionPtr hide(Call& call, const std::string& key) {
  Version marker;
  marker.key = key;
  marker.hide_marker = true;
  return call.bucket->add(std::move(marker));
}

std::string delete_one(Call& call, const std::string& key, const std::string& id) {
  check_prefix(call.access, key);
  if (!id.empty()) {
    call.bucket->remove(key, id);
    return element("Key", key) + element("VersionId", id);
  }
  return element("Key", key) + element("DeleteMarker", "true") +
         element("DeleteMarkerVersionId", hide(call, key)->id);
}

std::string text_of(const tinyxml2::XMLElement* parent, const char* name) {
  const auto* child = parent->FirstChildElement(name);
  return child == nullptr || child->GetText() == nullptr ? "" : child->GetText();
}

}  // namespace

Answer put_object(Call& call) {
  check_key(call.key(), call.limits);
  check_upload_body(call.request, call.limits, call.limits.largest_put);
  Version version;
  version.key = call.key();
  version.headers = stored_headers(call.request);
  version.metadata = user_metadata(call.request);
  check_metadata(version.key, version.metadata, call.limits);
  Received received = receive_body(call, true);
  version.size = received.size;
  version.etag = received.md5;
  version.pieces = std::move(received.pieces);
  const VersionPtr stored = call.bucket->add(std::move(version));
  Answer answer;
  answer.headers.emplace_back("ETag", in_quotes(stored->etag));
  answer.headers.emplace_back("x-amz-version-id", stored->id);
  return answer;
}

Answer get_object(Call& call) {
  const VersionPtr version = find_version(call);
  const std::string* if_match = call.request.header("if-match");
  if (if_match != nullptr && !names_etag(*if_match, version->etag)) {
    throw Refusal(412, "PreconditionFailed",
                  "At least one of the pre-conditions you specified did not hold");
  }
  Answer answer;
  add_object_headers(answer, *version);
  const std::string* if_none_match = call.request.header("if-none-match");
  if (if_none_match != nullptr && names_etag(*if_none_match, version->etag)) {
    answer.status = 304;
    return answer;
  }
  const std::string* header = call.request.header("range");
  const auto range = header == nullptr ? std::nullopt : parse_range(*header, version->size);
  const Span span = range.value_or(Span{0, version->size});
  if (range) {
    answer.status = 206;
    answer.headers.emplace_back("Content-Range", "bytes " + std::to_string(span.offset) + "-" +
                                                     std::to_string(span.offset + span.size - 1) +
                                                     "/" + std::to_string(version->size));
  }
  answer.pieces = slice(version->pieces, span.offset, span.size);
  answer.length_of_head = span.size;
  return answer;
}

Answer copy_object(Call& call) {
  check_key(call.key(), call.limits);
  const CopySource source = find_copy_source(call);
  if (source.version->size > call.limits.largest_copy) throw too_large();
  Version copy;
  copy.key = call.key();
  choose_metadata(call, *source.version, copy);
  copy.size = source.version->size;
  copy.etag = source.version->etag;
  copy.pieces = source.version->pieces;
  const VersionPtr stored = call.bucket->add(std::move(copy));
  Answer answer = xml_answer(
      document("CopyObjectResult", element("LastModified", iso_date(stored->modified_ms)) +
                                       element("ETag", in_quotes(stored->etag))));
  answer.headers.emplace_back("x-amz-version-id", stored->id);
  if (!source.version_header.empty()) {
    answer.headers.emplace_back("x-amz-copy-source-version-id", source.version_header);
  }
  return answer;
}

Answer delete_object(Call& call) {
  const std::string id = call.request.parameter_or("versionId", "");
  Answer answer;
  answer.status = 204;
  if (id.empty()) {
    answer.headers.emplace_back("x-amz-delete-marker", "true");
    answer.headers.emplace_back("x-amz-version-id", hide(call, call.key())->id);
  } else {
    call.bucket->remove(call.key(), id);
    answer.headers.emplace_back("x-amz-version-id", id);
  }
  return answer;
}

Answer delete_objects(Call& call) {
  const std::string text = receive_text(call);
  tinyxml2::XMLDocument parsed;
  parsed.Parse(text.data(), text.size());
  const auto* root = parsed.FirstChildElement("Delete");
  if (root == nullptr)
    throw Refusal(400, "MalformedXML", "The XML you provided was not well-formed");
  std::vector<std::pair<std::string, std::string>> objects;
  for (const auto* object = root->FirstChildElement("Object"); object != nullptr;
       object = object->NextSiblingElement("Object")) {
    objects.emplace_back(text_of(object, "Key"), text_of(object, "VersionId"));
  }
  if (objects.empty() || objects.size() > kMostDeletes) {
    throw Refusal(400, "MalformedXML", "A request deletes 1 to 1000 objects");
  }
  std::string results;
  for (const auto& [key, id] : objects) {
    results += "<Deleted>" + delete_one(call, key, id) + "</Deleted>";
  }
  return xml_answer(document("DeleteResult", text_of(root, "Quiet") == "true" ? "" : results));
}

}  // namespace b2sim
