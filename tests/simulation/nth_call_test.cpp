// The nth call of every kind fails, for every n: once or from then on, refused or carried out unheard,
// with each kind of error. See engine_simulation.h.
#include <gtest/gtest.h>

#include <cerrno>
#include <string>

#include "tests/simulation/engine_simulation.h"

namespace spillway::testing {
namespace {

constexpr std::uint64_t kMostCalls = 400;  // more of one kind no run makes
// Programs with different operations; every verb and every disk call comes up in one of them.
constexpr std::uint64_t kPrograms[] = {3, 5, 8};

std::string to_text(const Plan& plan) {
  std::string text = plan.verb ? std::string(to_string(*plan.verb))
                               : "disk call " + std::to_string(static_cast<int>(*plan.call));
  text += " " + std::to_string(plan.nth) + (plan.for_ever ? " and all after it" : "");
  text += plan.kind == Plan::Kind::unheard ? " unheard, " : " refused, ";
  return text + (plan.verb ? std::string(to_string(plan.code)) : std::to_string(plan.system_errno));
}

// Until a run makes fewer such calls; false after a failure.
bool fail_each(std::uint64_t seed, Plan plan) {
  for (plan.nth = 1; plan.nth < kMostCalls; ++plan.nth) {
    SCOPED_TRACE("program " + std::to_string(seed) + ": " + to_text(plan));
    Simulation simulation(seed, plan);
    try {
      simulation.run();
    } catch (const Deadlock& deadlock) {
      ADD_FAILURE() << deadlock.what();
    }
    if (::testing::Test::HasFailure()) return false;
    if (!simulation.has_met_its_fault()) return true;
  }
  ADD_FAILURE() << "more calls than expected: " << to_text(plan);
  return false;
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

}  // namespace
}  // namespace spillway::testing
