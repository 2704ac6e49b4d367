#include "fuse/killed.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

namespace spillway::kernel {
namespace {

// As Linux 6 writes it; 52 fields.
std::string stat_of_process(const std::string& name, unsigned flags, int exit_code) {
  return "4242 (" + name + ") R 1 4242 4242 0 -1 " + std::to_string(flags) +
         " 93 0 0 0 0 0 0 0 20 0 1 0 99 2469888 0 18446744073709551615 0 0 0 0 0 0 0 0 0 0 0 0 17 1 "
         "0 0 0 0 0 0 0 0 0 0 0 0 " +
         std::to_string(exit_code) + "\n";
}

TEST(Killed, IsOneThatEndsByASignal) {
  EXPECT_TRUE(is_killed(stat_of_process("cp", 0x400404, 9)));
  EXPECT_TRUE(is_killed(stat_of_process("cp", 0x404, 0x80 | 11)));  // with a core file
}

TEST(Killed, IsNoneThatLivesOrEndsByItself) {
  EXPECT_FALSE(is_killed(stat_of_process("cp", 0x400000, 0)));
  EXPECT_FALSE(is_killed(stat_of_process("cp", 0x4, 0)));
  EXPECT_FALSE(is_killed(stat_of_process("cp", 0x404, 0)));       // its threads were ended
  EXPECT_FALSE(is_killed(stat_of_process("cp", 0x404, 1 << 8)));  // exit(1)
}

TEST(Killed, ReadsPastAnyName) {
  EXPECT_TRUE(is_killed(stat_of_process("a) R (b", 0x404, 15)));
  EXPECT_FALSE(is_killed(stat_of_process(") R 1 1 1 1 1 1028", 0, 0)));
}

TEST(Killed, IsNothingThatCannotBeRead) {
  EXPECT_FALSE(is_killed(""));
  EXPECT_FALSE(is_killed("4242 (cp) R 1 1"));
  EXPECT_FALSE(is_killed("nonsense"));
  EXPECT_FALSE(was_killed(getpid()));
  EXPECT_FALSE(was_killed(0x7fffffff));
}

}  // namespace
}  // namespace spillway::kernel
