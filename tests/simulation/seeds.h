// Running a simulation for many seeds: see seeds.cpp.
#pragma once

#include <cstdint>
#include <functional>

namespace spillway::testing {

// SPILLWAY_RUNS=N runs N seeds (else `otherwise`), from SPILLWAY_FIRST on, in SPILLWAY_JOBS
// processes at once; SPILLWAY_SEED=N replays one. The first seed that fails is printed, and fails
// the test.
void run_seeds(std::uint64_t otherwise, const std::function<void(std::uint64_t)>& run);

}  // namespace spillway::testing
