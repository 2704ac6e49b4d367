#include "tests/contract/contract.h"

#include <cstdlib>
#include <random>
#include <stdexcept>
#include <utility>

#include "s3/client.h"
#include "tests/support/memory_store.h"

namespace spillway {

namespace {

constexpr const char* kVariables[] = {"S3_ENDPOINT", "S3_ACCESS_KEY", "S3_SECRET_KEY", "S3_BUCKET",
                                      "S3_REGION"};

class Memory final : public StoreUnderTest {
 public:
  ObjectStore& store() override { return store_; }
  StoreTraits traits() override { return {}; }
  bool set_abort_rule(int days) override {
    store_.set_abort_rule(days == 0 ? std::nullopt : std::optional(days));
    return true;
  }

 private:
  MemoryStore store_;
};

class OnB2Sim final : public StoreUnderTest {
 public:
  ObjectStore& store() override { return client_.store(); }
  StoreTraits traits() override { return {}; }
  bool set_abort_rule(int days) override {
    server_.set_abort_rule(days);
    return true;
  }

 private:
  B2Sim server_;
  ClientStore client_{server_.environment()};
};

std::map<std::string, std::string> real_environment() {
  std::map<std::string, std::string> environment;
  for (const char* name : kVariables) {
    const char* value = std::getenv(name);
    if (value != nullptr) environment[name] = value;
  }
  return environment;
}

class OnRealServer final : public StoreUnderTest {
 public:
  ObjectStore& store() override { return client_.store(); }

  StoreTraits traits() override {
    static const StoreTraits traits = probe();
    return traits;
  }

 private:
  // Asked of the server, so that the suite runs on any.
  StoreTraits probe() {
    StoreTraits traits;
    const Key key = "spillway-probe";
    const auto stored = put_text(store(), key, "x");
    if (!stored) throw std::runtime_error(describe(stored.error()));
    traits.keeps_versions = !stored->version_id.empty();
    static_cast<void>(put_text(store(), key, "y"));
    traits.forgets_versions = store().delete_object(key, stored->version_id, {}).ok() &&
                              store().delete_object(key, stored->version_id, {}).ok();
    traits.keys_are_paths = !put_text(store(), key + "/below", "x").ok();
    static_cast<void>(store().delete_object(key + "/below", "", {}));
    static_cast<void>(store().delete_object(key, "", {}));
    return traits;
  }

  ClientStore client_{real_environment()};
};

template <class Kind>
std::unique_ptr<StoreUnderTest> make() {
  return std::make_unique<Kind>();
}

std::string always_here() {
  return "";
}

std::string why_no_real_server() {
  if (std::getenv("SPILLWAY_REAL_S3") == nullptr) {
    return "SPILLWAY_REAL_S3 is not set: scripts/real-s3 COMMAND runs COMMAND with a real server";
  }
  const auto environment = real_environment();
  for (const char* name : kVariables) {
    if (!environment.contains(name)) return std::string(name) + " is not set";
  }
  return "";
}

std::string random_name() {
  std::random_device random;
  return std::to_string(random()) + std::to_string(random());
}

}  // namespace

void PrintTo(const StoreKind& kind, std::ostream* out) {
  *out << kind.name;
}

const std::vector<StoreKind>& all_stores() {
  static const std::vector<StoreKind> stores = {
      {"Memory", make<Memory>, always_here},
      {"B2Sim", make<OnB2Sim>, always_here},
      {"RealServer", make<OnRealServer>, why_no_real_server},
  };
  return stores;
}

ClientStore::ClientStore(const std::map<std::string, std::string>& environment,
                         const std::string& ca_file)
    : executor_(make_thread_executor(4)) {
  auto endpoint = s3::parse_endpoint(environment.at("S3_ENDPOINT"), s3::PlainHttp::loopback_only);
  if (!endpoint) throw std::runtime_error(endpoint.error().detail);
  s3::Settings settings;
  settings.endpoint = std::move(endpoint).value();
  settings.endpoint.region = environment.at("S3_REGION");
  settings.bucket = environment.at("S3_BUCKET");
  settings.access_key = environment.at("S3_ACCESS_KEY");
  settings.secret_key = environment.at("S3_SECRET_KEY");
  settings.ca_file = ca_file;
  settings.timeouts.connect = std::chrono::seconds(5);
  settings.timeouts.stall = std::chrono::seconds(2);
  settings.timeouts.server_side = std::chrono::seconds(20);
  store_ = s3::make_object_store(std::move(settings), *executor_);
}

void ContractTest::SetUp() {
  const std::string reason = GetParam().why_not();
  if (!reason.empty()) GTEST_SKIP() << reason;
  under_test_ = GetParam().make();
  prefix_ = "contract-" + random_name() + "/";
}

void ContractTest::TearDown() {
  if (under_test_ && GetParam().name == "RealServer") remove_everything();
}

void ContractTest::remove_everything() {
  ListRequest request;
  request.prefix = prefix_;
  const auto listing = list_all(store(), request);
  if (listing) {
    for (const ObjectInfo& object : listing->objects) {
      static_cast<void>(store().delete_object(object.key, "", {}));
    }
  }
  const auto uploads = store().list_uploads(prefix_, {});
  if (!uploads) return;
  for (const UnfinishedUploadInfo& upload : *uploads) {
    static_cast<void>(store().abort_upload(upload.key, upload.id, {}));
  }
}

}  // namespace spillway
