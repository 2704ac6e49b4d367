// The real thing for one test: a B2 stand-in, and the program mounted on it through the kernel.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/b2sim.h"
#include "tests/support/process.h"
#include "tests/support/temp_directory.h"

namespace spillway {

// Whether this machine can mount at all: /dev/fuse is there. Tests skip where it is not.
[[nodiscard]] bool can_mount();

// The value of an extended attribute of a file; nullopt where it has none of that name.
[[nodiscard]] std::optional<std::string> xattr(const std::filesystem::path& file,
                                               const std::string& name);
// All `user.b2.*` that are listed, without the prefix.
[[nodiscard]] std::map<std::string, std::string> b2_xattrs(const std::filesystem::path& file);

// Polls until `condition` holds; false when it did not within `limit`.
[[nodiscard]] bool eventually(const std::function<bool()>& condition,
                              Process::Milliseconds limit = std::chrono::seconds(20));

struct MountOptions {
  std::vector<std::string> arguments{};              // more of mount's options
  std::map<std::string, std::string> environment{};  // over the five S3_… variables
  std::vector<std::string> without{};                // variables that are not set
};

class Mounted {
 public:
  // Mounts at once. Failures retry for a second and open the breaker for one, unless `options` say
  // otherwise.
  explicit Mounted(MountOptions options = {}, B2SimOptions server = {});
  // Unmounts, and reports a test failure when the program did not end with 0 or a sanitizer spoke.
  ~Mounted();
  Mounted(const Mounted&) = delete;
  Mounted& operator=(const Mounted&) = delete;

  [[nodiscard]] B2Sim& server() { return server_; }
  [[nodiscard]] const std::filesystem::path& root() const { return root_; }
  [[nodiscard]] const std::filesystem::path& shadow() const { return shadow_; }
  [[nodiscard]] std::filesystem::path operator/(const std::string& name) const {
    return root_ / name;
  }
  [[nodiscard]] pid_t pid() const { return process_->pid(); }
  [[nodiscard]] Process& process() { return *process_; }

  void mount();
  // `spillway umount`; the exit code of the mount's process.
  int unmount();

  // Lines of the log so far, parsed; with a name only those of that event.
  [[nodiscard]] std::vector<nlohmann::json> log(std::string_view event = "") const;
  [[nodiscard]] std::string log_text() const;

  // Another command of the program, with the environment of the mount.
  [[nodiscard]] Finished command(std::vector<std::string> arguments) const;
  [[nodiscard]] Command command_line(std::vector<std::string> arguments) const;

 private:
  [[nodiscard]] bool is_mounted() const;

  MountOptions options_;
  B2Sim server_;
  TempDirectory directory_;
  std::filesystem::path root_;
  std::filesystem::path shadow_;
  std::filesystem::path log_file_;
  std::unique_ptr<Process> process_;
};

// Runs a line of shell; throws with its output when it fails.
std::string shell(const std::string& line);

// Bytes that do not compress and differ by seed.
[[nodiscard]] std::string noise(std::size_t size, std::uint64_t seed = 1);

// What write(2) and close(2) of a whole file gave: 0, or the errno of the first that failed.
[[nodiscard]] int try_to_write(const std::filesystem::path& file, std::string_view content);

}  // namespace spillway
