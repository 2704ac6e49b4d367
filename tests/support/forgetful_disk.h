// A disk for one test that loses what was not synced when the test cuts its power
// (tests/forgetful_fs): a file system of its own, mounted with the object and gone with it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "tests/support/process.h"
#include "tests/support/temp_directory.h"

namespace spillway {

// Who uses it must have closed its files, or have ended, before the object goes. Everything throws
// std::runtime_error when the disk does not do as told.
class ForgetfulDisk {
 public:
  ForgetfulDisk();
  ~ForgetfulDisk();
  ForgetfulDisk(const ForgetfulDisk&) = delete;
  ForgetfulDisk& operator=(const ForgetfulDisk&) = delete;
  ForgetfulDisk(ForgetfulDisk&&) = delete;
  ForgetfulDisk& operator=(ForgetfulDisk&&) = delete;

  [[nodiscard]] const std::filesystem::path& root() const { return root_; }
  [[nodiscard]] std::filesystem::path operator/(const std::string& name) const {
    return root_ / name;
  }

  // At once: everything answers EIO, and what was not synced is lost. All of it with seed 0; each
  // block and each name by chance with another.
  void cut_power(std::uint64_t seed = 0) const;
  // The same with seed 0, right after that many more syncs of files and directories.
  void cut_power_after(std::uint64_t syncs) const;
  // Serves what was left. Files opened before stay broken.
  void restore_power() const;
  [[nodiscard]] bool has_power() const;

  // Makes it lie: syncs of these are answered with 0 and do nothing. "none", "files",
  // "directories", "all", or the number of the one sync from now on that is skipped.
  void skip_syncs(const std::string& which) const;
  [[nodiscard]] std::uint64_t syncs() const;  // answered so far

 private:
  void tell(const char* name, const std::string& value) const;
  [[nodiscard]] std::string ask(const char* name) const;

  TempDirectory directory_;
  std::filesystem::path root_;
  std::unique_ptr<Process> process_;
};

}  // namespace spillway
