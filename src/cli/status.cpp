// spillway status: how a mount is doing.
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <thread>

#include "src/cli/command.h"
#include "src/cli/mounted.h"
#include "src/cli/output.h"

namespace spillway::cli {
namespace {

using Json = nlohmann::ordered_json;

struct Request {
  std::string mountpoint;
  bool json = false;
  bool watch = false;
};

Json as_json(const MountPoint& mount, const MountState& state) {
  Json all{{"mountpoint", mount.path},
           {"bucket", state.bucket},
           {"state", state.state},
           {"pending_files", state.pending_files},
           {"pending_bytes", state.pending_bytes}};
  if (!state.last_error.is_null()) all["last_error"] = state.last_error;
  if (state.status.is_object()) all["status"] = state.status;
  return all;
}

std::string as_text(const Json& value) {
  return value.is_string() ? printable(value.get<std::string>()) : value.dump();
}

// A counter of the daemon's, in the unit that its name ends in.
std::string readable_value(const std::string& name, const Json& value) {
  const bool count = value.is_number_unsigned() || value.is_number_integer();
  const bool bytes = name.ends_with("bytes") || name.starts_with("memory_");
  if (count && bytes) return readable_size(value.get<std::uint64_t>());
  if (count && name.ends_with("_s")) return readable_seconds(value.get<std::uint64_t>());
  return as_text(value);
}

void add_rows(Table& table, const std::string& prefix, const Json& object) {
  for (const auto& [name, value] : object.items()) {
    if (value.is_object()) {
      add_rows(table, prefix + name + ".", value);
    } else {
      table.add({printable(prefix + name), readable_value(name, value)});
    }
  }
}

std::string pending_text(const MountState& state) {
  if (state.pending_files == 0) return "nothing";
  return fmt::format("{} files, {}", state.pending_files, readable_size(state.pending_bytes));
}

void print_text(const MountPoint& mount, const MountState& state) {
  Table table{"mountpoint", printable(mount.path)};
  table.add({"bucket", state.bucket.empty() ? "-" : printable(state.bucket)});
  table.add({"state", printable(state.state)});
  table.add({"pending", pending_text(state)});
  if (state.last_error.is_object()) {
    table.add({"last error", as_text(state.last_error.value("error_code", Json("")))});
    table.add({"", as_text(state.last_error.value("detail", Json("")))});
  }
  if (state.status.is_object()) {
    Json counters = state.status;
    counters.erase("stuck");
    add_rows(table, "", counters);
  }
  table.print();
  if (state.stuck_files == 0) return;
  print_line("files that can't go to B2 for a reason of their own, and are tried again apart:");
  print_line(list_of_stuck(mount, state));
}

ExitCode show(const Request& request, const MountPoint& mount) {
  const auto state = read_mount_state(mount);
  if (!state.ok()) {
    print_error("the mount does not answer: " + printable(state.error().detail));
    return ExitCode::failed;
  }
  if (request.json) {
    constexpr auto kReplace = Json::error_handler_t::replace;
    print_line(as_json(mount, *state).dump(request.watch ? -1 : 2, ' ', false, kReplace));
  } else {
    if (request.watch && isatty(STDOUT_FILENO) == 1) print_line("\x1b[H\x1b[2J");
    print_text(mount, *state);
  }
  return ExitCode::done;
}

ExitCode run(const Request& request) {
  const auto mount = choose_mount(request.mountpoint);
  if (!mount.ok()) {
    print_error(mount.error().detail);
    return ExitCode::usage;
  }
  ExitCode code = show(request, *mount);
  while (request.watch && code == ExitCode::done) {
    std::this_thread::sleep_for(std::chrono::seconds(1));
    code = show(request, *mount);
  }
  return code;
}

}  // namespace

void add_status(CLI::App& program, Action& chosen) {
  auto request = std::make_shared<Request>();
  auto* command = program.add_subcommand("status", "Tell how a mount is doing");
  command->add_option("MOUNTPOINT", request->mountpoint, "Default: the only Spillway mount");
  command->add_flag("--json", request->json, "Print it as one JSON object");
  command->add_flag("--watch", request->watch, "Print it again every second");
  command->callback([request, &chosen] { chosen = [request] { return run(*request); }; });
}

}  // namespace spillway::cli
