#include "tests/b2sim/call.h"

#include <algorithm>
#include <utility>

#include "tests/b2sim/digest.h"
#include "tests/b2sim/refusal.h"

namespace b2sim {

namespace {

constexpr std::size_t kBuffer = 512 << 10;
constexpr std::size_t kLongestText = 4 << 20;  // a Complete of 10,000 parts is about 1.2 MB

std::string kind_of_get(const Request& request, const CallName& name) {
  const auto has = [&](const char* parameter) { return request.query.contains(parameter); };
  if (name.bucket.empty()) return "ListBuckets";
  if (!name.key.empty()) {
    if (has("uploadId")) return "ListParts";
    return has("acl") || has("tagging") || has("retention") ? "Other" : "GetObject";
  }
  if (has("uploads")) return "ListMultipartUploads";
  if (has("versions")) return "ListObjectVersions";
  if (has("lifecycle")) return "GetBucketLifecycleConfiguration";
  if (has("location")) return "GetBucketLocation";
  if (has("versioning")) return "GetBucketVersioning";
  for (const char* other : {"acl", "cors", "encryption", "object-lock", "policy", "tagging"}) {
    if (has(other)) return "Other";
  }
  return request.parameter_or("list-type", "") == "2" ? "ListObjectsV2" : "ListObjects";
}

std::string kind_of_put(const Request& request, const CallName& name) {
  if (name.key.empty()) return "Other";
  const bool copies = request.header("x-amz-copy-source") != nullptr;
  if (request.query.contains("uploadId")) return copies ? "UploadPartCopy" : "UploadPart";
  if (request.query.contains("acl") || request.query.contains("tagging")) return "Other";
  return copies ? "CopyObject" : "PutObject";
}

std::string kind_of_post(const Request& request, const CallName& name) {
  if (name.key.empty()) return request.query.contains("delete") ? "DeleteObjects" : "Other";
  if (request.query.contains("uploads")) return "CreateMultipartUpload";
  return request.query.contains("uploadId") ? "CompleteMultipartUpload" : "Other";
}

std::string kind_of(const Request& request, const CallName& name) {
  if (request.method == "GET") return kind_of_get(request, name);
  if (request.method == "PUT") return kind_of_put(request, name);
  if (request.method == "POST") return kind_of_post(request, name);
  if (request.method == "HEAD" && !name.bucket.empty()) {
    return name.key.empty() ? "HeadBucket" : "HeadObject";
  }
  if (request.method == "DELETE" && !name.key.empty()) {
    return request.query.contains("uploadId") ? "AbortMultipartUpload" : "DeleteObject";
  }
  return "Other";
}

void check_hashes(const Request& request, const std::string& sha256, const std::string& md5_raw) {
  const std::string* declared = request.header("x-amz-content-sha256");
  if (declared != nullptr && *declared != "UNSIGNED-PAYLOAD" && *declared != sha256) {
    throw Refusal(400, "XAmzContentSHA256Mismatch",
                  "The provided 'x-amz-content-sha256' header does not match what was computed.");
  }
  const std::string* md5 = request.header("content-md5");
  if (md5 != nullptr && *md5 != to_base64(md5_raw)) {
    throw Refusal(400, "BadDigest",
                  "The Content-MD5 you specified did not match what we received.");
  }
}

// Fills `buffer` as far as the body goes.
std::size_t fill(Exchange& exchange, std::span<std::byte> buffer) {
  std::size_t filled = 0;
  while (filled < buffer.size()) {
    const std::size_t count = exchange.read_body(buffer.subspan(filled));
    if (count == 0) break;
    filled += count;
  }
  return filled;
}

// Two buffers in turn: while one is hashed in the background the other is filled.
std::string pump(Call& call, BlobWriter& writer, Digest& sha256, bool with_md5) {
  std::vector<std::byte> buffers[2] = {std::vector<std::byte>(kBuffer),
                                       std::vector<std::byte>(kBuffer)};
  std::optional<BackgroundMd5> md5;
  if (with_md5) md5.emplace();
  for (std::size_t turn = 0;; ++turn) {
    const std::span<std::byte> buffer(buffers[turn % 2]);
    const auto bytes = buffer.first(fill(call.exchange, buffer));
    if (bytes.empty()) break;
    if (md5) md5->submit(bytes);
    sha256.update(bytes);
    writer.write(bytes);
  }
  return md5 ? md5->finish() : "";
}

std::string pump_small(Call& call, BlobWriter& writer, Digest& sha256, bool with_md5) {
  const std::string body = call.exchange.read_small_body(kBuffer);
  const auto bytes = std::as_bytes(std::span(body));
  sha256.update(bytes);
  writer.write(bytes);
  return with_md5 ? digest_of(Algorithm::md5, body) : "";
}

}  // namespace

CallName name_of(const Request& request) {
  CallName name;
  const auto path = percent_decode(request.raw_path());
  if (path && path->starts_with('/')) {
    const auto slash = path->find('/', 1);
    name.bucket = path->substr(1, slash == std::string::npos ? slash : slash - 1);
    if (slash != std::string::npos) name.key = path->substr(slash + 1);
  }
  name.upload_id = request.parameter_or("uploadId", "");
  name.part = request.parameter_or("partNumber", "");
  name.kind = kind_of(request, name);
  return name;
}

Received receive_body(Call& call, bool with_md5) {
  const std::uint64_t length = call.request.content_length.value_or(0);
  with_md5 = with_md5 || call.request.header("content-md5") != nullptr;
  BlobWriter writer(call.store.blobs().create());
  Digest sha256(Algorithm::sha256);
  const std::string md5 = length > kBuffer ? pump(call, writer, sha256, with_md5)
                                           : pump_small(call, writer, sha256, with_md5);
  Received received;
  received.size = length;
  received.sha256 = to_hex(sha256.finish());
  received.md5 = to_hex(md5);
  check_hashes(call.request, received.sha256, md5);
  if (length > 0) received.pieces.push_back({writer.blob(), 0, length});
  return received;
}

std::string receive_text(Call& call) {
  std::string text = call.exchange.read_small_body(kLongestText);
  check_hashes(call.request, to_hex(digest_of(Algorithm::sha256, text)),
               digest_of(Algorithm::md5, text));
  return text;
}

void check_prefix(const AccessKey& access, const std::string& prefix) {
  if (!prefix.starts_with(access.prefix)) throw not_entitled();
}

CopySource find_copy_source(const Call& call) {
  if (!call.access.may("readFiles")) throw not_entitled();
  std::string raw = *call.request.header("x-amz-copy-source");
  std::string version_id;
  const auto mark = raw.find("?versionId=");
  if (mark != std::string::npos) {
    version_id = percent_decode(raw.substr(mark + 11)).value_or("");
    raw.resize(mark);
  }
  std::string path = percent_decode(raw).value_or("");
  if (path.starts_with('/')) path.erase(0, 1);
  const auto slash = path.find('/');
  if (slash == std::string::npos) throw invalid_argument("x-amz-copy-source is not BUCKET/KEY");
  const std::string bucket = path.substr(0, slash);
  const std::string key = path.substr(slash + 1);
  if (!call.access.bucket.empty() && call.access.bucket != bucket) throw not_entitled();
  check_prefix(call.access, key);
  const BucketPtr source = call.store.bucket(bucket);
  VersionPtr version = version_id.empty() ? source->newest(key) : source->find(key, version_id);
  if (!version || version->hide_marker) throw no_such_key();
  return {std::move(version), std::move(version_id)};
}

std::optional<Span> parse_range(const std::string& header, std::uint64_t size) {
  const auto dash = header.find('-');
  if (!header.starts_with("bytes=") || dash == std::string::npos) return std::nullopt;
  const std::string first_text = header.substr(6, dash - 6);
  const std::string last_text = header.substr(dash + 1);
  const auto first = parse_number(first_text);
  const auto last = parse_number(last_text);
  const Refusal unsatisfiable(416, "InvalidRange", "The requested range is not satisfiable");
  if (first_text.empty() && last) {
    if (*last == 0 || size == 0) throw unsatisfiable;
    const std::uint64_t count = std::min(*last, size);
    return Span{size - count, count};
  }
  if (!first || (!last && !last_text.empty()) || (last && *last < *first)) return std::nullopt;
  if (*first >= size) throw unsatisfiable;
  const std::uint64_t end = last ? std::min(*last + 1, size) : size;
  return Span{*first, end - *first};
}

}  // namespace b2sim
