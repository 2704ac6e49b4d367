// spillway drain: waits until the mount has brought everything from the shadow to B2.
#include <spdlog/fmt/fmt.h>

#include <chrono>
#include <optional>
#include <string>
#include <thread>

#include "src/cli/command.h"
#include "src/cli/mounted.h"
#include "src/cli/output.h"
#include "src/clock.h"
#include "src/units.h"

namespace spillway::cli {
namespace {

struct Request {
  std::string mountpoint;
  std::string timeout;
};

std::string left_text(const MountState& state) {
  return fmt::format("{} files, {}", state.pending_files, readable_size(state.pending_bytes));
}

ExitCode give_up(const MountState& state, std::string_view why) {
  print_error(fmt::format("{}; {} left", why, left_text(state)));
  if (state.last_error.is_object()) {
    const auto text = [&](const char* name) {
      return printable(state.last_error.value(name, std::string()));
    };
    print_error(fmt::format("the last error was {}: {}", text("error_code"), text("detail")));
  }
  return ExitCode::failed;
}

ExitCode wait_until_empty(const MountPoint& mount, std::optional<Instant> deadline) {
  ProgressLine progress;
  bool told = false;
  while (true) {
    const auto state = read_mount_state(mount);
    if (!state.ok()) {
      print_error("the mount does not answer: " + printable(state.error().detail));
      return ExitCode::failed;
    }
    if (state->pending_files == 0) break;
    if (state->state == "local_only") return give_up(*state, "the mount was started without B2");
    if (deadline && system_clock().now() >= *deadline) return give_up(*state, "the time is up");
    if (!told) print_line(fmt::format("waiting for {} …", left_text(*state)));
    told = true;
    progress.show(left_text(*state) + " left");
    std::this_thread::sleep_for(std::chrono::milliseconds(250));
  }
  print_line("nothing is left in the shadow");
  return ExitCode::done;
}

ExitCode run(const Request& request) {
  const auto mount = choose_mount(request.mountpoint);
  if (!mount.ok()) {
    print_error(mount.error().detail);
    return ExitCode::usage;
  }
  if (request.timeout.empty()) return wait_until_empty(*mount, std::nullopt);
  const auto limit = parse_duration(request.timeout);
  if (!limit) {
    print_error("--timeout wants a duration such as 500ms, 2s, 5m or 1h");
    return ExitCode::usage;
  }
  return wait_until_empty(*mount, system_clock().now() + *limit);
}

}  // namespace

void add_drain(CLI::App& program, Action& chosen) {
  auto request = std::make_shared<Request>();
  auto* command =
      program.add_subcommand("drain", "Wait until everything in the shadow has gone to B2");
  command->add_option("MOUNTPOINT", request->mountpoint, "Default: the only Spillway mount");
  command->add_option("--timeout", request->timeout, "Give up after this time [never]")
      ->type_name("TIME");
  command->callback([request, &chosen] { chosen = [request] { return run(*request); }; });
}

}  // namespace spillway::cli
