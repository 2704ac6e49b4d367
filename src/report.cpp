#include "src/report.h"

#include <array>
#include <nlohmann/json.hpp>

namespace spillway {
namespace {

using Json = nlohmann::ordered_json;
using Attributes = std::vector<std::pair<std::string, std::string>>;

struct StorageWord {
  Storage storage;
  std::string_view word;
};

constexpr std::array kStorages{
    StorageWord{Storage::b2, "b2"},
    StorageWord{Storage::local, "local"},
    StorageWord{Storage::split, "split"},
    StorageWord{Storage::pending, "pending"},
};

// A refusal of ours is no error_code: seen from a script, the request was one that can't be done.
Error in_table(const Error& error) {
  if (error.code <= ErrorCode::local_error) return error;
  Error shown = error;
  shown.code = ErrorCode::invalid_request;
  if (shown.detail.empty()) shown.detail = to_string(error.code);
  return shown;
}

// One sentence on what happened; `detail` has the other side's words.
std::string_view sentence_for(ErrorCode code) {
  switch (code) {
    case ErrorCode::auth_error: return "B2 refused the application key";
    case ErrorCode::bucket_not_found: return "The bucket does not exist";
    case ErrorCode::timeout: return "B2 did not answer in time";
    case ErrorCode::network_error: return "B2 could not be reached";
    case ErrorCode::rate_limited: return "B2 asked for fewer requests";
    case ErrorCode::server_error: return "B2 failed to serve the request";
    case ErrorCode::cap_exceeded: return "A cap of the B2 account is used up";
    case ErrorCode::clock_skew: return "This machine's clock is wrong";
    case ErrorCode::checksum_mismatch: return "B2 received other bytes than were sent";
    case ErrorCode::not_found: return "The object does not exist";
    case ErrorCode::too_large: return "The file is over B2's limits";
    case ErrorCode::local_error: return "The shadow directory failed";
    default: return "The request can't be carried out";
  }
}

// Values that came from the server must not move a terminal's cursor when they are printed.
std::string on_one_line(std::string text) {
  for (char& c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) c = '?';
  }
  return text;
}

void add_known(Attributes& attributes, const char* name, const std::string& value) {
  if (!value.empty()) attributes.emplace_back(name, on_one_line(value));
}

void add_known(Json& json, const char* name, const std::string& value) {
  if (!value.empty()) json[name] = value;
}

void add_error(Attributes& attributes, const Error& error) {
  const Error shown = in_table(error);
  attributes.emplace_back("error_code", to_string(shown.code));
  add_known(attributes, "detail", shown.detail);
  attributes.emplace_back("hints", hint_for(shown));
}

Json track_of(const StorageReport& report) {
  Json track;
  track["name"] = report.name;
  track["size"] = report.size;
  add_known(track, "content_type", report.content_type);
  add_known(track, "sha256", report.sha256);
  add_known(track, "etag", report.etag);
  if (report.mtime) track["mtime"] = to_rfc3339(*report.mtime);
  return track;
}

// A name that is not UTF-8 can't be in JSON as it is; `location` has its bytes.
std::string dumped(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

std::string_view to_string(Storage storage) {
  return kStorages.at(static_cast<std::size_t>(storage)).word;
}

std::optional<Storage> storage_from(std::string_view word) {
  for (const auto& entry : kStorages) {
    if (entry.word == word) return entry.storage;
  }
  return std::nullopt;
}

std::vector<std::pair<std::string, std::string>> to_attributes(const StorageReport& report) {
  Attributes attributes;
  attributes.emplace_back("storage", to_string(report.storage));
  attributes.emplace_back("location", report.location);
  attributes.emplace_back("fallback_from_b2", report.fallback_from_b2 ? "true" : "false");
  if (report.error) add_error(attributes, *report.error);
  add_known(attributes, "correlation_id", report.correlation_id);
  if (report.duration) {
    attributes.emplace_back("duration_ms", std::to_string(to_milliseconds(*report.duration)));
  }
  if (report.uploaded_at) attributes.emplace_back("uploaded_at", to_rfc3339(*report.uploaded_at));
  if (report.attempts > 0) attributes.emplace_back("attempts", std::to_string(report.attempts));
  attributes.emplace_back("size", std::to_string(report.size));
  add_known(attributes, "etag", report.etag);
  add_known(attributes, "version_id", report.version_id);
  add_known(attributes, "sha256", report.sha256);
  add_known(attributes, "content_type", report.content_type);
  if (report.writer_killed) attributes.emplace_back("writer_killed", "true");
  attributes.emplace_back("result", dumped(to_result_json(report)));
  return attributes;
}

nlohmann::ordered_json to_result_json(const StorageReport& report) {
  Json json;
  json["storage"] = to_string(report.storage);
  json["location"] = report.location;
  json["fallback_from_b2"] = report.fallback_from_b2;
  json["track"] = track_of(report);
  add_known(json, "correlation_id", report.correlation_id);
  if (report.duration) json["duration_ms"] = to_milliseconds(*report.duration);
  if (report.error) {
    const Error shown = in_table(*report.error);
    json["error_code"] = to_string(shown.code);
    json["detail"] = shown.detail;
    json["hints"] = Json::array({hint_for(shown)});
  }
  return json;
}

nlohmann::ordered_json to_failure_json(const Error& error) {
  const Error shown = in_table(error);
  Json json;
  json["error_code"] = to_string(shown.code);
  json["error"] = sentence_for(shown.code);
  json["detail"] = shown.detail;
  json["hints"] = Json::array({hint_for(shown)});
  return json;
}

}  // namespace spillway
