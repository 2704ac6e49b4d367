// A B2 stand-in of its own for one test: a free port, a directory that goes with it, and its admin
// endpoint (tests/b2sim/README.md) as functions.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "src/object_store.h"
#include "tests/support/process.h"
#include "tests/support/temp_directory.h"

namespace spillway {

enum class B2SimTls : std::uint8_t { off, self_signed };

struct B2SimOptions {
  std::string bucket = "spillway-test";
  std::string access_key = "0040a1b2c3d4e5f0000000001";
  std::string secret_key = "K004SecretOfTheTests+/abcdefghij";
  std::string region = "us-west-004";
  B2SimTls tls = B2SimTls::off;
  std::vector<std::string> arguments = {};  // more of b2sim's options
};

// One thread at a time. Everything throws std::runtime_error when the server does not do as told.
class B2Sim {
 public:
  explicit B2Sim(B2SimOptions options = {});

  // Same port, same directory. Waits until it listens.
  void start();
  void stop();    // SIGTERM
  void kill();    // SIGKILL: connections are reset, what was answered is kept
  void freeze();  // SIGSTOP: connections stay and nothing answers
  void thaw();

  [[nodiscard]] const B2SimOptions& options() const { return options_; }
  [[nodiscard]] int port() const { return port_; }
  [[nodiscard]] std::string endpoint() const;  // "http://127.0.0.1:PORT"
  [[nodiscard]] std::filesystem::path certificate_file() const;
  // The five S3_… variables.
  [[nodiscard]] std::map<std::string, std::string> environment() const;
  [[nodiscard]] std::string log() const { return process_->errors(); }

  // Admin requests; `path` without "/.b2sim/".
  nlohmann::json get(const std::string& path) const;
  nlohmann::json post(const std::string& path, const nlohmann::json& body) const;
  void remove(const std::string& path) const;

  // A fault as README.md describes it; gives its id. In short: `fault("PutObject",
  // {{"status",503}})` strikes the next one, `fault_for_ever` all.
  int add_fault(const nlohmann::json& description) const;
  int fault(const std::string& kind, const nlohmann::json& effect) const;
  int fault_for_ever(const std::string& kind, const nlohmann::json& effect) const;
  void clear_faults() const;

  void revoke_key() const;
  void restore_key() const;
  void remove_bucket() const;   // it is missing from now on
  void restore_bucket() const;  // with its content
  void abort_uploads() const;
  void set_abort_rule(int days) const;  // 0: none

  // Requests by kind since the start or reset_requests().
  [[nodiscard]] std::map<std::string, int> requests() const;
  void reset_requests() const;
  // Versions and uploads of the bucket, as in README.md.
  [[nodiscard]] nlohmann::json dump() const;
  [[nodiscard]] nlohmann::json versions() const { return dump().at("versions"); }
  [[nodiscard]] nlohmann::json uploads() const { return dump().at("uploads"); }

 private:
  nlohmann::json request(const char* method, const std::string& path,
                         const std::string& body) const;
  [[nodiscard]] Command command() const;

  B2SimOptions options_;
  TempDirectory directory_;
  int port_ = 0;
  std::unique_ptr<Process> process_;
};

}  // namespace spillway
