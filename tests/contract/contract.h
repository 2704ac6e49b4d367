// What every ObjectStore must do, run on three of them: the one in memory, the client of s3/ on
// b2sim, and the same client on a server that was not written here (scripts/real-s3).
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <ostream>
#include <string>

#include "src/executor.h"
#include "src/object_store.h"
#include "tests/support/b2sim.h"
#include "tests/support/result_assertions.h"
#include "tests/support/store_calls.h"

namespace spillway {

// In what the servers differ.
struct StoreTraits {
  bool keeps_versions = true;
  // Objects are files below: `a` and `a/b` can't both be, nor `a/../b`, and an emptied directory
  // may stay.
  bool keys_are_paths = false;
  bool forgets_versions = true;  // deleting a version that is gone is no error
};

class StoreUnderTest {
 public:
  virtual ~StoreUnderTest() = default;
  [[nodiscard]] virtual ObjectStore& store() = 0;
  [[nodiscard]] virtual StoreTraits traits() = 0;
  // A lifecycle rule that aborts unfinished uploads after that many days; 0: none. False: such a
  // rule can't be made there.
  [[nodiscard]] virtual bool set_abort_rule(int /*days*/) { return false; }
};

struct StoreKind {
  std::string name;
  std::unique_ptr<StoreUnderTest> (*make)();
  std::string (*why_not)();  // empty: it can be tested here
};
void PrintTo(const StoreKind& kind, std::ostream* out);

// Memory, B2Sim, RealServer.
[[nodiscard]] const std::vector<StoreKind>& all_stores();

// A client of s3/ for the server that the S3_… variables in `environment` name.
class ClientStore {
 public:
  explicit ClientStore(const std::map<std::string, std::string>& environment,
                       const std::string& ca_file = "");
  [[nodiscard]] ObjectStore& store() { return *store_; }

 private:
  std::unique_ptr<Executor> executor_;
  std::unique_ptr<ObjectStore> store_;
};

class ContractTest : public testing::TestWithParam<StoreKind> {
 protected:
  void SetUp() override;
  void TearDown() override;

  [[nodiscard]] ObjectStore& store() { return under_test_->store(); }
  [[nodiscard]] StoreTraits traits() { return under_test_->traits(); }
  [[nodiscard]] bool set_abort_rule(int days) { return under_test_->set_abort_rule(days); }
  // Names of this test alone: the bucket of a real server is shared, and not empty.
  [[nodiscard]] Key key(const std::string& name) const { return prefix_ + name; }
  [[nodiscard]] const std::string& prefix() const { return prefix_; }

 private:
  void remove_everything();

  std::unique_ptr<StoreUnderTest> under_test_;
  std::string prefix_;
};

[[nodiscard]] inline std::string name_of_store(const testing::TestParamInfo<StoreKind>& kind) {
  return kind.param.name;
}

#define RUN_ON_ALL_STORES(suite) \
  INSTANTIATE_TEST_SUITE_P(Store, suite, testing::ValuesIn(all_stores()), name_of_store)

}  // namespace spillway
