// A FileSystem as a directory of this machine: mounts it, serves the kernel's requests until it is
// unmounted, and takes the mount away again. Needs /dev/fuse; an ordinary user needs fusermount3.
//
// Order of a program: make_mount(), run() on a thread of its own choice, and after run() returned
// FileSystem::shut_down(); only then may the Mount go, since until then the file system may still
// tell the kernel of changes through it. The kernel is not obliged to send the last release of a
// file whose mount ends: FileSystem::shut_down() must not wait for one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "src/clock.h"
#include "src/error.h"
#include "src/executor.h"
#include "src/file_system.h"

namespace spillway::kernel {

// How attributes are shown, whatever the file system says.
struct Presentation {
  std::optional<std::uint32_t> uid;
  std::optional<std::uint32_t> gid;
  std::optional<std::uint32_t> umask;  // permission bits that no file has
  Duration attributes_valid_for = std::chrono::seconds(5);  // where no Lookup says it
};

struct MountSettings {
  std::string mountpoint;
  std::string source = "spillway";  // first column of df, e.g. "spillway:BUCKET"
  enum class Access : std::uint8_t { read_write, read_only } access = Access::read_write;
  // Others than the mounting user (and root, if it is not root who mounts) may enter; the kernel
  // then checks permissions by mode and owner.
  enum class Visibility : std::uint8_t { owner, everybody } visibility = Visibility::owner;
  // Requests served at once. Each thread that was ever busy keeps a buffer of 1 MiB.
  std::size_t threads = 256;
  // Bytes the kernel reads ahead, as root only; an ordinary user has the kernel's 128 KiB.
  std::size_t read_ahead = 1024 * 1024;
  Presentation presentation;
  // Further options of mount.fuse, as after -o ("noatime"); "suid" and "dev" are refused.
  std::vector<std::string> options;
};

class Mount {
 public:
  // Unmounts what run() did not.
  virtual ~Mount() = default;

  // Serves the kernel. Blocks until somebody unmounts or stop() is called; every operation that
  // had begun is then finished and answered, and the mount is gone. `on_ready` is called once, on
  // another thread, as soon as the mount works; not at all where it never does. May be called
  // once. An error (local_error) where the kernel's connection broke.
  virtual Result<> run(std::function<void()> on_ready) = 0;

  // Makes run() return: no further request is accepted, the ones being served are finished. Does
  // not wait. Any thread, any number of times, also before run(); not from within a signal
  // handler, but from a thread that waits for signals. Until run() returns the tree is still
  // mounted, and who calls it waits; afterwards open files give ENOTCONN.
  virtual void stop() = 0;
};

// Mounts. From here on callers of the tree wait for run(). Always nosuid and nodev. Calls
// FileSystem::set_kernel_cache(). Both arguments must outlive the Mount. On failure local_error
// whose detail is a text for the user: what is wrong with the mountpoint or the machine, and what
// to do; nothing is mounted then.
[[nodiscard]] Result<std::unique_ptr<Mount>> make_mount(const MountSettings& settings,
                                                        FileSystem& file_system,
                                                        Executor& executor);

}  // namespace spillway::kernel
