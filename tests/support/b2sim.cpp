#include "tests/support/b2sim.h"

#include <curl/curl.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <stdexcept>
#include <thread>
#include <utility>

#include "tests/support/certificate.h"

namespace spillway {

using nlohmann::json;

namespace {

std::size_t append(char* data, std::size_t size, std::size_t count, void* text) {
  static_cast<std::string*>(text)->append(data, size * count);
  return size * count;
}

struct Free {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};

struct Reply {
  long status = 0;
  std::string body;
};

Reply talk(const char* method, const std::string& url, const std::string& body) {
  const std::unique_ptr<CURL, Free> handle(curl_easy_init());
  Reply reply;
  curl_easy_setopt(handle.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(handle.get(), CURLOPT_CUSTOMREQUEST, method);
  curl_easy_setopt(handle.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle.get(), CURLOPT_PROXY, "");
  curl_easy_setopt(handle.get(), CURLOPT_SSL_VERIFYPEER, 0L);
  curl_easy_setopt(handle.get(), CURLOPT_SSL_VERIFYHOST, 0L);
  curl_easy_setopt(handle.get(), CURLOPT_TIMEOUT, 30L);
  curl_easy_setopt(handle.get(), CURLOPT_WRITEFUNCTION, append);
  curl_easy_setopt(handle.get(), CURLOPT_WRITEDATA, &reply.body);
  if (!body.empty()) {
    curl_easy_setopt(handle.get(), CURLOPT_POSTFIELDSIZE, static_cast<long>(body.size()));
    curl_easy_setopt(handle.get(), CURLOPT_POSTFIELDS, body.data());
  }
  const CURLcode code = curl_easy_perform(handle.get());
  if (code != CURLE_OK) {
    throw std::runtime_error(url + ": " + curl_easy_strerror(code));
  }
  curl_easy_getinfo(handle.get(), CURLINFO_RESPONSE_CODE, &reply.status);
  return reply;
}

json fault_description(const std::string& kind, const json& effect) {
  return {{"match", {{"kind", kind}}}, {"fault", effect}};
}

}  // namespace

B2Sim::B2Sim(B2SimOptions options) : options_(std::move(options)) {
  if (options_.tls == B2SimTls::self_signed) {
    static_cast<void>(make_certificate(directory_.path()));
  }
  start();
}

Command B2Sim::command() const {
  Command command;
  command.arguments = {B2SIM_PROGRAM,         "--root",      directory_ / "root", "--bucket",
                       options_.bucket,       "--region",    options_.region,     "--port",
                       std::to_string(port_), "--port-file", directory_ / "port"};
  if (options_.tls == B2SimTls::self_signed) {
    command.arguments.insert(command.arguments.end(), {"--tls-cert", directory_ / "certificate.pem",
                                                       "--tls-key", directory_ / "key.pem"});
  }
  command.arguments.insert(command.arguments.end(), options_.arguments.begin(),
                           options_.arguments.end());
  command.environment = {{"B2SIM_ACCESS_KEY", options_.access_key},
                         {"B2SIM_SECRET_KEY", options_.secret_key}};
  return command;
}

void B2Sim::start() {
  process_.reset();
  process_ = std::make_unique<Process>(command());
  if (!process_->wait_for_text("listening on ")) {
    throw std::runtime_error("b2sim does not start: " + process_->errors());
  }
  if (port_ == 0) {
    const std::string line = process_->output();
    port_ = std::stoi(line.substr(line.rfind(':') + 1));
  }
}

void B2Sim::stop() {
  process_->stop();
}

void B2Sim::kill() {
  process_->kill();
}

void B2Sim::freeze() {
  process_->send_signal(SIGSTOP);
  // It stops a moment after the signal was sent: "PID (NAME) T …".
  const std::string stat = "/proc/" + std::to_string(process_->pid()) + "/stat";
  for (int tries = 0; tries < 500; ++tries) {
    std::string text;
    std::getline(std::ifstream(stat), text);
    if (text.find(") T ") != std::string::npos) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

void B2Sim::thaw() {
  process_->send_signal(SIGCONT);
}

std::string B2Sim::endpoint() const {
  const char* scheme = options_.tls == B2SimTls::off ? "http" : "https";
  return std::string(scheme) + "://127.0.0.1:" + std::to_string(port_);
}

std::filesystem::path B2Sim::certificate_file() const {
  return directory_ / "certificate.pem";
}

std::map<std::string, std::string> B2Sim::environment() const {
  return {{"S3_ENDPOINT", endpoint()},
          {"S3_ACCESS_KEY", options_.access_key},
          {"S3_SECRET_KEY", options_.secret_key},
          {"S3_BUCKET", options_.bucket},
          {"S3_REGION", options_.region}};
}

json B2Sim::request(const char* method, const std::string& path, const std::string& body) const {
  const Reply reply = talk(method, endpoint() + "/.b2sim/" + path, body);
  if (reply.status != 200) {
    throw std::runtime_error(std::string(method) + " " + path + ": " + reply.body);
  }
  return json::parse(reply.body);
}

json B2Sim::get(const std::string& path) const {
  return request("GET", path, "");
}

json B2Sim::post(const std::string& path, const json& body) const {
  return request("POST", path, body.dump());
}

void B2Sim::remove(const std::string& path) const {
  request("DELETE", path, "");
}

int B2Sim::add_fault(const json& description) const {
  return post("faults", description).at("id");
}

int B2Sim::fault(const std::string& kind, const json& effect) const {
  return add_fault(fault_description(kind, effect));
}

int B2Sim::fault_for_ever(const std::string& kind, const json& effect) const {
  json description = fault_description(kind, effect);
  description["times"] = -1;
  return add_fault(description);
}

void B2Sim::clear_faults() const {
  remove("faults");
}

void B2Sim::revoke_key() const {
  remove("keys/" + options_.access_key);
}

void B2Sim::restore_key() const {
  post("keys", {{"access_key", options_.access_key}, {"secret_key", options_.secret_key}});
}

void B2Sim::remove_bucket() const {
  remove("buckets/" + options_.bucket);
}

void B2Sim::restore_bucket() const {
  post("buckets", {{"name", options_.bucket}});
}

void B2Sim::abort_uploads() const {
  post("abort-uploads", json::object());
}

void B2Sim::set_abort_rule(int days) const {
  post("lifecycle", {{"bucket", options_.bucket}, {"abort_after_days", days}});
}

std::map<std::string, int> B2Sim::requests() const {
  return get("requests").at("counts");
}

void B2Sim::reset_requests() const {
  post("requests/reset", json::object());
}

json B2Sim::dump() const {
  return get("dump").at("buckets").value(
      options_.bucket, json{{"versions", json::array()}, {"uploads", json::array()}});
}

}  // namespace spillway
