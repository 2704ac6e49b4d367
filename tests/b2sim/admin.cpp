#include "tests/b2sim/admin.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "tests/b2sim/answers.h"
#include "tests/b2sim/service.h"

namespace b2sim {

using nlohmann::json;

namespace {

constexpr std::string_view kPrefix = "/.b2sim/";
constexpr std::size_t kLongestBody = 1 << 20;

Refusal unknown_command() {
  return {404, "NoSuchCommand", "no such command; see README.md"};
}

json requests_json(Service& service) {
  std::uint64_t total = 0;
  const auto counts = service.counters().counts();
  for (const auto& [kind, count] : counts) total += count;
  const Traffic& traffic = service.traffic();
  return {{"counts", counts},
          {"total", total},
          {"bytes_in", traffic.bytes_in.load()},
          {"bytes_out", traffic.bytes_out.load()},
          {"connections", traffic.connections.load()}};
}

json reset_requests(Service& service) {
  service.counters().reset();
  service.traffic().bytes_in = 0;
  service.traffic().bytes_out = 0;
  service.traffic().connections = 0;
  return json::object();
}

json version_json(const Version& version, bool newest) {
  return {{"key", version.key},
          {"version_id", version.id},
          {"size", version.size},
          {"etag", version.etag},
          {"hide_marker", version.hide_marker},
          {"newest", newest},
          {"last_modified", iso_date(version.modified_ms)},
          {"headers", version.headers},
          {"metadata", version.metadata}};
}

json upload_json(const Upload& upload) {
  json parts = json::array();
  for (const auto& [number, part] : upload.parts) {
    parts.push_back({{"number", number}, {"etag", part.etag}, {"size", part.size}});
  }
  return {{"key", upload.key},
          {"upload_id", upload.id},
          {"initiated", iso_date(upload.initiated_ms)},
          {"metadata", upload.metadata},
          {"parts", std::move(parts)}};
}

json dump(Service& service) {
  json buckets = json::object();
  for (const auto& [name, bucket] : service.store().buckets()) {
    json& entry = buckets[name];
    entry = {{"versions", json::array()}, {"uploads", json::array()}};
    VersionQuery query;
    query.most = static_cast<std::size_t>(-1);
    for (const auto& [version, newest] : bucket->list_versions(query).versions) {
      entry["versions"].push_back(version_json(*version, newest));
    }
    for (const Upload& upload : bucket->uploads()) entry["uploads"].push_back(upload_json(upload));
  }
  return {{"buckets", std::move(buckets)}};
}

json put_key(Service& service, const json& body) {
  AccessKey key;
  key.id = body.at("access_key");
  key.secret = body.at("secret_key");
  key.bucket = body.value("bucket", "");
  key.prefix = body.value("prefix", "");
  key.capabilities = all_capabilities();
  if (body.contains("capabilities")) body.at("capabilities").get_to(key.capabilities);
  service.keys().put(std::move(key));
  return json::object();
}

json abort_uploads(Service& service) {
  int aborted = 0;
  for (const auto& [name, bucket] : service.store().buckets()) {
    for (const Upload& upload : bucket->uploads()) {
      if (bucket->abort(upload.key, upload.id)) ++aborted;
    }
  }
  return {{"aborted", aborted}};
}

json get(Service& service, const std::string& command) {
  if (command == "requests") return requests_json(service);
  if (command == "faults") return service.faults().list();
  if (command == "dump") return dump(service);
  throw unknown_command();
}

json post(Service& service, const std::string& command, const json& body) {
  if (command == "requests/reset") return reset_requests(service);
  if (command == "faults") return {{"id", service.faults().add(body)}};
  if (command == "keys") return put_key(service, body);
  if (command == "abort-uploads") return abort_uploads(service);
  if (command == "buckets") {
    service.store().create_bucket(body.at("name"));
    return json::object();
  }
  if (command == "lifecycle") {
    service.set_lifecycle(body.at("bucket"), body.at("abort_after_days"));
    return json::object();
  }
  throw unknown_command();
}

json remove(Service& service, const std::string& command) {
  if (command == "faults") {
    service.faults().clear();
    return json::object();
  }
  const auto slash = command.find('/');
  const std::string group = command.substr(0, slash);
  const std::string name = slash == std::string::npos ? "" : command.substr(slash + 1);
  bool done = false;
  if (group == "faults") {
    const auto id = parse_number(name);
    done = id && service.faults().remove(static_cast<int>(*id));
  }
  if (group == "keys") done = service.keys().revoke(name);
  if (group == "buckets") done = service.store().hide_bucket(name);
  if (!done) throw unknown_command();
  return json::object();
}

json command_of(Service& service, Exchange& exchange) {
  const Request& request = exchange.request();
  const std::string command =
      percent_decode(request.raw_path().substr(kPrefix.size())).value_or("");
  if (request.method == "GET") return get(service, command);
  if (request.method == "DELETE") return remove(service, command);
  if (request.method != "POST") throw unknown_command();
  const std::string body = exchange.read_small_body(kLongestBody);
  return post(service, command, body.empty() ? json::object() : json::parse(body));
}

}  // namespace

bool is_admin(const Request& request) {
  return request.raw_path().starts_with(kPrefix);
}

Answer answer_admin(Service& service, Exchange& exchange) try {
  return json_answer(200, command_of(service, exchange).dump());
} catch (const Refusal& refusal) {
  return json_answer(refusal.status, json{{"error", refusal.message}}.dump());
} catch (const json::exception& error) {
  return json_answer(400, json{{"error", error.what()}}.dump());
}

}  // namespace b2sim
