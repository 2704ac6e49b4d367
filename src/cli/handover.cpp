#include "src/cli/handover.h"

#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <vector>

#include "src/cli/mounted.h"
#include "src/cli/output.h"
#include "src/cli/transfer.h"

namespace spillway::cli {
namespace {

Result<> write_all(int descriptor, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t size = write(descriptor, bytes.data(), bytes.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return fail_errno(errno, "writing to the mount");
    bytes = bytes.subspan(static_cast<std::size_t>(size));
  }
  return {};
}

Result<> copy(const Source& source, int target) {
  std::vector<std::byte> buffer(kTransferSize);
  while (true) {
    const std::size_t size = TRY(source.read(buffer));
    if (size == 0) return {};
    TRY(write_all(target, std::span(buffer).first(size)));
  }
}

// The processes that hold an flock on a file, by the kernel's table: lines such as
// "1: FLOCK  ADVISORY  WRITE 4711 fe:01:131073 0 EOF" (proc_locks(5)). The device is left out of
// the comparison: some file systems have another one there than in stat(2).
std::set<pid_t> holders_of(const std::string& file) {
  std::set<pid_t> holders;
  struct stat status {};
  if (stat(file.c_str(), &status) != 0) return holders;
  const std::string inode = ":" + std::to_string(status.st_ino);
  std::ifstream table("/proc/locks");
  for (std::string line; std::getline(table, line);) {
    std::istringstream fields(line);
    std::string number, kind, mode, access, place;
    pid_t pid = 0;
    fields >> number >> kind >> mode >> access >> pid >> place;
    if (kind == "FLOCK" && place.ends_with(inode)) holders.insert(pid);
  }
  return holders;
}

}  // namespace

Source::Source(int descriptor) : descriptor_(descriptor) {
  struct stat status {};
  if (fstat(descriptor_, &status) == 0 && S_ISREG(status.st_mode)) {
    size_ = static_cast<std::uint64_t>(status.st_size);
  }
}

Source::~Source() {
  if (descriptor_ != STDIN_FILENO) close(descriptor_);
}

Result<std::unique_ptr<Source>> Source::open(const std::string& name) {
  if (name == "-") return std::unique_ptr<Source>(new Source(STDIN_FILENO));
  const int descriptor = ::open(name.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return fail_errno(errno, printable(name));
  auto source = std::unique_ptr<Source>(new Source(descriptor));
  if (std::filesystem::is_directory(name)) return fail_errno(EISDIR, printable(name));
  return source;
}

Result<std::size_t> Source::read(std::span<std::byte> buffer) const {
  std::size_t filled = 0;
  while (filled < buffer.size()) {
    const auto rest = buffer.subspan(filled);
    const ssize_t size = ::read(descriptor_, rest.data(), rest.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return fail_errno(errno, "reading the file to store");
    if (size == 0) break;
    filled += static_cast<std::size_t>(size);
  }
  return filled;
}

Result<> Source::rewind() {
  if (lseek(descriptor_, 0, SEEK_SET) == 0) return {};
  return fail_errno(errno, "reading the file again");
}

std::string progress_text(std::uint64_t done, std::optional<std::uint64_t> of) {
  if (!of) return readable_size(done);
  return fmt::format("{} of {}", readable_size(done), readable_size(*of));
}

std::optional<std::string> mount_holding(const std::string& shadow) {
  const std::set<pid_t> holders = holders_of(shadow + "/lock");
  if (holders.empty()) return std::nullopt;
  for (const auto& mount : spillway_mounts()) {
    const auto state = read_mount_state(mount);
    if (!state.ok() || !state->status.is_object()) continue;
    if (holders.contains(state->status.value("pid", 0))) return mount.path;
  }
  return std::nullopt;
}

Result<std::string> hand_over(const std::string& mountpoint, const Path& path,
                              const Source& source) {
  const std::string target = mountpoint + "/" + path.text();
  std::error_code failed;
  std::filesystem::create_directories(std::filesystem::path(target).parent_path(), failed);
  if (failed) return fail_errno(failed.value(), printable(target));
  const int descriptor = open(target.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (descriptor < 0) return fail_errno(errno, printable(target));
  auto copied = copy(source, descriptor);
  const bool closed = close(descriptor) == 0;
  if (!copied.ok()) return fail(std::move(copied).error());
  if (!closed) return fail_errno(errno, printable(target));
  return read_attribute(target, "user.b2.result");
}

}  // namespace spillway::cli
