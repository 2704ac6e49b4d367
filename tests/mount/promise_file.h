// What a program was promised about its files, line by line, in a file outside every mount: so that
// after a crash each promise can be held against what is there.
//
//   is SUM HOW PATH       a call answered 0: the file holds this, and nothing else
//   may SUM HOW PATH      a call was begun: from now on the file may hold this as well
//   move SUM FROM TO      a rename was begun: where FROM is gone, TO must hold this
//
// SUM is a SHA-256, or "absent". Paths are relative; FROM has no spaces. Lines are written whole,
// by any thread; the calls of one path are its writer's to order.
#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace spillway {

class PromiseFile {
 public:
  static constexpr std::string_view kAbsent = "absent";

  explicit PromiseFile(const std::filesystem::path& file);
  ~PromiseFile();
  PromiseFile(const PromiseFile&) = delete;
  PromiseFile& operator=(const PromiseFile&) = delete;

  [[nodiscard]] static std::string sum_of(std::string_view content);

  void is(const std::string& path, std::string_view sum, std::string_view how);
  void may(const std::string& path, std::string_view sum, std::string_view how);
  void move(const std::string& from, const std::string& to, std::string_view sum);

  // How often each `how` was promised.
  [[nodiscard]] std::map<std::string, int> kept_count() const;
  // Every promise that does not hold below `root`, and every file there that nobody wrote, each
  // with its story. What a call that was cut off has left is noted: it is what the file is from now
  // on.
  [[nodiscard]] std::vector<std::string> broken(const std::filesystem::path& root);

 private:
  struct Promise {
    std::set<std::string> sums{std::string(kAbsent)};
    std::vector<std::string> story;
  };
  struct Move {
    std::string to;
    std::string sum;
  };
  struct Promises {
    std::map<std::string, Promise> files;
    std::map<std::string, Move> moves;  // by where from; only those that were not answered
    std::map<std::string, int> counts;
  };

  struct Check;

  void append(const std::string& line) const;
  [[nodiscard]] Promises read() const;
  static void read_line(const std::string& line, Promises& promises);

  std::filesystem::path file_;
  int descriptor_ = -1;
};

}  // namespace spillway
