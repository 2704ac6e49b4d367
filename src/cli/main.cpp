// spillway: the command line. What each command does is in the file of its name.
#include <CLI/CLI.hpp>
#include <exception>

#include "src/cli/command.h"
#include "src/cli/output.h"

namespace spillway::cli {
namespace {

constexpr const char* kFooter =
    "The bucket comes from the environment or from --env-file: S3_ENDPOINT, S3_ACCESS_KEY,\n"
    "S3_SECRET_KEY, S3_BUCKET, S3_REGION; ENV=production stops at start when B2 refuses.\n"
    "Every option --NAME of mount, check, put and get is also a variable SPILLWAY_NAME.\n"
    "\n"
    "Exit codes: 0 done, 1 the operation failed, 2 usage or configuration, 3 B2 refused at\n"
    "start, 4 mount failed.";

constexpr auto kCommands = {add_mount, add_umount, add_status, add_where, add_drain,
                            add_check, add_put,    add_get,    add_shadow};

// CLI11 says only that a command is missing.
void tell_unknown_command(const CLI::App& program, int count, char** arguments) {
  if (count < 2 || *arguments[1] == '-') return;
  const auto commands = program.get_subcommands(
      [&](const CLI::App* command) { return command->get_name() == arguments[1]; });
  if (commands.empty()) print_error("there is no command '" + printable(arguments[1]) + "'");
}

int to_int(ExitCode code) {
  return static_cast<int>(code);
}

int run(int count, char** arguments) {
  CLI::App program(
      "A Backblaze B2 bucket as a directory: every write goes to B2 first, and only\n"
      "what B2 refuses stays here, with the reason.");
  program.name("spillway");
  program.set_version_flag("--version", "spillway " SPILLWAY_VERSION);
  program.footer(kFooter);
  program.require_subcommand(1);
  program.get_formatter()->column_width(36);
  Action chosen;
  for (const auto add : kCommands) add(program, chosen);
  try {
    program.parse(count, arguments);
  } catch (const CLI::ParseError& problem) {
    tell_unknown_command(program, count, arguments);
    return program.exit(problem) == 0 ? to_int(ExitCode::done) : to_int(ExitCode::usage);
  }
  return to_int(chosen());
}

}  // namespace
}  // namespace spillway::cli

int main(int count, char** arguments) {
  try {
    return spillway::cli::run(count, arguments);
  } catch (const std::exception& problem) {
    spillway::cli::print_error(problem.what());
    return static_cast<int>(spillway::ExitCode::failed);
  }
}
