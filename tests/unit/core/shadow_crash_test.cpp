// The shadow against power cuts and failing calls: every short sequence of its calls, cut or failed
// at every call of the disk.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/shadow_rig.h"

namespace spillway {
namespace {

using Kind = ShadowStep::Kind;

std::string describe(const ShadowStep& step) {
  switch (step.kind) {
    case Kind::publish:
      return "publish " + step.path;
    case Kind::remove:
      return "remove " + step.path;
    case Kind::rename:
      return "rename " + step.path + " to " + step.to;
    case Kind::update:
      return "update " + step.path;
  }
  return "";
}

std::string describe(const std::vector<ShadowStep>& steps) {
  std::string text;
  for (const auto& step : steps) text += (text.empty() ? "" : ", ") + describe(step);
  return text;
}

std::string describe(const ModelTree& tree) {
  std::string text;
  for (const auto& [path, file] : tree) {
    text += path + "=" + std::to_string(std::hash<std::string>{}(file.content) % 1000) + "/" +
            file.note + " ";
  }
  return text;
}

// `a` and `a/b` can't both lie in files/: one of them stays under its id.
std::vector<ShadowStep> alphabet() {
  return {{Kind::publish, "a/b", "", "", ""}, {Kind::publish, "c", "", "", ""},
          {Kind::publish, "a", "", "", ""},   {Kind::rename, "a/b", "c", "", ""},
          {Kind::rename, "c", "a", "", ""},   {Kind::remove, "a/b", "", "", ""},
          {Kind::remove, "c", "", "", ""},    {Kind::update, "c", "", "", ""}};
}

// Every sequence of `length` steps that is possible from an empty shadow; all versions differ and
// have the same size, so that a mix can't be told by it.
void extend(std::vector<ShadowStep> steps, const ModelTree& tree, std::size_t length,
            std::vector<std::vector<ShadowStep>>& all) {
  if (steps.size() == length) {
    all.push_back(std::move(steps));
    return;
  }
  for (auto step : alphabet()) {
    if (!is_possible(tree, step)) continue;
    const std::uint64_t version = steps.size() + 1;
    if (step.kind == Kind::publish) step.content = some_content(version);
    step.note = "version " + std::to_string(version);
    auto longer = steps;
    longer.push_back(step);
    extend(std::move(longer), after(tree, step), length, all);
  }
}

std::vector<std::vector<ShadowStep>> sequences(std::size_t longest) {
  std::vector<std::vector<ShadowStep>> all;
  for (std::size_t length = 1; length <= longest; ++length) extend({}, {}, length, all);
  return all;
}

class ShadowCrash : public ::testing::Test {
 protected:
  // Opens a fresh shadow and does all steps but the last one. Returns what it holds.
  static ModelTree prepare(ShadowRig& rig, const std::vector<ShadowStep>& steps) {
    EXPECT_TRUE(rig.open().ok());
    ModelTree tree;
    for (std::size_t i = 0; i + 1 < steps.size(); ++i) {
      EXPECT_TRUE(rig.carry_out(steps[i]).ok()) << describe(steps[i]);
      tree = after(tree, steps[i]);
    }
    return tree;
  }

  static void expect_one_of(ShadowRig& rig, const std::vector<ModelTree>& allowed) {
    const auto state = rig.state();
    ASSERT_TRUE(state.ok()) << state.error().detail;
    std::string wanted;
    for (const auto& tree : allowed) {
      if (*state == tree) return;
      wanted += "\n  or " + describe(tree);
    }
    ADD_FAILURE() << "holds " << describe(*state) << wanted;
  }

  // The shadow can still be used, and what it acknowledges from now on is durable.
  static void expect_usable(ShadowRig& rig) {
    auto tree = rig.state();
    ASSERT_TRUE(tree.ok());
    for (const auto& step : {ShadowStep{Kind::publish, "a/b", "", some_content(77), "later"},
                             ShadowStep{Kind::rename, "a/b", "d/e", "", ""}}) {
      const auto done = rig.carry_out(step);
      ASSERT_TRUE(done.ok()) << done.error().detail;
      *tree = after(*tree, step);
    }
    rig.power_cut(0);
    ASSERT_TRUE(rig.open().ok());
    expect_one_of(rig, {*tree});
  }
};

TEST_F(ShadowCrash, PowerCutAfterAnyCallOfAnyShortSequence) {
  std::uint64_t runs = 0;
  for (const auto& steps : sequences(3)) {
    SCOPED_TRACE(describe(steps));
    bool finished = false;
    for (std::uint64_t calls = 0; !finished; ++calls) {
      for (const std::uint64_t seed : {0U, 1U, 2U, 3U}) {
        SCOPED_TRACE("cut after call " + std::to_string(calls) + ", seed " + std::to_string(seed));
        ShadowRig rig;
        const ModelTree before = prepare(rig, steps);
        rig.disk.stop_after(calls);
        const bool acknowledged = rig.carry_out(steps.back()).ok();
        finished = !rig.disk.is_stopped();
        rig.power_cut(seed == 3 ? 100 * runs + seed : seed);
        ASSERT_TRUE(rig.open().ok());
        const ModelTree done = after(before, steps.back());
        expect_one_of(rig, acknowledged ? std::vector{done} : std::vector{before, done});
        expect_usable(rig);
        ++runs;
        if (HasFailure()) return;
      }
    }
  }
  RecordProperty("runs", std::to_string(runs));
  EXPECT_GT(runs, 4'000U);
}

TEST_F(ShadowCrash, PowerCutsDuringRecovery) {
  for (const auto& steps : sequences(2)) {
    SCOPED_TRACE(describe(steps));
    for (std::uint64_t calls = 1; calls < 16; ++calls) {
      for (std::uint64_t again = 0; again < 40; again += 3) {
        SCOPED_TRACE(std::to_string(calls) + ", then " + std::to_string(again));
        ShadowRig rig;
        const ModelTree before = prepare(rig, steps);
        rig.disk.stop_after(calls);
        const bool acknowledged = rig.carry_out(steps.back()).ok();
        rig.power_cut(calls * 41 + again + 2);
        rig.disk.stop_after(again);
        (void)rig.open();
        rig.power_cut(calls * 43 + again + 2);
        ASSERT_TRUE(rig.open().ok());
        const ModelTree done = after(before, steps.back());
        expect_one_of(rig, acknowledged ? std::vector{done} : std::vector{before, done});
        if (HasFailure()) return;
      }
    }
  }
}

// A version that lost, and that a power cut brought back, is gone for good once the recovery has
// dropped it: also when the one that won goes.
TEST_F(ShadowCrash, ALoserDoesNotComeBackAfterARecovery) {
  const ShadowStep remove{Kind::remove, "a", "", "", ""};
  for (std::uint64_t calls = 0; calls < 8; ++calls) {
    for (std::uint64_t seed = 0; seed < 40; ++seed) {
      SCOPED_TRACE(std::to_string(calls) + ", seed " + std::to_string(seed));
      ShadowRig rig;
      ASSERT_TRUE(rig.open().ok());
      ASSERT_TRUE(rig.publish("a", some_content(1)).ok());
      ASSERT_TRUE(rig.publish("a", some_content(2)).ok());
      rig.power_cut(0);
      ASSERT_TRUE(rig.open().ok());
      rig.disk.stop_after(calls);
      const bool acknowledged = rig.carry_out(remove).ok();
      rig.power_cut(seed);
      ASSERT_TRUE(rig.open().ok());
      const ModelTree before{{"a", {some_content(2), ""}}};
      expect_one_of(rig, acknowledged ? std::vector{ModelTree()} : std::vector{before, ModelTree()});
      if (HasFailure()) return;
    }
  }
}

// The first open of all may be cut as well.
TEST_F(ShadowCrash, PowerCutWhileTheShadowIsMade) {
  for (std::uint64_t calls = 0; calls < 60; ++calls) {
    for (const std::uint64_t seed : {0U, 1U, 5U, 6U}) {
      SCOPED_TRACE(calls);
      ShadowRig rig;
      rig.disk.stop_after(calls);
      (void)rig.open();
      rig.power_cut(seed);
      ASSERT_TRUE(rig.open().ok());
      ASSERT_TRUE(rig.publish("x", "y").ok());
      rig.power_cut(0);
      ASSERT_TRUE(rig.open().ok());
      expect_one_of(rig, {{{"x", {"y", ""}}}});
    }
  }
}

struct FaultKind {
  int system_errno;
  DiskFault::Lasts lasts;
  std::optional<DiskCall> call;  // empty: calls of all kinds
};

class ShadowFault : public ShadowCrash, public ::testing::WithParamInterface<FaultKind> {
 protected:
  // Makes the n-th call of the kind fail in `step`. Whether there was an n-th one.
  static bool carry_out_with_fault(ShadowRig& rig, const ShadowStep& step, std::uint64_t nth,
                                   Result<>& result) {
    const auto& [system_errno, lasts, call] = GetParam();
    const auto count = [&] { return call ? rig.disk.calls(*call) : rig.disk.calls(); };
    const std::uint64_t before = count();
    rig.disk.fail({.call = call, .nth = nth, .system_errno = system_errno, .lasts = lasts});
    result = rig.carry_out(step);
    return count() - before >= nth;
  }
};

// The call that failed is reported, what was there is still there; and the next change that is
// acknowledged wins, whatever the failed one left on the disk.
TEST_P(ShadowFault, AnyCallFailsInAnyShortSequence) {
  std::uint64_t runs = 0;
  std::uint64_t failures = 0;
  for (const auto& steps : sequences(2)) {
    SCOPED_TRACE(describe(steps));
    bool reached = true;
    for (std::uint64_t nth = 1; reached; ++nth) {
      for (auto next : alphabet()) {
        SCOPED_TRACE("call " + std::to_string(nth) + " fails, then " + describe(next));
        ShadowRig rig;
        const ModelTree before = prepare(rig, steps);
        Result<> result;
        reached = carry_out_with_fault(rig, steps.back(), nth, result);
        rig.disk.heal();
        const ModelTree done = after(before, steps.back());
        if (!result) {
          ++failures;
          EXPECT_EQ(result.error().code, ErrorCode::local_error) << result.error().detail;
          EXPECT_EQ(result.error().system_errno, GetParam().system_errno);
        }
        const ModelTree now = result ? done : before;
        expect_one_of(rig, {now});
        if (!is_possible(now, next)) continue;
        next.content = some_content(50);
        next.note = "next";
        const auto second = rig.carry_out(next);
        ASSERT_TRUE(second.ok()) << second.error().detail;
        rig.power_cut(runs % 7);
        ASSERT_TRUE(rig.open().ok());
        // A change that failed may show after a crash, but only where nothing was done since.
        const bool apart = next.path != steps.back().path && next.path != steps.back().to &&
                           next.to != steps.back().path;
        if (apart && is_possible(done, next)) {
          expect_one_of(rig, {after(now, next), after(done, next)});
        } else {
          expect_one_of(rig, {after(now, next)});
        }
        ++runs;
        if (HasFailure()) return;
      }
    }
  }
  EXPECT_GT(failures, 20U);
}

// The disk never gets well again: at the next start there is the old or the new version, whole.
TEST_P(ShadowFault, PowerCutAfterAFault) {
  std::uint64_t runs = 0;
  for (const auto& steps : sequences(3)) {
    SCOPED_TRACE(describe(steps));
    bool reached = true;
    for (std::uint64_t nth = 1; reached; ++nth) {
      SCOPED_TRACE("call " + std::to_string(nth) + " fails");
      ShadowRig rig;
      const ModelTree before = prepare(rig, steps);
      Result<> result;
      reached = carry_out_with_fault(rig, steps.back(), nth, result);
      rig.power_cut(runs++ % 9);
      ASSERT_TRUE(rig.open().ok());
      const ModelTree done = after(before, steps.back());
      expect_one_of(rig, result ? std::vector{done} : std::vector{before, done});
      if (HasFailure()) return;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, ShadowFault,
                         ::testing::Values(FaultKind{EIO, DiskFault::Lasts::once, {}},
                                           FaultKind{EIO, DiskFault::Lasts::for_ever, {}},
                                           FaultKind{ENOSPC, DiskFault::Lasts::once, {}},
                                           FaultKind{EIO, DiskFault::Lasts::for_ever,
                                                     DiskCall::sync_directory}));

// A start on a disk that fails: an error or a shadow, never less than what was acknowledged once
// the disk is well; EIO while a record is read sets that record aside.
TEST_F(ShadowCrash, AnyCallFailsWhileTheShadowIsOpened) {
  for (std::uint64_t nth = 1; nth < 60; ++nth) {
    SCOPED_TRACE(nth);
    ShadowRig rig;
    ASSERT_TRUE(rig.open().ok());
    ASSERT_TRUE(rig.publish("a/b", some_content(1)).ok());
    ASSERT_TRUE(rig.publish("c", some_content(2)).ok());
    const auto tree = rig.state();
    rig.power_cut(nth);
    rig.disk.fail({.call = {}, .nth = nth, .system_errno = ENOSPC, .lasts = DiskFault::Lasts::once});
    (void)rig.open();
    rig.power_cut(nth);
    ASSERT_TRUE(rig.open().ok());
    expect_one_of(rig, {*tree});
  }
}

}  // namespace
}  // namespace spillway
