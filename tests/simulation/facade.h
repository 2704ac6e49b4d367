// Two file systems that are told the same: the engine over a simulated bucket, and a plain tree in
// memory. What the kernel would refuse by itself is not asked of either.
//
// Handles live in pairs. A call that fails in bad weather leaves the old state or the new one:
// Facade::settle() finds out which, in fine weather.
#pragma once

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "s3/hash.h"
#include "src/engine.h"
#include "tests/simulation/engine_plan.h"
#include "tests/support/memory_disk.h"
#include "tests/support/memory_store.h"
#include "tests/support/plain_tree.h"
#include "tests/support/seeded_executor.h"

namespace spillway::testing {

using std::chrono::milliseconds;
using std::chrono::seconds;

class Facade {
 public:
  // `bad_weather`: B2 is out, or flaky, for some of the calls.
  enum class Sky : std::uint8_t { always_fine, changing };
  Facade(std::uint64_t seed, Sky sky, std::size_t largest_listing = 1'000);

  // Some lives of a mount on one bucket, each ended cleanly.
  void run();

 private:
  struct Pair {
    std::string path;  // "" once its name is gone
    FileHandle* engine = nullptr;
    FileHandle* plain = nullptr;
    OpenFlags flags;
  };
  // One call, made to either of the two.
  using Call = std::function<Result<>(FileSystem&)>;

  // facade_calls.cpp: what programs do.
  void do_something();
  void create();
  void open();
  void write();
  void read();
  void change_size();
  void sync();
  void close();
  void remove();
  void rename();
  void make();
  void change_attributes();
  void change_xattrs();
  void list();

  // facade.cpp
  void live();
  void close_all();
  void check_tree();
  void check_file(const std::string& path);
  std::map<std::string, FileKind> names_below(FileSystem& tree, const std::string& directory);
  // The engine first; the plain tree follows where it succeeded or had to fail alike.
  void both(const std::string& what, const std::vector<std::string>& paths, const Call& call);
  // A handle's call. false: it failed, and the handles of that file are gone.
  bool both_handles(Pair& pair, const std::string& what,
                    const std::function<Result<>(FileSystem&, FileHandle&)>& call);
  void settle(const std::string& what, const std::vector<std::string>& paths, const Call& call);
  void give_up(const Pair& pair);
  void drop_handles(const std::string& path);
  [[nodiscard]] bool is_alike(const std::string& path);
  [[nodiscard]] std::string describe(FileSystem& tree, const std::string& path);
  [[nodiscard]] std::string content(FileSystem& tree, const std::string& path);
  void follow(const std::string& from, const std::string& to);
  void draw_weather();
  void calm();

  [[nodiscard]] std::uint64_t below(std::uint64_t limit) { return choices_() % limit; }
  [[nodiscard]] bool chance(std::uint64_t percent) { return below(100) < percent; }
  [[nodiscard]] std::string some_path();
  [[nodiscard]] std::optional<FileKind> kind(const std::string& path);
  [[nodiscard]] bool has_parent(const std::string& path);
  [[nodiscard]] Pair* some_pair();
  [[nodiscard]] std::string random_bytes(std::size_t size);
  void trace(const std::string& text) const;
  Log& log() { return traces_ ? tracing_log_ : no_log(); }

  const Sky sky_;
  const std::size_t largest_listing_;
  const bool traces_ = std::getenv("SPILLWAY_TRACE") != nullptr;
  TracingLog tracing_log_;
  std::mt19937_64 choices_;
  std::unique_ptr<SeededExecutor> executor_;
  CurrentClock clock_;
  std::unique_ptr<Hashing> hashing_ = s3::make_hashing();
  std::unique_ptr<MemoryStore> store_;
  MemoryDisk disk_;
  std::uint64_t seed_;
  Duration last_instant_{};
  Weather weather_ = Weather::fine;
  test::PlainTree plain_;
  FileSystem* engine_ = nullptr;
  Shadow* shadow_ = nullptr;
  int waits_ = 0;
  std::vector<Pair> pairs_;
  bool is_over_ = false;         // the two differ by design from here on
  std::set<std::string> timed_;  // files whose mtime was set, and not moved by a write since
};

}  // namespace spillway::testing
