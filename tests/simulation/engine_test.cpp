// The engine in random trouble; see engine_simulation.h. SPILLWAY_TRACE=1 tells what happens.
#include <gtest/gtest.h>

#include "tests/simulation/engine_simulation.h"
#include "tests/simulation/seeds.h"
#include "tests/simulation/tree_simulation.h"

namespace spillway::testing {
namespace {

TEST(Engine, LosesNothingAcknowledged) {
  run_seeds(400, [](std::uint64_t seed) { Simulation(seed).run(); });
}

TEST(Engine, RenamesDirectoriesWholeOrNotAtAll) {
  run_seeds(400, [](std::uint64_t seed) { TreeSimulation(seed).run(); });
}

}  // namespace
}  // namespace spillway::testing
