#include "src/startup.h"

#include <utility>

namespace spillway {
namespace {

using State = ServiceAtStart::State;

// Nothing the user can repair at this machine: waiting helps, stopping does not.
bool may_pass_by_itself(const Error& error) {
  if (error.cause == Cause::certificate) return false;
  switch (error.code) {
    case ErrorCode::timeout:
    case ErrorCode::network_error:
    case ErrorCode::rate_limited:
    case ErrorCode::server_error:
    case ErrorCode::cap_exceeded:
      return true;
    default:
      return false;
  }
}

Fields fields_of(const Error& error) {
  Fields fields{{"error_code", to_string(error.code)}, {"detail", error.detail}};
  if (!error.request_id.empty()) fields["request_id"] = error.request_id;
  const std::string_view hint = hint_for(error);
  if (!hint.empty()) fields["hint"] = hint;
  return fields;
}

StartDecision stopped(ExitCode code, std::string event, Fields fields) {
  StartDecision decision;
  decision.stop = code;
  decision.level = Level::error;
  decision.event = std::move(event);
  decision.fields = std::move(fields);
  return decision;
}

StartDecision gone_on(State state, const Error& reason, std::string event, Fields fields) {
  StartDecision decision;
  decision.service = {state, reason};
  decision.level = reason.cause == Cause::certificate ? Level::error : Level::warning;
  decision.event = std::move(event);
  decision.fields = std::move(fields);
  return decision;
}

}  // namespace

StartDecision decide_without_bucket(RunMode mode, const Error& fault) {
  Error reason;
  reason.code = ErrorCode::auth_error;  // what is missing are the means to sign in
  reason.detail = "B2 is not configured: " + fault.detail;
  Fields fields{{"detail", fault.detail},
                {"hint", "Set S3_ENDPOINT, S3_ACCESS_KEY, S3_SECRET_KEY and S3_BUCKET"}};
  if (mode == RunMode::production) return stopped(ExitCode::usage, "b2_disabled", fields);
  return gone_on(State::local_only, reason, "b2_disabled", fields);
}

StartDecision decide_with_bucket(RunMode mode, std::string_view endpoint, std::string_view bucket,
                                 const Result<>& asked) {
  Fields fields{{"bucket", bucket}, {"endpoint", endpoint}};
  if (asked.ok()) {
    StartDecision decision;
    decision.event = "s3_bucket_verified";
    decision.fields = std::move(fields);
    return decision;
  }
  const Error& error = asked.error();
  fields.update(fields_of(error));
  const bool missing = error.code == ErrorCode::bucket_not_found;
  if (mode == RunMode::production && !may_pass_by_itself(error)) {
    return stopped(ExitCode::refused, missing ? "s3_bucket_not_found" : "b2_refused",
                   std::move(fields));
  }
  return gone_on(State::degraded, error, missing ? "s3_bucket_not_found" : "b2_degraded",
                 std::move(fields));
}

}  // namespace spillway
