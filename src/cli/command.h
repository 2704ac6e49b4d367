// The commands of the program. Each adds itself, with its options, to the command line, and where
// the user names it sets `chosen` to what is to be done; main() runs that once the whole line is
// understood.
#pragma once

#include <CLI/App.hpp>
#include <functional>

#include "src/startup.h"

namespace spillway::cli {

using Action = std::function<ExitCode()>;

void add_mount(CLI::App& program, Action& chosen);
void add_check(CLI::App& program, Action& chosen);
void add_put(CLI::App& program, Action& chosen);
void add_get(CLI::App& program, Action& chosen);
void add_where(CLI::App& program, Action& chosen);
void add_status(CLI::App& program, Action& chosen);
void add_drain(CLI::App& program, Action& chosen);
void add_umount(CLI::App& program, Action& chosen);
void add_shadow(CLI::App& program, Action& chosen);

}  // namespace spillway::cli
