// spillway put: one file to the bucket, by the same way as through a mount.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <vector>

#include "src/cli/command.h"
#include "src/cli/handover.h"
#include "src/cli/output.h"
#include "src/cli/transfer.h"
#include "src/report.h"

namespace spillway::cli {
namespace {

struct Request {
  GivenOptions options;
  std::string file;
  std::string key;
};

// The result of the whole as the user gets it: a line of JSON, and the code that goes with it.
struct Outcome {
  std::string json;
  ExitCode code = ExitCode::done;
};

std::string failure_text(FileSystem& file_system, const Error& error) {
  // What B2 said is in the last error; what the call gave may be the shadow's word.
  auto last = file_system.get_xattr(Path(), "user.b2.last_error");
  return last.ok() ? *last : to_failure_json(error).dump();
}

Result<> send_all(FileSystem& file_system, FileHandle& handle, const Source& source) {
  std::vector<std::byte> buffer(kTransferSize);
  ProgressLine progress;
  std::uint64_t offset = 0;
  while (true) {
    const std::size_t size = TRY(source.read(buffer));
    if (size == 0) break;
    TRY(file_system.write(handle, offset, std::span(buffer).first(size)));
    offset += size;
    progress.show(progress_text(offset, source.size()));
  }
  return file_system.flush(handle, this_process());
}

Outcome put_directly(FileSystem& file_system, const Path& path, const Source& source) {
  const OpenFlags flags{.write = true, .truncate = true};
  auto opened = file_system.create(path, 0644, flags, this_process());
  if (!opened.ok()) return {failure_text(file_system, opened.error()), ExitCode::failed};
  const auto sent = send_all(file_system, *opened->handle, source);
  file_system.release(opened->handle);
  if (!sent.ok()) return {failure_text(file_system, sent.error()), ExitCode::failed};
  const auto result = file_system.get_xattr(path, "user.b2.result");
  if (!result.ok()) return {to_failure_json(result.error()).dump(), ExitCode::failed};
  return {*result, ExitCode::done};
}

Outcome put_through_mount(const std::string& mountpoint, const Path& path, const Source& source) {
  const auto result = hand_over(mountpoint, path, source);
  if (result.ok()) return {*result, ExitCode::done};
  return {to_failure_json(result.error()).dump(), ExitCode::failed};
}

// The lock is taken only to divert. Where the bucket's mount holds it, the file goes there: after
// B2 has failed, or at once when the source can be read only once.
Outcome put(Composition& parts, FileSystem& file_system, const Path& path, Source& source) {
  const auto mount = mount_holding(parts.options().shadow);
  if (mount && !source.can_rewind()) return put_through_mount(*mount, path, source);
  const Outcome outcome = put_directly(file_system, path, source);
  const bool again = outcome.code != ExitCode::done && parts.was_locked_out() && mount;
  if (!again || !source.rewind().ok()) return outcome;
  return put_through_mount(*mount, path, source);
}

ExitCode run(const Request& request) {
  const auto path = Path::parse(request.key);
  const auto creatable = path ? check_creatable(*path) : Result<>();
  if (!path || !creatable.ok()) {
    print_error(printable(request.key) + " can't be the name of a file");
    return ExitCode::usage;
  }
  auto source = Source::open(request.file);
  if (!source.ok()) {
    print_error(source.error().detail);
    return ExitCode::failed;
  }
  return with_file_system(request.options, ShadowUse::to_divert,
                          [&](Composition& parts, FileSystem& file_system) {
                            const Outcome outcome = put(parts, file_system, *path, **source);
                            print_line(outcome.json);
                            return outcome.code;
                          });
}

}  // namespace

void add_put(CLI::App& program, Action& chosen) {
  auto request = std::make_shared<Request>();
  auto* command = program.add_subcommand("put", "Store a file in the bucket, without a mount");
  command->add_option("FILE", request->file, "File to store, - for stdin")->required();
  command->add_option("KEY", request->key, "Name in the bucket")->required();
  request->options.add_to(*command);
  command->callback([request, &chosen] { chosen = [request] { return run(*request); }; });
}

}  // namespace spillway::cli
