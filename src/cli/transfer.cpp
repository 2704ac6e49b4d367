#include "src/cli/transfer.h"

#include <unistd.h>

#include "src/cli/output.h"
#include "src/cli/process.h"

namespace spillway::cli {
namespace {

ExitCode start_and(Composition& parts, ShadowUse use, const Work& work) {
  if (const auto code = parts.configure()) return *code;
  parts.start();
  parts.prepare_shadow(use);
  if (const auto code = parts.ask_bucket({})) return *code;
  const auto file_system = parts.make_file_system();
  const ExitCode code = work(parts, *file_system);
  file_system->shut_down(parts.options().shutdown_timeout);
  parts.close_shadow();
  return code;
}

}  // namespace

ExitCode with_file_system(const GivenOptions& options, ShadowUse use, const Work& work) {
  close_to_onlookers();
  auto settings = options.resolve();
  if (!settings.ok()) {
    print_error(settings.error().detail);
    return ExitCode::usage;
  }
  auto parts = Composition::create(std::move(*settings), LogUse::warnings);
  if (!parts.ok()) {
    print_error("log: " + printable(parts.error().detail));
    return ExitCode::usage;
  }
  const ExitCode code = start_and(**parts, use, work);
  parts->reset();
  open_to_leak_checkers();
  return code;
}

Caller this_process() {
  return {.uid = getuid(), .gid = getgid(), .pid = getpid()};
}

}  // namespace spillway::cli
