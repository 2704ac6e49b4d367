// The engine in random trouble; see engine_simulation.h.
//
// SPILLWAY_RUNS=N runs N seeds, from SPILLWAY_FIRST on, in SPILLWAY_JOBS processes at once.
// SPILLWAY_SEED=N replays one; SPILLWAY_TRACE=1 tells what happens.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "tests/simulation/engine_simulation.h"
#include "tests/simulation/tree_simulation.h"

namespace spillway::testing {
namespace {

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

template <class Simulated>
void run_seeds(std::uint64_t first, std::uint64_t count) {
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    SCOPED_TRACE("SPILLWAY_SEED=" + std::to_string(seed));
    try {
      Simulated(seed).run();
    } catch (const Deadlock& deadlock) {
      ADD_FAILURE() << deadlock.what();
    }
    if (::testing::Test::HasFailure()) return;
  }
}

// Crashes leak what the crashed process held, so that a child process runs each batch.
template <class Simulated>
pid_t start_batch(std::uint64_t first, std::uint64_t count) {
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child != 0) return child;
  run_seeds<Simulated>(first, count);
  std::fflush(nullptr);
  _exit(::testing::Test::HasFailure() ? 1 : 0);
}

// Waits for any child; false when its batch failed.
bool end_batch() {
  int status = 0;
  return wait(&status) > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

template <class Simulated>
void run_all() {
  if (const std::uint64_t seed = number_from("SPILLWAY_SEED", 0); seed != 0) {
    return run_seeds<Simulated>(seed, 1);
  }
  constexpr std::uint64_t kBatch = 500;
  const std::uint64_t first = number_from("SPILLWAY_FIRST", 1);
  const std::uint64_t end = first + number_from("SPILLWAY_RUNS", 400);
  const auto most = static_cast<int>(number_from("SPILLWAY_JOBS", 1));
  bool went_well = true;
  int running = 0;
  for (std::uint64_t next = first; next < end && went_well; next += kBatch) {
    if (running == most) {
      went_well = end_batch();
      --running;
    }
    ASSERT_GT(start_batch<Simulated>(next, std::min(kBatch, end - next)), 0);
    ++running;
  }
  for (; running > 0; --running) went_well = end_batch() && went_well;
  EXPECT_TRUE(went_well) << "a seed failed; it is named above";
}

TEST(Engine, LosesNothingAcknowledged) { run_all<Simulation>(); }

TEST(Engine, RenamesDirectoriesWholeOrNotAtAll) { run_all<TreeSimulation>(); }

}  // namespace
}  // namespace spillway::testing
