#include "tests/b2sim/service.h"

#include <chrono>
#include <cstdio>
#include <exception>

#include "tests/b2sim/admin.h"
#include "tests/b2sim/answers.h"
#include "tests/b2sim/signature.h"
#include "tests/b2sim/verbs.h"

namespace b2sim {

namespace {

struct Verb {
  const char* capability;
  Answer (*perform)(Call&);
};

const std::map<std::string, Verb, std::less<>>& verbs() {
  static const std::map<std::string, Verb, std::less<>> table = {
      {"PutObject", {"writeFiles", put_object}},
      {"GetObject", {"readFiles", get_object}},
      {"HeadObject", {"readFiles", get_object}},
      {"CopyObject", {"writeFiles", copy_object}},
      {"DeleteObject", {"deleteFiles", delete_object}},
      {"DeleteObjects", {"deleteFiles", delete_objects}},
      {"HeadBucket", {"listBuckets", head_bucket}},
      {"GetBucketLocation", {"listBuckets", get_bucket_location}},
      {"GetBucketVersioning", {"listBuckets", get_bucket_versioning}},
      {"ListObjectsV2", {"listFiles", list_objects_v2}},
      {"ListObjects", {"listFiles", list_objects}},
      {"ListObjectVersions", {"listFiles", list_object_versions}},
      {"CreateMultipartUpload", {"writeFiles", create_multipart_upload}},
      {"UploadPart", {"writeFiles", upload_part}},
      {"UploadPartCopy", {"writeFiles", upload_part_copy}},
      {"CompleteMultipartUpload", {"writeFiles", complete_multipart_upload}},
      {"AbortMultipartUpload", {"writeFiles", abort_multipart_upload}},
      {"ListParts", {"writeFiles", list_parts}},
      {"ListMultipartUploads", {"listFiles", list_multipart_uploads}},
  };
  return table;
}

void check_entitled(const AccessKey& access, const CallName& name, const char* capability) {
  if (!access.may(capability)) throw not_entitled();
  if (!access.bucket.empty() && access.bucket != name.bucket) throw not_entitled();
  if (!name.key.empty()) check_prefix(access, name.key);
}

}  // namespace

void Service::serve(Exchange& exchange) {
  if (is_admin(exchange.request())) {
    exchange.leave_uncounted();
    exchange.send(answer_admin(*this, exchange));
    return;
  }
  const CallName name = name_of(exchange.request());
  counters_.count(name.kind);
  const Effect effect = faults_.strike(name);
  exchange.arm(effect);
  exchange.pause(effect.delay);
  if (effect.stall && !effect.stall_before_answer) {
    exchange.pause(*effect.stall);
    if (effect.close_after_stall) exchange.cut();
  }
  if (effect.cut == CutPlace::request) exchange.cut_request(effect.cut_after);
  Answer answer = effect.answer ? *effect.answer : carry_out(exchange, name, effect);
  log(name, answer.status);
  if (effect.stall && effect.stall_before_answer) {
    exchange.pause(*effect.stall);
    if (effect.close_after_stall) exchange.cut();
  }
  if (effect.lost_answer) exchange.cut();
  exchange.send(std::move(answer));
}

Answer Service::carry_out(Exchange& exchange, const CallName& name, const Effect& effect) try {
  return perform(exchange, name, effect);
} catch (const Refusal& refusal) {
  return error_answer(refusal);
} catch (const Disconnected&) {
  throw;
} catch (const std::exception& error) {
  return error_answer({500, "InternalError", error.what()});
}

Answer Service::perform(Exchange& exchange, const CallName& name, const Effect& effect) {
  const Request& request = exchange.request();
  const auto now = std::chrono::system_clock::now() + effect.clock_skew;
  const AccessKey access =
      authenticate(request, keys_, settings_.region, std::chrono::system_clock::to_time_t(now));
  check_headers(request);
  if (name.kind == "GetBucketLifecycleConfiguration") {
    check_entitled(access, name, "listBuckets");
    return lifecycle_of(name.bucket);
  }
  const auto verb = verbs().find(name.kind);
  if (verb == verbs().end()) {
    throw Refusal(501, "NotImplemented",
                  "A header or query you provided implies functionality that is not implemented.");
  }
  BucketPtr bucket = store_.bucket(name.bucket);
  check_entitled(access, name, verb->second.capability);
  Call call{exchange, request, name, store_, settings_.limits, access, std::move(bucket)};
  return verb->second.perform(call);
}

void Service::set_lifecycle(const std::string& bucket, int abort_after_days) {
  const std::lock_guard lock(mutex_);
  lifecycles_[bucket] = abort_after_days;
}

Answer Service::lifecycle_of(const std::string& bucket) const {
  static_cast<void>(store_.bucket(bucket));
  const std::lock_guard lock(mutex_);
  const auto found = lifecycles_.find(bucket);
  if (found == lifecycles_.end() || found->second == 0) {
    throw Refusal(404, "NoSuchLifecycleConfiguration",
                  "The lifecycle configuration does not exist");
  }
  return xml_answer(
      document("LifecycleConfiguration",
               "<Rule><ID>unfinished</ID><Filter><Prefix></Prefix></Filter><Status>Enabled</Status>"
               "<AbortIncompleteMultipartUpload>" +
                   element("DaysAfterInitiation", std::to_string(found->second)) +
                   "</AbortIncompleteMultipartUpload></Rule>"));
}

void Service::log(const CallName& name, int status) const {
  if (settings_.quiet) return;
  const std::string line = http_date(std::time(nullptr)) + " " + name.kind + " " +
                           percent_encode(name.bucket + "/" + name.key, "/ ") + " " +
                           std::to_string(status) + "\n";
  std::fputs(line.c_str(), stderr);
}

}  // namespace b2sim
