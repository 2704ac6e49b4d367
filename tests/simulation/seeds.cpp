#include "tests/simulation/seeds.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "tests/support/seeded_executor.h"

namespace spillway::testing {
namespace {

constexpr std::uint64_t kBatch = 500;

using Run = std::function<void(std::uint64_t)>;

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

void run_range(std::uint64_t first, std::uint64_t count, const Run& run) {
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    SCOPED_TRACE("SPILLWAY_SEED=" + std::to_string(seed));
    try {
      run(seed);
    } catch (const Deadlock& deadlock) {
      ADD_FAILURE() << deadlock.what();
    }
    if (::testing::Test::HasFailure()) return;
  }
}

// Crashes leak what the crashed process held, so that a child process runs each batch.
pid_t start_batch(std::uint64_t first, std::uint64_t count, const Run& run) {
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child != 0) return child;
  run_range(first, count, run);
  std::fflush(nullptr);
  _exit(::testing::Test::HasFailure() ? 1 : 0);
}

// Waits for any child; false when its batch failed.
bool end_batch() {
  int status = 0;
  return wait(&status) > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

void run_seeds(std::uint64_t otherwise, const Run& run) {
  if (const std::uint64_t seed = number_from("SPILLWAY_SEED", 0); seed != 0) {
    return run_range(seed, 1, run);
  }
  const std::uint64_t first = number_from("SPILLWAY_FIRST", 1);
  const std::uint64_t end = first + number_from("SPILLWAY_RUNS", otherwise);
  const auto most = static_cast<int>(number_from("SPILLWAY_JOBS", 1));
  bool went_well = true;
  int running = 0;
  for (std::uint64_t next = first; next < end && went_well; next += kBatch) {
    if (running == most) {
      went_well = end_batch();
      --running;
    }
    ASSERT_GT(start_batch(next, std::min(kBatch, end - next), run), 0);
    ++running;
  }
  for (; running > 0; --running) went_well = end_batch() && went_well;
  EXPECT_TRUE(went_well) << "a seed failed; it is named above";
}

}  // namespace spillway::testing
