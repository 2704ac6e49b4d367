// Every operation of the file system, in random sequences, against a plain tree in memory.
#include <gtest/gtest.h>

#include "tests/simulation/facade.h"
#include "tests/simulation/seeds.h"

namespace spillway::testing {
namespace {

TEST(FileSystemModel, IsAPlainTree) {
  run_seeds(300, [](std::uint64_t seed) { Facade(seed, Facade::Sky::always_fine).run(); });
}

// Files stay writable, and everything else is done or not done, whatever the network does.
TEST(FileSystemModel, IsAPlainTreeInBadWeather) {
  run_seeds(300, [](std::uint64_t seed) { Facade(seed, Facade::Sky::changing).run(); });
}

// A directory too large to be read at once looks like any other.
TEST(FileSystemModel, IsAPlainTreeReadInStretches) {
  run_seeds(300, [](std::uint64_t seed) { Facade(seed, Facade::Sky::always_fine, 2).run(); });
}

}  // namespace
}  // namespace spillway::testing
