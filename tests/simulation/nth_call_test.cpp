// The nth call of every kind fails, for every n: once or from then on, refused or carried out unheard,
// with each kind of error; in random programs, and in scripts. See engine_simulation.h.
#include <gtest/gtest.h>

#include <cerrno>
#include <functional>
#include <memory>
#include <string>

#include "tests/simulation/engine_simulation.h"
#include "tests/simulation/scripted_simulation.h"

namespace spillway::testing {
namespace {

constexpr std::uint64_t kMostCalls = 400;  // more of one kind no run makes
// Programs with different operations; every verb and every disk call comes up in one of them.
constexpr std::uint64_t kPrograms[] = {3, 5, 8};
// Of scripts, which are the same for each: with and without retries of uploads, and of names.
constexpr std::uint64_t kScriptSeeds[] = {1, 2, 3, 4};

using Make = std::function<std::unique_ptr<Simulation>(std::uint64_t seed, const Plan& plan)>;

std::string_view to_text(Plan::Kind kind) {
  if (kind == Plan::Kind::refused) return "refused";
  return kind == Plan::Kind::unheard ? "unheard" : "lost";
}

std::string to_text(const Plan& plan) {
  std::string text = plan.verb ? std::string(to_string(*plan.verb))
                               : "disk call " + std::to_string(static_cast<int>(*plan.call));
  text += " " + std::to_string(plan.nth) + (plan.for_ever ? " and all after it" : "");
  text += " " + std::string(to_text(plan.kind)) + ", ";
  if (plan.then) text += "the next one refused, ";
  return text + (plan.verb ? std::string(to_string(plan.code)) : std::to_string(plan.system_errno));
}

std::unique_ptr<Simulation> make_random(std::uint64_t seed, const Plan& plan) {
  return std::make_unique<Simulation>(seed, plan);
}

template <class Script>
std::unique_ptr<Simulation> make_script(std::uint64_t seed, const Plan& plan) {
  return std::make_unique<Script>(seed, plan);
}

// Until a run makes fewer such calls; false after a failure.
bool fail_each(std::uint64_t seed, Plan plan, const Make& make = make_random) {
  for (plan.nth = 1; plan.nth < kMostCalls; ++plan.nth) {
    SCOPED_TRACE("program " + std::to_string(seed) + ": " + to_text(plan));
    const auto simulation = make(seed, plan);
    try {
      simulation->run();
    } catch (const Deadlock& deadlock) {
      ADD_FAILURE() << deadlock.what();
    }
    if (::testing::Test::HasFailure()) return false;
    if (!simulation->has_met_its_fault()) return true;
  }
  ADD_FAILURE() << "more calls than expected: " << to_text(plan);
  return false;
}

// In all ways there are to leave open whether the call was carried out, and in one that says it.
void fail_each_verb(const Make& make) {
  using Kind = Plan::Kind;
  for (auto verb = StoreVerb::put_object; verb <= StoreVerb::abort_upload;
       verb = static_cast<StoreVerb>(static_cast<int>(verb) + 1)) {
    for (const std::uint64_t seed : kScriptSeeds) {
      for (const Kind kind : {Kind::refused, Kind::unheard, Kind::lost}) {
        const Plan once{.verb = verb, .kind = kind};
        Plan for_ever = once;
        for_ever.for_ever = true;
        Plan then_refused = once;
        then_refused.then = ErrorCode::invalid_request;
        for (const Plan& plan : {once, for_ever, then_refused}) {
          if (!fail_each(seed, plan, make)) return;
        }
      }
    }
  }
}

TEST(NthCall, OfEveryVerbMayFail) {
  constexpr ErrorCode kCodes[] = {ErrorCode::network_error, ErrorCode::server_error,
                                  ErrorCode::auth_error, ErrorCode::invalid_request};
  for (auto verb = StoreVerb::put_object; verb <= StoreVerb::abort_upload;
       verb = static_cast<StoreVerb>(static_cast<int>(verb) + 1)) {
    for (const std::uint64_t seed : kPrograms) {
      for (const bool for_ever : {false, true}) {
        for (const ErrorCode code : kCodes) {
          Plan plan{.verb = verb, .code = code, .for_ever = for_ever};
          if (!fail_each(seed, plan)) return;
          plan.kind = Plan::Kind::unheard;
          if (code == ErrorCode::network_error && !fail_each(seed, plan)) return;
        }
      }
    }
  }
}

// B2 is out for everybody, so that all goes through the shadow; the disk fails as well.
TEST(NthCall, OfEveryDiskCallMayFail) {
  for (auto call = DiskCall::create; call <= DiskCall::sync;
       call = static_cast<DiskCall>(static_cast<int>(call) + 1)) {
    for (const std::uint64_t seed : kPrograms) {
      for (const int system_errno : {EIO, ENOSPC}) {
        if (!fail_each(seed, {.call = call, .system_errno = system_errno})) return;
      }
    }
  }
}

TEST(NthCall, MayFailWhereSeveralPartsAreReplaced) { fail_each_verb(make_script<ReplacedParts>); }

TEST(NthCall, MayFailWhereObjectsAreRenamed) { fail_each_verb(make_script<RenamedObjects>); }

// A held file is renamed at each moment around the end of its wait.
TEST(NthCall, MayFailWhereAHeldFileIsRenamed) {
  using End = HeldFile::End;
  for (const End end : {End::time_is_up, End::opened}) {
    for (int lead = -60; lead <= 120 && !::testing::Test::HasFailure(); lead += 20) {
      SCOPED_TRACE("lead " + std::to_string(lead));
      fail_each_verb([=](std::uint64_t seed, const Plan& plan) {
        return std::make_unique<HeldFile>(seed, plan, end, milliseconds(lead));
      });
    }
  }
}

}  // namespace
}  // namespace spillway::testing
