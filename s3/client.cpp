#include "s3/client.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "s3/checks.h"
#include "s3/incoming.h"
#include "s3/listing.h"
#include "s3/object_headers.h"
#include "s3/signed_http.h"
#include "s3/xml.h"

namespace spillway::s3 {
namespace {

// What an account could pile up before it notices; a server that goes on is broken.
constexpr std::size_t kMostListed = 1'000'000;
constexpr std::string_view kPageSize = "1000";
constexpr int kRangeNotSatisfiable = 416;

ObjectBodies bodies_of(PayloadMode mode) {
  return mode == PayloadMode::unsigned_payload ? ObjectBodies::may_be_unsigned
                                               : ObjectBodies::are_signed;
}

class Client final : public ObjectStore {
 public:
  Client(Settings settings, std::unique_ptr<Http> http, Executor& executor)
      : bucket_(std::move(settings.bucket)),
        timeouts_(settings.timeouts),
        http_(std::move(settings.endpoint), bodies_of(settings.payload_mode),
              {std::move(settings.access_key), std::move(settings.secret_key)}, std::move(http),
              executor) {
    wipe(settings.secret_key);  // short strings are copied, not moved
  }

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
  // Neither side sends bulk data: the whole exchange has a limit.
  Call small_call(Operation operation, std::string method, Target target) const;
  // The server works in silence for as long as it takes.
  Call long_call(Operation operation, std::string method, Target target) const;

  Target bucket_target() const { return {'/' + bucket_, {}}; }
  Target object_target(const Key& key) const { return {'/' + bucket_ + '/' + key, {}}; }
  Target version_target(const Key& key, const VersionId& version_id) const;
  Target upload_target(const Key& key, const UploadId& id) const;
  std::string copy_source(const Key& key, const VersionId& version_id) const;

  Result<> probe_bucket(const CallOptions& options);
  Error reason_of_refusal(Error refusal, const Key& key, const VersionId& version_id,
                          const CallOptions& options);
  Result<ObjectInfo> object_before_range(const GetRequest& request, const CallOptions& options);
  Result<PartsPage> parts_page(const Key& key, const UploadId& id, PartNumber after,
                               const CallOptions& options);
  Result<UploadsPage> uploads_page(const std::string& prefix, const UploadsPage& before,
                                   const CallOptions& options);
  Result<VersionsPage> versions_page(const Key& key, const VersionsPage& before,
                                     const CallOptions& options);
  Result<Etag> etag_of_put(Operation operation, const Answer& answer);

  const std::string bucket_;
  const Timeouts timeouts_;
  SignedHttp http_;
};

// A body that can't be understood: the answer's fault, told with its request id.
Error unreadable(Operation operation, const Answer& answer, const Error& why) {
  return invalid_answer(operation, answer.response, why.detail);
}

// A page of a listing, where it can be understood and makes sense.
template <class Page, class Check>
Result<Page> checked(const Call& call, const Answer& answer, Result<Page> page, Check check) {
  const Result<> outcome = page ? check(*page) : Result<>(fail(page.error()));
  if (!outcome) return fail(unreadable(call.operation, answer, outcome.error()));
  return page;
}

Call Client::small_call(Operation operation, std::string method, Target target) const {
  Call call;
  call.operation = operation;
  call.method = std::move(method);
  call.target = std::move(target);
  call.total = timeouts_.small_answer;
  return call;
}

Call Client::long_call(Operation operation, std::string method, Target target) const {
  Call call = small_call(operation, std::move(method), std::move(target));
  call.total.reset();
  call.stall = timeouts_.server_side;
  return call;
}

Target Client::version_target(const Key& key, const VersionId& version_id) const {
  Target target = object_target(key);
  if (!version_id.empty()) target.query.emplace_back("versionId", version_id);
  return target;
}

Target Client::upload_target(const Key& key, const UploadId& id) const {
  Target target = object_target(key);
  target.query.emplace_back("uploadId", id);
  return target;
}

std::string Client::copy_source(const Key& key, const VersionId& version_id) const {
  return version_target(key, version_id).encoded();
}

Result<> Client::verify_bucket(const CallOptions& options) {
  const auto answer =
      http_.send(small_call(Operation::head_bucket, "HEAD", bucket_target()), options);
  if (answer) return {};
  const ErrorCode code = answer.error().code;
  const bool may_be_capability =
      code == ErrorCode::auth_error || code == ErrorCode::invalid_request;
  if (!may_be_capability) return fail(answer.error());
  return probe_bucket(options);
}

Result<> Client::probe_bucket(const CallOptions& options) {
  Call call = small_call(Operation::list_objects, "GET", bucket_target());
  call.target.query = {{"list-type", "2"}, {"max-keys", "1"}, {"prefix", ""}};
  const Answer answer = TRY(http_.send(call, options));
  const auto page = parse_list(answer.response.body);
  if (!page) return fail(unreadable(call.operation, answer, page.error()));
  return {};
}

Result<std::optional<int>> Client::abort_rule_days(const CallOptions& options) {
  Call call = small_call(Operation::get_bucket_lifecycle, "GET", bucket_target());
  call.target.query.emplace_back("lifecycle", std::nullopt);
  call.body_limit = kListBodyLimit;
  const auto answer = http_.send(call, options);
  if (!answer) {
    if (answer.error().code == ErrorCode::not_found) return std::nullopt;
    return fail(answer.error());
  }
  const auto days = parse_abort_rule(answer->response.body);
  if (!days) return fail(unreadable(call.operation, *answer, days.error()));
  return days;
}

Result<StoredObject> Client::put_object(const PutRequest& request, const CallOptions& options) {
  TRY(check_key(request.key));
  TRY(check_size(request.payload.size(), kLargestPut));
  Call call;
  call.operation = Operation::put_object;
  call.method = "PUT";
  call.target = object_target(request.key);
  call.payload = request.payload;
  TRY(add_object_headers(call.headers, request.content_type, request.metadata));
  const Answer answer = TRY(http_.send(call, options));
  TRY(etag_of_put(call.operation, answer));
  return stored_from(request.key, answer.response.headers, http_.now());
}

// The ETag of a PUT is the MD5 of its body, except where the server encrypts.
Result<Etag> Client::etag_of_put(Operation operation, const Answer& answer) {
  const Headers& headers = answer.response.headers;
  Etag etag = unquoted(headers.get("etag"));
  if (etag.empty()) return fail(invalid_answer(operation, answer.response, "no ETag"));
  const bool is_encrypted = headers.find("x-amz-server-side-encryption") != nullptr;
  if (!answer.md5.empty() && looks_like_md5(etag) && !is_encrypted && etag != answer.md5) {
    Error error =
        invalid_answer(operation, answer.response, "the ETag is not the MD5 that was sent");
    error.code = ErrorCode::checksum_mismatch;
    return fail(std::move(error));
  }
  return etag;
}

Result<ObjectInfo> Client::head_object(const Key& key, const VersionId& version_id,
                                       const CallOptions& options) {
  TRY(check_key(key));
  auto answer = http_.send(
      small_call(Operation::head_object, "HEAD", version_target(key, version_id)), options);
  if (answer) {
    ObjectInfo object = object_from(key, answer->response.headers);
    // Without it nothing tells one version from another.
    if (!object.etag.empty()) return object;
    return fail(invalid_answer(Operation::head_object, answer->response, "no ETag"));
  }
  if (answer.error().code != ErrorCode::auth_error) return fail(std::move(answer).error());
  return fail(reason_of_refusal(std::move(answer).error(), key, version_id, options));
}

// An exceeded cap and a bad key look the same to HEAD; to the user they are not.
Error Client::reason_of_refusal(Error refusal, const Key& key, const VersionId& version_id,
                                const CallOptions& options) {
  Call call = small_call(Operation::get_object, "GET", version_target(key, version_id));
  call.headers.add("range", range_text({0, 1}));
  call.expected_refusal = kRangeNotSatisfiable;
  call.sink = [](std::span<const std::byte>) -> Result<> {
    return fail(ErrorCode::interrupted, "the body is not wanted");
  };
  auto answer = http_.send(call, options);
  if (answer || answer.error().code == ErrorCode::interrupted) return refusal;
  return std::move(answer).error();
}

Result<ObjectInfo> Client::get_object(const GetRequest& request, const ByteSink& sink,
                                      const CallOptions& options) {
  TRY(check_key(request.key));
  Incoming incoming(request, sink);
  Call call;
  call.operation = Operation::get_object;
  call.target = version_target(request.key, request.version_id);
  if (!request.if_match.empty()) call.headers.add("if-match", '"' + request.if_match + '"');
  if (request.range) {
    TRY(check_range(*request.range));
    call.headers.add("range", range_text(*request.range));
    call.expected_refusal = kRangeNotSatisfiable;
  }
  call.accept = [&](const HttpResponse& head) { return incoming.accept(head); };
  call.sink = [&](std::span<const std::byte> bytes) { return incoming.take(bytes); };
  const Answer answer = TRY(http_.send(call, options));
  if (answer.response.status == kRangeNotSatisfiable) return object_before_range(request, options);
  TRY(incoming.finish());
  return incoming.object();
}

Result<ObjectInfo> Client::object_before_range(const GetRequest& request,
                                               const CallOptions& options) {
  ObjectInfo object = TRY(head_object(request.key, request.version_id, options));
  if (!request.if_match.empty() && object.etag != request.if_match) {
    Error error;
    error.code = ErrorCode::stale;
    error.cause = Cause::version_changed;
    error.detail = "the object is another version than the one that was opened";
    return fail(std::move(error));
  }
  if (request.range->offset < object.size) {
    return fail(ErrorCode::server_error, "the server refused a range that the object has");
  }
  return object;
}

Result<StoredObject> Client::copy_object(const CopyRequest& request, const CallOptions& options) {
  TRY(check_key(request.source));
  TRY(check_key(request.destination));
  Call call = long_call(Operation::copy_object, "PUT", object_target(request.destination));
  call.headers.add("x-amz-copy-source", copy_source(request.source, request.source_version));
  if (request.metadata) {
    call.headers.add("x-amz-metadata-directive", "REPLACE");
    TRY(add_object_headers(call.headers, request.content_type, *request.metadata));
  }
  const Answer answer = TRY(http_.send(call, options));
  auto etag = parse_etag_of("CopyObjectResult", answer.response.body);
  if (!etag) return fail(unreadable(call.operation, answer, etag.error()));
  auto stored = stored_from(request.destination, answer.response.headers, http_.now());
  stored.etag = std::move(etag).value();
  return stored;
}

Result<> Client::delete_object(const Key& key, const VersionId& version_id,
                               const CallOptions& options) {
  TRY(check_key(key));
  const auto answer = http_.send(
      small_call(Operation::delete_object, "DELETE", version_target(key, version_id)), options);
  // What is gone already is deleted.
  if (answer || answer.error().code == ErrorCode::not_found) return {};
  return fail(answer.error());
}

Result<Listing> Client::list_objects(const ListRequest& request, const CallOptions& options) {
  Call call = small_call(Operation::list_objects, "GET", bucket_target());
  call.body_limit = kListBodyLimit;
  auto& query = call.target.query;
  query = {{"list-type", "2"},
           {"encoding-type", "url"},
           {"max-keys", std::to_string(request.max_keys)},
           {"prefix", request.prefix}};
  if (!request.delimiter.empty()) query.emplace_back("delimiter", request.delimiter);
  if (!request.start_after.empty()) query.emplace_back("start-after", request.start_after);
  if (!request.continuation_token.empty()) {
    query.emplace_back("continuation-token", request.continuation_token);
  }
  const Answer answer = TRY(http_.send(call, options));
  auto page = TRY(checked(call, answer, parse_list(answer.response.body),
                          [&](const ListPage& read) { return check_page(request, read); }));
  return std::move(page.listing);
}

Result<UploadId> Client::create_upload(const Key& key, const std::string& content_type,
                                       const MetadataMap& metadata, const CallOptions& options) {
  TRY(check_key(key));
  Call call = small_call(Operation::create_upload, "POST", object_target(key));
  call.target.query.emplace_back("uploads", std::nullopt);
  TRY(add_object_headers(call.headers, content_type, metadata));
  const Answer answer = TRY(http_.send(call, options));
  auto id = parse_created_upload(answer.response.body);
  if (!id) return fail(unreadable(call.operation, answer, id.error()));
  return id;
}

Result<UploadedPart> Client::upload_part(const Key& key, const UploadId& id, PartNumber number,
                                         const Payload& payload, const CallOptions& options) {
  TRY(check_part(key, id, number));
  TRY(check_part_size(payload.size()));
  Call call;
  call.operation = Operation::upload_part;
  call.method = "PUT";
  call.target = upload_target(key, id);
  call.target.query.emplace_back("partNumber", std::to_string(number));
  call.payload = payload;
  const Answer answer = TRY(http_.send(call, options));
  return UploadedPart{number, TRY(etag_of_put(call.operation, answer)), payload.size()};
}

Result<UploadedPart> Client::upload_part_copy(const Key& key, const UploadId& id, PartNumber number,
                                              const Key& source, const VersionId& source_version,
                                              ByteRange range, const CallOptions& options) {
  TRY(check_part(key, id, number));
  TRY(check_key(source));
  TRY(check_range(range));
  TRY(check_part_size(range.size));
  Call call = long_call(Operation::upload_part_copy, "PUT", upload_target(key, id));
  call.target.query.emplace_back("partNumber", std::to_string(number));
  call.headers.add("x-amz-copy-source", copy_source(source, source_version));
  call.headers.add("x-amz-copy-source-range", range_text(range));
  const Answer answer = TRY(http_.send(call, options));
  auto etag = parse_etag_of("CopyPartResult", answer.response.body);
  if (!etag) return fail(unreadable(call.operation, answer, etag.error()));
  return UploadedPart{number, std::move(etag).value(), range.size};
}

Result<StoredObject> Client::complete_upload(const Key& key, const UploadId& id,
                                             const std::vector<UploadedPart>& parts,
                                             const CallOptions& options) {
  TRY(check_key(key));
  TRY(check_parts(id, parts));
  Call call = long_call(Operation::complete_upload, "POST", upload_target(key, id));
  const std::string body = write_complete(parts);
  call.headers.add("content-type", "application/xml");
  call.payload.pieces = {bytes_of(body)};
  const Answer answer = TRY(http_.send(call, options));
  auto etag = parse_etag_of("CompleteMultipartUploadResult", answer.response.body);
  if (!etag) return fail(unreadable(call.operation, answer, etag.error()));
  auto stored = stored_from(key, answer.response.headers, http_.now());
  stored.etag = std::move(etag).value();
  return stored;
}

Result<> Client::abort_upload(const Key& key, const UploadId& id, const CallOptions& options) {
  TRY(check_key(key));
  TRY(check_upload_id(id));
  const auto answer =
      http_.send(small_call(Operation::abort_upload, "DELETE", upload_target(key, id)), options);
  if (answer || answer.error().cause == Cause::upload_gone) return {};
  return fail(answer.error());
}

Result<std::vector<UploadedPart>> Client::list_parts(const Key& key, const UploadId& id,
                                                     const CallOptions& options) {
  TRY(check_key(key));
  TRY(check_upload_id(id));
  std::vector<UploadedPart> parts;
  PartNumber after = 0;
  while (true) {
    const PartsPage page = TRY(parts_page(key, id, after, options));
    parts.insert(parts.end(), page.parts.begin(), page.parts.end());
    if (!page.truncated) return parts;
    after = page.next_marker;
  }
}

Result<PartsPage> Client::parts_page(const Key& key, const UploadId& id, PartNumber after,
                                     const CallOptions& options) {
  Call call = small_call(Operation::list_parts, "GET", upload_target(key, id));
  call.body_limit = kListBodyLimit;
  call.target.query.emplace_back("max-parts", kPageSize);
  if (after > 0) call.target.query.emplace_back("part-number-marker", std::to_string(after));
  const Answer answer = TRY(http_.send(call, options));
  return checked(call, answer, parse_parts(answer.response.body),
                 [&](const PartsPage& page) { return check_page(after, page); });
}

Result<std::vector<UnfinishedUploadInfo>> Client::list_uploads(const std::string& prefix,
                                                               const CallOptions& options) {
  std::vector<UnfinishedUploadInfo> uploads;
  UploadsPage page;
  do {
    page = TRY(uploads_page(prefix, page, options));
    uploads.insert(uploads.end(), page.uploads.begin(), page.uploads.end());
    if (uploads.size() > kMostListed) {
      return fail(ErrorCode::server_error, "the list of unfinished uploads does not end");
    }
  } while (page.truncated);
  return uploads;
}

Result<UploadsPage> Client::uploads_page(const std::string& prefix, const UploadsPage& before,
                                         const CallOptions& options) {
  Call call = small_call(Operation::list_uploads, "GET", bucket_target());
  call.body_limit = kListBodyLimit;
  auto& query = call.target.query;
  query = {{"uploads", std::nullopt},
           {"encoding-type", "url"},
           {"max-uploads", std::string(kPageSize)},
           {"prefix", prefix}};
  if (before.truncated) {
    query.emplace_back("key-marker", before.next_key_marker);
    query.emplace_back("upload-id-marker", before.next_upload_id_marker);
  }
  const Answer answer = TRY(http_.send(call, options));
  return checked(call, answer, parse_uploads(answer.response.body),
                 [&](const UploadsPage& page) { return check_page(prefix, before, page); });
}

Result<std::vector<ObjectVersion>> Client::list_versions(const Key& key,
                                                         const CallOptions& options) {
  TRY(check_key(key));
  std::vector<ListedVersion> versions;
  VersionsPage page;
  do {
    page = TRY(versions_page(key, page, options));
    std::ranges::copy_if(page.versions, std::back_inserter(versions),
                         [&](const ListedVersion& listed) { return listed.key == key; });
    if (versions.size() > kMostListed) {
      return fail(ErrorCode::server_error, "the list of versions does not end");
    }
  } while (page.truncated && page.next_key_marker == key);
  return newest_first(std::move(versions));
}

Result<VersionsPage> Client::versions_page(const Key& key, const VersionsPage& before,
                                           const CallOptions& options) {
  Call call = small_call(Operation::list_versions, "GET", bucket_target());
  call.body_limit = kListBodyLimit;
  auto& query = call.target.query;
  query = {{"versions", std::nullopt},
           {"encoding-type", "url"},
           {"max-keys", std::string(kPageSize)},
           {"prefix", key}};
  if (before.truncated) {
    query.emplace_back("key-marker", before.next_key_marker);
    query.emplace_back("version-id-marker", before.next_version_id_marker);
  }
  const Answer answer = TRY(http_.send(call, options));
  return checked(call, answer, parse_versions(answer.response.body),
                 [&](const VersionsPage& page) { return check_page(key, before, page); });
}

HttpSettings http_settings(const Settings& settings) {
  HttpSettings http;
  http.endpoint = settings.endpoint;
  http.ca_file = settings.ca_file;
  http.proxy = settings.proxy;
  http.user_agent = settings.user_agent;
  http.connect_timeout = settings.timeouts.connect;
  http.stall_timeout = settings.timeouts.stall;
  return http;
}

}  // namespace

std::unique_ptr<ObjectStore> make_object_store(Settings settings, Executor& executor) {
  auto http = make_curl_http(http_settings(settings), executor);
  return make_object_store(std::move(settings), executor, std::move(http));
}

std::unique_ptr<ObjectStore> make_object_store(Settings settings, Executor& executor,
                                               std::unique_ptr<Http> http) {
  return std::make_unique<Client>(std::move(settings), std::move(http), executor);
}

}  // namespace spillway::s3
