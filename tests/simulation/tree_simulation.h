// The engine's simulation with one more program, whose files lie in a directory that is renamed again
// and again, also while one of them is being written. However a rename ends - ok, with an error, by a
// crash - the whole directory is under one of its two names in the end, and nothing of it under the
// other.
#pragma once

#include <string>
#include <vector>

#include "tests/simulation/engine_simulation.h"

namespace spillway::testing {

class TreeSimulation final : public Simulation {
 public:
  explicit TreeSimulation(std::uint64_t seed) : Simulation(seed) {
    for (const std::string& file : files_) allowed_[file] = {Content{}};
  }

 private:
  bool does_more() const override { return true; }

  void do_more(FileSystem& file_system) override {
    for (int i = 0; i < 8; ++i) {
      executor_->sleep(milliseconds(below(8'000)));
      // A crash left it under one of two names: only the end tells under which.
      if (where_.size() > 1) return;
      const std::string file = files_[below(files_.size())];
      switch (below(7)) {
        case 0:
        case 1: write(file_system, file, Rename::no); break;
        case 2: write(file_system, file, Rename::in_the_middle); break;
        case 3:
        case 4: rename_all(file_system); break;
        case 5: remove_file(file_system, file); break;
        default: read(file_system, file);
      }
    }
  }

  [[nodiscard]] std::string here() const { return *where_.begin(); }
  [[nodiscard]] Path path_of(const std::string& file) const {
    return *Path::parse(here() + "/" + file.substr(1));
  }

  void rename_all(FileSystem& file_system) {
    const std::string from = here();
    const std::string to = from == "t" ? "u" : "t";
    where_.insert(to);
    trace("move", from, to);
    const auto renamed =
        file_system.rename(*Path::parse(from), *Path::parse(to), RenameMode::replace);
    trace(renamed.ok() ? "moved" : "not moved", from, to);
    where_ = {renamed.ok() ? to : from};
  }

  enum class Rename : std::uint8_t { no, in_the_middle };

  void write(FileSystem& file_system, const std::string& file, Rename rename) {
    const std::string content = random_bytes(below(6 * kPart));
    maybe(file, content);
    maybe(file, "");
    const OpenFlags flags{.read = true, .write = true, .truncate = true};
    const auto opened = file_system.create(path_of(file), 0644, flags, {});
    if (!opened.ok()) return;
    const std::size_t half = below(content.size() + 1);
    maybe(file, content.substr(0, half));
    bool well = file_system.write(*opened->handle, 0, bytes_of(content.substr(0, half))).ok();
    if (rename == Rename::in_the_middle) rename_all(file_system);
    const std::string rest = content.substr(half);
    well = well && file_system.write(*opened->handle, half, bytes_of(rest)).ok();
    finish(file_system, opened->handle, file, content, well);
  }

  void remove_file(FileSystem& file_system, const std::string& file) {
    maybe(file, std::nullopt);
    if (file_system.unlink(path_of(file)).ok()) surely(file, std::nullopt);
  }

  void read(FileSystem& file_system, const std::string& file) {
    const auto opened = file_system.open(path_of(file), {.read = true}, {});
    if (!opened.ok()) return;
    const Content content = read_all(file_system, *opened->handle);
    if (content) {
      EXPECT_TRUE(allowed_[file].contains(content) || is_kept_apart(file))
          << file << " in " << here() << " reads as" << to_text({content}) << "\nallowed is"
          << to_text(allowed_[file]);
    }
    file_system.release(opened->handle);
  }

  // After a conflict the name may have the other content.
  bool is_kept_apart(const std::string& file) {
    return std::ranges::any_of(allowed_[file], [&](const Content& each) {
      return each && is_stored(path_of(file).text(), each) &&
             store_->content(path_of(file).text()) != each;
    });
  }

  bool is_whole_in(const std::string& directory) {
    return std::ranges::all_of(files_, [&](const std::string& file) {
      const std::string name = directory + "/" + file.substr(1);
      return std::ranges::any_of(allowed_[file], [&](const Content& content) {
        return is_stored(name, content);
      });
    });
  }
  bool is_empty(const std::string& directory) {
    return std::ranges::none_of(store_->versions(), [&](const auto& version) {
      return version.newest && !version.hide_marker && version.key.starts_with(directory + "/");
    });
  }

  void check_more() override {
    const bool is_right = std::ranges::any_of(where_, [&](const std::string& directory) {
      return is_whole_in(directory) && is_empty(directory == "t" ? "u" : "t");
    });
    if (is_right) return;
    std::string text = where_.size() > 1 ? "t or u" : here();
    for (const std::string& file : files_) {
      for (const char* directory : {"t/", "u/"}) {
        const std::string name = directory + file.substr(1);
        text += "\n" + name + " is" + to_text({store_->content(name)});
      }
      text += "\nallowed is" + to_text(allowed_[file]);
    }
    ADD_FAILURE() << "the directory should be whole in " << text;
  }

  const std::vector<std::string> files_ = {"%p", "%q", "%s/r"};
  std::set<std::string> where_ = {"t"};
};

}  // namespace spillway::testing
