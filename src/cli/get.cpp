// spillway get: one file from the bucket, by the same way as through a mount.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "src/cli/command.h"
#include "src/cli/handover.h"
#include "src/cli/output.h"
#include "src/cli/transfer.h"

namespace spillway::cli {
namespace {

struct Request {
  GivenOptions options;
  std::string key;
  std::string file;
};

// Where the bytes go: stdout, or a file that appears under its name only when it is whole.
class Target {
 public:
  static Result<std::unique_ptr<Target>> create(const std::string& name) {
    if (name == "-") return std::unique_ptr<Target>(new Target(STDOUT_FILENO, "", ""));
    const std::filesystem::path path(name);
    std::string draft = path.parent_path() / ("." + path.filename().string() + ".XXXXXX");
    const int descriptor = mkostemp(draft.data(), O_CLOEXEC);
    if (descriptor < 0) return fail_errno(errno, printable(name));
    return std::unique_ptr<Target>(new Target(descriptor, name, draft));
  }
  Target(const Target&) = delete;
  Target& operator=(const Target&) = delete;
  ~Target() {
    if (descriptor_ != STDOUT_FILENO) close(descriptor_);
    if (!draft_.empty()) ::unlink(draft_.c_str());
  }

  Result<> write(std::span<const std::byte> bytes) const {
    while (!bytes.empty()) {
      const ssize_t size = ::write(descriptor_, bytes.data(), bytes.size());
      if (size < 0 && errno == EINTR) continue;
      if (size < 0) return fail_errno(errno, "writing " + printable(name_));
      bytes = bytes.subspan(static_cast<std::size_t>(size));
    }
    return {};
  }

  // Durable under its name on return.
  Result<> finish() {
    if (draft_.empty()) return {};
    const mode_t mask = umask(0);
    umask(mask);
    const bool stored = fchmod(descriptor_, 0666 & ~mask) == 0 && fsync(descriptor_) == 0 &&
                        rename(draft_.c_str(), name_.c_str()) == 0;
    if (!stored) return fail_errno(errno, printable(name_));
    draft_.clear();
    return {};
  }

 private:
  Target(int descriptor, std::string name, std::string draft)
      : descriptor_(descriptor), name_(std::move(name)), draft_(std::move(draft)) {}

  int descriptor_;
  std::string name_;
  std::string draft_;  // until finish()
};

Result<> copy(FileSystem& file_system, const Opened& opened, const Target& target) {
  std::vector<std::byte> buffer(kTransferSize);
  ProgressLine progress;
  std::uint64_t offset = 0;
  while (true) {
    const std::size_t size = TRY(file_system.read(*opened.handle, offset, buffer));
    if (size == 0) break;
    TRY(target.write(std::span(buffer).first(size)));
    offset += size;
    progress.show(progress_text(offset, opened.attributes.size));
  }
  if (offset >= opened.attributes.size) return {};
  return fail(ErrorCode::network_error, "the file ended before its size");
}

Result<> get(FileSystem& file_system, const Path& path, const std::string& file) {
  const auto found = TRY(file_system.lookup(path));
  if (!found.attributes) return fail(ErrorCode::not_found, "there is no " + printable(path.text()));
  if (found.attributes->kind != FileKind::regular) {
    return fail(ErrorCode::is_directory, printable(path.text()) + " is no file");
  }
  const auto opened = TRY(file_system.open(path, {.read = true}, this_process()));
  auto target = Target::create(file);
  auto copied = target.ok() ? copy(file_system, opened, **target) : fail(target.error());
  file_system.release(opened.handle);
  if (!copied.ok()) return copied;
  return (*target)->finish();
}

ExitCode run(const Request& request) {
  const auto path = Path::parse(request.key);
  if (!path || path->is_root()) {
    print_error(printable(request.key) + " can't be the name of a file");
    return ExitCode::usage;
  }
  return with_file_system(request.options, ShadowUse::if_free,
                          [&](Composition&, FileSystem& file_system) {
                            const auto got = get(file_system, *path, request.file);
                            if (got.ok()) return ExitCode::done;
                            print_error("get " + printable(request.key), got.error());
                            return ExitCode::failed;
                          });
}

}  // namespace

void add_get(CLI::App& program, Action& chosen) {
  auto request = std::make_shared<Request>();
  auto* command = program.add_subcommand("get", "Fetch a file from the bucket, without a mount");
  command->add_option("KEY", request->key, "Name in the bucket")->required();
  command->add_option("FILE", request->file, "Where to put it, - for stdout")->required();
  request->options.add_to(*command);
  command->callback([request, &chosen] { chosen = [request] { return run(*request); }; });
}

}  // namespace spillway::cli
