#include <tinyxml2.h>

#include <algorithm>
#include <utility>

#include "tests/b2sim/answers.h"
#include "tests/b2sim/digest.h"
#include "tests/b2sim/verbs.h"

namespace b2sim {

namespace {

constexpr std::uint64_t kMostParts = 10'000;

int part_number(const Call& call) {
  const auto number = parse_number(call.name.part);
  if (!number || *number < 1 || *number > kMostParts) {
    throw invalid_argument("Part number must be an integer between 1 and 10000, inclusive");
  }
  return static_cast<int>(*number);
}

void check_part_size(std::uint64_t size, const Limits& limits) {
  if (size == 0) throw invalid_argument("Part size must be greater than zero");
  if (size > limits.largest_part) throw too_large();
}

std::uint64_t limit_of(const Call& call, const char* parameter) {
  return std::max<std::uint64_t>(page_size(call.request, parameter, call.limits), 1);
}

std::string unquoted(std::string text) {
  std::erase(text, '"');
  return text;
}

std::vector<PartName> parse_completion(const std::string& text) {
  tinyxml2::XMLDocument parsed;
  parsed.Parse(text.data(), text.size());
  const auto* root = parsed.FirstChildElement("CompleteMultipartUpload");
  if (root == nullptr)
    throw Refusal(400, "MalformedXML", "The XML you provided was not well-formed");
  std::vector<PartName> names;
  for (const auto* part = root->FirstChildElement("Part"); part != nullptr;
       part = part->NextSiblingElement("Part")) {
    const auto* number = part->FirstChildElement("PartNumber");
    const auto* etag = part->FirstChildElement("ETag");
    if (number == nullptr || etag == nullptr || etag->GetText() == nullptr) {
      throw Refusal(400, "MalformedXML", "A Part needs PartNumber and ETag");
    }
    names.push_back({number->IntText(), unquoted(etag->GetText())});
  }
  return names;
}

// The stretch of the source that x-amz-copy-source-range names, or all of it.
Span copied_span(const Call& call, const Version& source) {
  const std::string* header = call.request.header("x-amz-copy-source-range");
  if (header == nullptr) return {0, source.size};
  const auto dash = header->find('-');
  const auto last =
      dash == std::string::npos ? std::nullopt : parse_number(header->substr(dash + 1));
  const auto range = last && *last < source.size ? parse_range(*header, source.size) : std::nullopt;
  if (!range) {
    throw invalid_argument("The specified copy range is invalid for the source object size");
  }
  return *range;
}

// Those below the prefix that come after the markers.
std::vector<Upload> uploads_after(const Call& call) {
  const std::string prefix = call.request.parameter_or("prefix", "");
  const std::string key_marker = call.request.parameter_or("key-marker", "");
  const std::string id_marker = call.request.parameter_or("upload-id-marker", "");
  bool skipping = !key_marker.empty();
  std::vector<Upload> uploads;
  for (Upload& upload : call.bucket->uploads()) {
    if (skipping && upload.key <= key_marker) {
      if (upload.key == key_marker && upload.id == id_marker) skipping = false;
      continue;
    }
    if (upload.key.starts_with(prefix)) uploads.push_back(std::move(upload));
  }
  return uploads;
}

}  // namespace

Answer create_multipart_upload(Call& call) {
  check_key(call.key(), call.limits);
  Upload upload;
  upload.key = call.key();
  upload.headers = stored_headers(call.request);
  upload.metadata = user_metadata(call.request);
  check_metadata(upload.key, upload.metadata, call.limits);
  const Upload created = call.bucket->create_upload(std::move(upload));
  return xml_answer(document("InitiateMultipartUploadResult", element("Bucket", call.name.bucket) +
                                                                  element("Key", call.key()) +
                                                                  element("UploadId", created.id)));
}

// The ETag of a part is opaque: taken from the hash that was computed anyway, and too long to be
// mistaken for an MD5.
Answer upload_part(Call& call) {
  Part part;
  part.number = part_number(call);
  check_upload_body(call.request, call.limits, call.limits.largest_part);
  check_part_size(*call.request.content_length, call.limits);
  call.bucket->require_upload(call.key(), call.name.upload_id);
  Received received = receive_body(call, false);
  part.size = received.size;
  part.etag = received.md5.empty() ? received.sha256.substr(0, 40) : received.md5;
  part.pieces = std::move(received.pieces);
  Answer answer;
  answer.headers.emplace_back("ETag", in_quotes(part.etag));
  call.bucket->put_part(call.key(), call.name.upload_id, std::move(part));
  return answer;
}

Answer upload_part_copy(Call& call) {
  Part part;
  part.number = part_number(call);
  const CopySource source = find_copy_source(call);
  const Span span = copied_span(call, *source.version);
  check_part_size(span.size, call.limits);
  part.size = span.size;
  part.etag = random_hex(16);
  part.pieces = slice(source.version->pieces, span.offset, span.size);
  Answer answer =
      xml_answer(document("CopyPartResult", element("LastModified", iso_date(now_milliseconds())) +
                                                element("ETag", in_quotes(part.etag))));
  if (!source.version_header.empty()) {
    answer.headers.emplace_back("x-amz-copy-source-version-id", source.version_header);
  }
  call.bucket->put_part(call.key(), call.name.upload_id, std::move(part));
  return answer;
}

Answer complete_multipart_upload(Call& call) {
  const std::vector<PartName> names = parse_completion(receive_text(call));
  const VersionPtr stored =
      call.bucket->complete(call.key(), call.name.upload_id, names, call.limits.parts);
  Answer answer = xml_answer(
      document("CompleteMultipartUploadResult",
               element("Location", call.request.target) + element("Bucket", call.name.bucket) +
                   element("Key", call.key()) + element("ETag", in_quotes(stored->etag))));
  answer.headers.emplace_back("x-amz-version-id", stored->id);
  return answer;
}

Answer abort_multipart_upload(Call& call) {
  if (!call.bucket->abort(call.key(), call.name.upload_id)) throw no_such_upload();
  Answer answer;
  answer.status = 204;
  return answer;
}

Answer list_parts(Call& call) {
  const Upload upload = call.bucket->upload(call.key(), call.name.upload_id);
  const std::uint64_t most = limit_of(call, "max-parts");
  const auto marker = parse_number(call.request.parameter_or("part-number-marker", "0"));
  auto at = upload.parts.upper_bound(static_cast<int>(marker.value_or(0)));
  std::string parts;
  int last = 0;
  for (std::uint64_t count = 0; at != upload.parts.end() && count < most; ++at, ++count) {
    const Part& part = at->second;
    last = part.number;
    parts += "<Part>" + element("PartNumber", std::to_string(part.number)) +
             element("LastModified", iso_date(part.modified_ms)) +
             element("ETag", in_quotes(part.etag)) + element("Size", std::to_string(part.size)) +
             "</Part>";
  }
  const bool truncated = at != upload.parts.end();
  return xml_answer(document(
      "ListPartsResult",
      element("Bucket", call.name.bucket) + element("Key", upload.key) +
          element("UploadId", upload.id) + element("MaxParts", std::to_string(most)) +
          element("IsTruncated", truncated ? "true" : "false") +
          (truncated ? element("NextPartNumberMarker", std::to_string(last)) : "") + parts));
}

Answer list_multipart_uploads(Call& call) {
  const std::string prefix = call.request.parameter_or("prefix", "");
  check_prefix(call.access, prefix);
  const bool encode = call.request.parameter_or("encoding-type", "") == "url";
  const auto name = [&](const std::string& key) { return encode ? percent_encode(key, "/") : key; };
  const std::uint64_t most = limit_of(call, "max-uploads");
  const std::vector<Upload> uploads = uploads_after(call);
  std::string entries;
  const Upload* last = nullptr;
  std::uint64_t count = 0;
  for (auto upload = uploads.begin(); upload != uploads.end() && count < most; ++upload, ++count) {
    last = &*upload;
    entries += "<Upload>" + element("Key", name(upload->key)) + element("UploadId", upload->id) +
               element("Initiated", iso_date(upload->initiated_ms)) + "</Upload>";
  }
  const bool truncated = count < uploads.size();
  std::string frame = element("Bucket", call.name.bucket) + element("Prefix", name(prefix)) +
                      element("MaxUploads", std::to_string(most)) +
                      (encode ? element("EncodingType", "url") : "") +
                      element("IsTruncated", truncated ? "true" : "false");
  if (truncated) {
    frame += element("NextKeyMarker", name(last->key)) + element("NextUploadIdMarker", last->id);
  }
  return xml_answer(document("ListMultipartUploadsResult", frame + entries));
}

}  // namespace b2sim
