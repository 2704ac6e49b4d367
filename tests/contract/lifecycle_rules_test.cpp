#include "tests/contract/contract.h"

namespace spillway {

namespace {

class LifecycleRuleContract : public ContractTest {
 protected:
  void SetUp() override {
    ContractTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    if (!set_abort_rule(0)) GTEST_SKIP() << "this test has no way to give the bucket of this server a lifecycle rule";
  }
};

RUN_ON_ALL_STORES(LifecycleRuleContract);

}  // namespace

TEST_P(LifecycleRuleContract, ABucketWithoutARuleKeepsUploads) {
  const auto days = store().abort_rule_days({});
  ASSERT_TRUE(succeeded(days));
  EXPECT_FALSE(days->has_value());
}

TEST_P(LifecycleRuleContract, ARuleTellsItsDaysUntilItIsGone) {
  for (const int days : {1, 30}) {
    ASSERT_TRUE(set_abort_rule(days));
    const auto told = store().abort_rule_days({});
    ASSERT_TRUE(succeeded(told));
    EXPECT_EQ(*told, days);
  }
  ASSERT_TRUE(set_abort_rule(0));
  const auto told = store().abort_rule_days({});
  ASSERT_TRUE(succeeded(told));
  EXPECT_FALSE(told->has_value());
}

TEST_P(LifecycleRuleContract, ACancelledCallIsInterrupted) {
  std::stop_source stop;
  stop.request_stop();
  CallOptions options;
  options.cancel = stop.get_token();
  EXPECT_TRUE(failed_with(store().abort_rule_days(options), ErrorCode::interrupted));
}

}  // namespace spillway
