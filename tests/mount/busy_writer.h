// A program that uses the mount without pause, in a directory of its own, and has every answer
// written down: what was begun before the call, what was promised after it answered 0.
#pragma once

#include <atomic>
#include <cstddef>
#include <filesystem>
#include <map>
#include <random>
#include <string>
#include <string_view>

#include "tests/mount/promise_file.h"

namespace spillway {

// One thread at a time. A file whose call failed is not touched again: nobody knows what it holds.
class BusyWriter {
 public:
  // Three parts of the smallest size: B2 may keep the second, which has left RAM then.
  static constexpr std::size_t kLarge = 11'000'000;

  // `directory` is relative to `root` and must exist. `promises` outlives the writer.
  BusyWriter(std::filesystem::path root, std::string directory, PromiseFile& promises,
             std::uint64_t seed);

  // One call of chance after the other, until `stop`.
  void run(const std::atomic<bool>& stop);

  // Names are below the directory; false: it failed, or there is nothing to do it with.
  enum class Fsync : std::uint8_t { no, in_the_middle };
  bool create(const std::string& name, std::size_t size, Fsync fsync);  // or overwrites
  bool append(const std::string& name, std::size_t size, Fsync fsync);
  bool rename(const std::string& from, const std::string& to);
  bool remove(const std::string& name);

 private:
  struct Piece {
    std::string_view bytes;
    Fsync fsync_after = Fsync::no;
  };

  [[nodiscard]] std::string path(const std::string& name) const { return directory_ + "/" + name; }
  void step();
  std::uint64_t below(std::uint64_t limit) { return generator_() % limit; }
  [[nodiscard]] std::size_t any_size();
  [[nodiscard]] std::string any_file();
  bool store(const std::string& name, int flags, std::string before, std::string_view more,
             Fsync fsync);
  bool write_through(int descriptor, const std::string& name, std::string& written,
                     std::string_view bytes);
  bool sync(int descriptor, const std::string& name, const std::string& written);

  const std::filesystem::path root_;
  const std::string directory_;
  PromiseFile& promises_;
  std::mt19937_64 generator_;
  std::map<std::string, std::string> files_;  // those whose content is known
  int names_ = 0;
  int large_left_ = 0;
};

}  // namespace spillway
