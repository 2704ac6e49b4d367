// All parts of an upload lie in one vault of B2's. One that stays busy is left for the vault of a
// new upload; but only while every byte is at hand to be sent again.
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "src/upload.h"

namespace spillway {
namespace {

using std::chrono::seconds;

constexpr int kTries = 5;  // failures of one part until its vault is left

class UploadVault : public testing::Test {
 protected:
  using Actions = std::vector<UploadAction>;

  Actions tell(const UploadEvent& event) {
    Actions actions = upload_.on(event, {now_, 0});
    happened_.insert(happened_.end(), actions.begin(), actions.end());
    return actions;
  }
  void begin(PartNumber parts) {
    for (PartNumber number = 1; number <= parts; ++number) {
      tell(event::PartReady{{number, PartSource::ram, 10}});
    }
    tell(event::UploadCreated{UploadId("first")});
  }
  void acknowledge(PartNumber number) {
    tell(event::PartDone{number, Etag("etag " + std::to_string(number))});
  }
  static std::unexpected<Error> refusal(ErrorCode code) { return fail(code, "no tomes available"); }
  Actions refuse(PartNumber number, ErrorCode code = ErrorCode::server_error) {
    return tell(event::PartDone{number, refusal(code)});
  }
  Actions wake() {
    now_ += seconds(1);
    return tell(event::Wake{});
  }
  // Is refused, waits and is sent again, so often.
  void refuse_often(PartNumber number, int times, ErrorCode code = ErrorCode::server_error) {
    for (int i = 0; i < times; ++i) {
      refuse(number, code);
      wake();
    }
  }

  template <class Action>
  [[nodiscard]] static std::vector<Action> of(const Actions& actions) {
    std::vector<Action> found;
    for (const UploadAction& action : actions) {
      if (const auto* one = std::get_if<Action>(&action)) found.push_back(*one);
    }
    return found;
  }
  template <class Action>
  [[nodiscard]] std::size_t count() const {
    return of<Action>(happened_).size();
  }
  // The first upload is the only one, and goes on.
  void expect_same_vault() const {
    EXPECT_EQ(count<action::Abort>(), 0U);
    EXPECT_EQ(count<action::CreateUpload>(), 1U);
    EXPECT_EQ(upload_.upload_id(), "first");
  }

  static UploadRules rules() {
    UploadRules rules;
    rules.retry.retry_for = seconds(60);
    return rules;
  }

  Instant now_{};
  Upload upload_{rules(), std::nullopt};
  Actions happened_;
};

TEST_F(UploadVault, OneThatStaysBusyIsLeft) {
  begin(2);
  acknowledge(1);  // and stays in RAM
  refuse_often(2, kTries - 1);
  expect_same_vault();
  refuse(2);
  expect_same_vault();

  const Actions actions = wake();
  ASSERT_EQ(actions.size(), 2U);
  ASSERT_TRUE(std::holds_alternative<action::Abort>(actions[0]));
  EXPECT_EQ(std::get<action::Abort>(actions[0]).id, "first");
  EXPECT_TRUE(std::holds_alternative<action::CreateUpload>(actions[1]));
}

TEST_F(UploadVault, EveryPartIsSentToTheNewOne) {
  begin(2);
  acknowledge(1);
  refuse_often(2, kTries);
  const auto sent = of<action::SendPart>(tell(event::UploadCreated{UploadId("second")}));
  ASSERT_EQ(sent.size(), 2U);
  for (const action::SendPart& send : sent) EXPECT_EQ(send.id, "second");
  acknowledge(1);
  acknowledge(2);
  const auto completed = of<action::Complete>(tell(event::Commit{.parts = 2, .rest = {}}));
  ASSERT_EQ(completed.size(), 1U);
  EXPECT_EQ(completed.front().id, "second");
  EXPECT_EQ(completed.front().parts.size(), 2U);
  tell(event::Completed{StoredObject{}});
  EXPECT_EQ(upload_.outcome(), UploadOutcome::stored);
  EXPECT_EQ(count<action::Abort>(), 1U);
}

TEST_F(UploadVault, OneThatHoldsTheOnlyCopyOfAPartIsNotLeft) {
  begin(3);
  acknowledge(1);
  acknowledge(2);
  ASSERT_EQ(count<action::FreePart>(), 1U) << "the second part has left RAM";
  refuse_often(3, 3 * kTries);
  expect_same_vault();
}

TEST_F(UploadVault, OneThatTookAPartInTheLastMomentIsNotLeft) {
  begin(3);
  acknowledge(1);
  refuse_often(3, kTries - 1);
  refuse(3);
  wake();  // the second part is still under way
  expect_same_vault();
  acknowledge(2);
  expect_same_vault();
}

TEST_F(UploadVault, OneIsLeftOnceNothingIsUnderWay) {
  begin(3);
  refuse_often(3, kTries);
  expect_same_vault();
  refuse(1);
  refuse(2);
  expect_same_vault();
  wake();
  EXPECT_EQ(count<action::Abort>(), 1U);
  EXPECT_EQ(count<action::CreateUpload>(), 2U);
}

TEST_F(UploadVault, PartsOfTheOldVersionAreAtHand) {
  tell(event::PartReady{{1, PartSource::base, 10}});
  tell(event::PartReady{{2, PartSource::base, 10}});
  tell(event::PartReady{{3, PartSource::ram, 10}});
  tell(event::UploadCreated{UploadId("first")});
  acknowledge(1);
  acknowledge(2);
  refuse_often(3, kTries);
  EXPECT_EQ(count<action::Abort>(), 1U);
  EXPECT_EQ(count<action::CreateUpload>(), 2U);
}

TEST_F(UploadVault, AnythingElseIsNoBusyVault) {
  begin(2);
  acknowledge(1);
  refuse_often(2, 2 * kTries, ErrorCode::network_error);
  expect_same_vault();
}

TEST_F(UploadVault, NoThirdOneIsLeft) {
  begin(2);
  for (int vault = 1; vault <= 3; ++vault) {
    acknowledge(1);
    refuse_often(2, kTries);
    tell(event::UploadCreated{UploadId("vault " + std::to_string(vault))});
  }
  EXPECT_EQ(count<action::CreateUpload>(), 3U);
  EXPECT_EQ(count<action::Abort>(), 2U);
}

// A new vault is no new time for retries.
TEST_F(UploadVault, TheTimeForRetriesEndsAllTheSame) {
  begin(2);
  acknowledge(1);
  tell(event::Commit{.parts = 2, .rest = {}});
  for (int i = 0; i < 70 && count<action::Divert>() == 0; ++i) {
    const auto created = of<action::CreateUpload>(wake());
    if (!created.empty()) tell(event::UploadCreated{UploadId("another")});
    if (upload_.is_busy(1) && !upload_.is_acknowledged(1)) acknowledge(1);
    refuse(2);
  }
  EXPECT_EQ(count<action::Divert>(), 1U);
  EXPECT_EQ(upload_.first_error()->code, ErrorCode::server_error);
}

}  // namespace
}  // namespace spillway
