// The port to the local disk, for the shadow. Names are relative to one root directory and are
// resolved beneath it only: no "..", no symlink, no magic link ever leaves it.
//
// Durability is explicit: bytes are durable once DiskFile::sync() has returned ok, a name (created,
// renamed, removed) once sync_directory() of its directory has. A failed sync is final: the kernel
// may have dropped the pages, so the bytes must be written anew from their source.
//
// All calls may be made from any thread; one DiskFile may be read and written by several threads.
// Errors are local_error with the errno of the system call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "src/clock.h"
#include "src/error.h"

namespace spillway {

class DiskFile {
 public:
  virtual ~DiskFile() = default;
  // All of `bytes` or an error.
  virtual Result<> write_at(std::uint64_t offset, std::span<const std::byte> bytes) = 0;
  // As many bytes as there are, up to bytes.size().
  virtual Result<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> bytes) = 0;
  virtual Result<> truncate(std::uint64_t size) = 0;
  virtual Result<std::uint64_t> size() = 0;
  virtual Result<> sync() = 0;
};

struct DiskEntry {
  std::string name;
  enum class Kind : std::uint8_t { file, directory, other } kind = Kind::other;
  std::uint64_t size = 0;
};

struct DiskSpace {
  std::uint64_t available = 0;  // to this user
  std::uint64_t total = 0;
};

class Disk {
 public:
  virtual ~Disk() = default;

  // Mode 0600; fails where the name exists.
  virtual Result<std::unique_ptr<DiskFile>> create(const std::string& name) = 0;
  virtual Result<std::unique_ptr<DiskFile>> open(const std::string& name) = 0;  // read and write
  // Mode 0700; ok where the directory exists. Parents must exist.
  virtual Result<> make_directory(const std::string& name) = 0;
  virtual Result<> remove(const std::string& name) = 0;            // a file
  virtual Result<> remove_directory(const std::string& name) = 0;  // an empty directory
  // Replaces `to` all or nothing.
  virtual Result<> rename(const std::string& from, const std::string& to) = 0;
  virtual Result<> sync_directory(const std::string& name) = 0;  // "" is the root
  virtual Result<std::vector<DiskEntry>> list(const std::string& name) = 0;
  virtual Result<DiskSpace> space() = 0;
  // Takes an exclusive lock on the file `name` (created if need be), held until the Disk goes or
  // the process ends. `exists` when another process holds it; never waits. One lock a Disk.
  virtual Result<> lock(const std::string& name) = 0;
  // The root's absolute path with `name` below it, as users are told it.
  [[nodiscard]] virtual std::string absolute(const std::string& name) const = 0;
};

// `root` must exist, be a directory of this user's, not a symlink, and not writable by others.
[[nodiscard]] Result<std::unique_ptr<Disk>> open_disk(const std::string& root);

}  // namespace spillway
