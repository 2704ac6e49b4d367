// What concerns the process as a whole: who may look into it, and how it becomes a daemon.
#pragma once

#include <memory>

#include "src/error.h"
#include "src/startup.h"

namespace spillway::cli {

// No core dump and no debugger of other users' shows the secrets that this process holds.
void close_to_onlookers();
// Leak checkers look into the process as debuggers do: in builds that have one it is let in again,
// once the secrets are gone. Does nothing in other builds.
void open_to_leak_checkers();

// The daemon's side of a split process.
class Daemon {
 public:
  virtual ~Daemon() = default;
  // Leaves the terminal, its session and the working directory, and lets the shell's command
  // return with ExitCode::done. Call it once. Without this call the shell's command returns what
  // this process ends with.
  virtual void ready() = 0;
};

// Forks: returns in the child only, which keeps the terminal's stderr until it is ready. Not once a
// thread has been started.
[[nodiscard]] Result<std::unique_ptr<Daemon>> become_daemon();

}  // namespace spillway::cli
