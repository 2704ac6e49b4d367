// An ObjectStore that refuses every verb: a test overrides those it expects.
#pragma once

#include "src/object_store.h"

namespace spillway {

class RefusingStore : public ObjectStore {
 public:
  Result<> verify_bucket(const CallOptions&) override { return refuse(); }
  Result<std::optional<int>> abort_rule_days(const CallOptions&) override { return refuse(); }
  Result<StoredObject> put_object(const PutRequest&, const CallOptions&) override {
    return refuse();
  }
  Result<ObjectInfo> head_object(const Key&, const VersionId&, const CallOptions&) override {
    return refuse();
  }
  Result<ObjectInfo> get_object(const GetRequest&, const ByteSink&, const CallOptions&) override {
    return refuse();
  }
  Result<StoredObject> copy_object(const CopyRequest&, const CallOptions&) override {
    return refuse();
  }
  Result<> delete_object(const Key&, const VersionId&, const CallOptions&) override {
    return refuse();
  }
  Result<Listing> list_objects(const ListRequest&, const CallOptions&) override { return refuse(); }
  Result<std::vector<ObjectVersion>> list_versions(const Key&, const CallOptions&) override {
    return refuse();
  }
  Result<UploadId> create_upload(const Key&, const std::string&, const MetadataMap&,
                                 const CallOptions&) override {
    return refuse();
  }
  Result<UploadedPart> upload_part(const Key&, const UploadId&, PartNumber, const Payload&,
                                   const CallOptions&) override {
    return refuse();
  }
  Result<UploadedPart> upload_part_copy(const Key&, const UploadId&, PartNumber, const Key&,
                                        const VersionId&, ByteRange, const CallOptions&) override {
    return refuse();
  }
  Result<StoredObject> complete_upload(const Key&, const UploadId&,
                                       const std::vector<UploadedPart>&,
                                       const CallOptions&) override {
    return refuse();
  }
  Result<> abort_upload(const Key&, const UploadId&, const CallOptions&) override {
    return refuse();
  }
  Result<std::vector<UploadedPart>> list_parts(const Key&, const UploadId&,
                                               const CallOptions&) override {
    return refuse();
  }
  Result<std::vector<UnfinishedUploadInfo>> list_uploads(const std::string&,
                                                         const CallOptions&) override {
    return refuse();
  }

 private:
  static std::unexpected<Error> refuse() {
    return fail(ErrorCode::invalid_request, "the test did not expect this call");
  }
};

}  // namespace spillway
