#include "src/path_locks.h"

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "tests/support/seeded_executor.h"

namespace spillway::testing {
namespace {

using std::chrono::seconds;

Path path(const char* text) { return *Path::parse(text); }

// Every job says when it has its lock, holds it for a while, and gives it back.
class PathLocksTest : public ::testing::Test {
 protected:
  void hold(const std::string& name, PathLocks::Held held, int for_seconds) {
    seen_ += name + "+ ";
    executor_.sleep(seconds(for_seconds));
    seen_ += name + "- ";
    waited_[name] = held.has_waited_for_tree();
  }
  void after(int when, std::function<void()> job) {
    executor_.submit_at(executor_.clock().now() + seconds(when), std::move(job));
  }
  SeededExecutor executor_{1};
  PathLocks locks_{executor_};
  std::string seen_;
  std::map<std::string, bool> waited_;
};

TEST_F(PathLocksTest, ATreeWaitsForTheNamesBelowItAndTheyForIt) {
  executor_.run([&] {
    after(1, [&] { hold("below", locks_.take(path("d/e/f")), 10); });
    after(2, [&] { hold("tree", locks_.take_trees(path("d"), path("x")), 10); });
    after(3, [&] { hold("later", locks_.take(path("d/g")), 1); });
    after(4, [&] { hold("target", locks_.take(path("x")), 1); });
    after(5, [&] { hold("beside", locks_.take(path("d-e")), 1); });
  });
  EXPECT_TRUE(seen_.starts_with("below+ beside+ beside- below- tree+ tree- ")) << seen_;
  EXPECT_TRUE(waited_["later"]);
  EXPECT_TRUE(waited_["target"]);
  EXPECT_FALSE(waited_["beside"]);
  EXPECT_FALSE(waited_["below"]);
}

TEST_F(PathLocksTest, TreesThatOverlapGoInTheOrderInWhichTheyCame) {
  executor_.run([&] {
    after(1, [&] { hold("one", locks_.take_trees(path("a"), path("b")), 5); });
    after(2, [&] { hold("two", locks_.take_trees(path("b/c"), path("d")), 5); });
    after(3, [&] { hold("three", locks_.take_trees(path("d"), path("a")), 5); });
    after(4, [&] { hold("other", locks_.take_trees(path("e"), path("f")), 1); });
  });
  EXPECT_EQ(seen_, "one+ other+ other- one- two+ two- three+ three- ");
}

// Whatever they ask for, all of them get it: no order of theirs deadlocks.
TEST_F(PathLocksTest, NobodyWaitsForEver) {
  const std::vector<Path> names = {path("a"), path("a/b"), path("a/b/c"), path("b"), path("b/d")};
  for (std::uint64_t seed = 1; seed < 300; ++seed) {
    SeededExecutor executor(seed);
    PathLocks locks(executor);
    int done = 0;
    const auto ask = [&] {
      for (int i = 0; i < 5; ++i) {
        const Path& one = names[executor.random_below(names.size())];
        const Path& other = names[executor.random_below(names.size())];
        const std::uint64_t kind = executor.random_below(3);
        const auto held = kind == 0 || one == other ? locks.take(one)
                          : kind == 1               ? locks.take_both(one, other)
                                                    : locks.take_trees(one, other);
        executor.sleep(seconds(executor.random_below(3)));
      }
      ++done;
    };
    ASSERT_NO_THROW(executor.run([&] {
      for (int i = 0; i < 6; ++i) executor.submit(ask);
    })) << seed;
    EXPECT_EQ(done, 6);
  }
}

}  // namespace
}  // namespace spillway::testing
