#include "src/cli/mounted_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <spdlog/fmt/fmt.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <memory>
#include <span>
#include <vector>

#include "src/cli/mounted.h"
#include "src/cli/output.h"
#include "src/cli/signals.h"
#include "src/cli/transfer.h"

namespace spillway::cli {
namespace {

using How = Landed::How;

constexpr mode_t kDirectoryMode = 0755;  // of those nobody said anything about
constexpr mode_t kFileMode = 0644;
constexpr mode_t kOwnerMayWork = 0600;

std::unexpected<Error> failed(std::string_view what, const Path& path) {
  const int number = errno;
  return fail_errno(number, fmt::format("{} {}", what, printable(path.text())));
}

std::unexpected<Error> taken(const Path& path) {
  return fail_errno(EEXIST, printable(path.text()));
}

Descriptor open_at(const Descriptor& directory, const std::string& name, int flags,
                   mode_t mode = 0) {
  return Descriptor(openat(directory.get(), name.c_str(), flags | O_NOFOLLOW | O_CLOEXEC, mode));
}

Descriptor open_directory_at(const Descriptor& parent, const std::string& name) {
  return open_at(parent, name, O_RDONLY | O_DIRECTORY);
}

// --- bytes

Result<> write_all(const Descriptor& file, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t size = write(file.get(), bytes.data(), bytes.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return fail_errno(errno, "write");
    bytes = bytes.subspan(static_cast<std::size_t>(size));
  }
  return {};
}

Result<std::size_t> read_full(const Descriptor& file, std::span<std::byte> buffer) {
  std::size_t filled = 0;
  while (filled < buffer.size()) {
    const ssize_t size = read(file.get(), &buffer[filled], buffer.size() - filled);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return fail_errno(errno, "read");
    if (size == 0) break;
    filled += static_cast<std::size_t>(size);
  }
  return filled;
}

// Gives `use` all of the data, piece by piece.
template <class Use>
Result<> for_each_piece(DiskFile& data, std::uint64_t size, Use use) {
  std::vector<std::byte> buffer(kTransferSize);
  for (std::uint64_t at = 0; at < size;) {
    if (is_asked_to_end()) return fail_errno(EINTR, "the copy");
    const auto piece = std::span(buffer).first(
        static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), size - at)));
    if (TRY(data.read_at(at, piece)) != piece.size()) {
      return fail_errno(EIO, "the shadow's copy is shorter than its journal says");
    }
    TRY(use(std::span<const std::byte>(piece)));
    at += piece.size();
  }
  return {};
}

// --- metadata

std::array<timespec, 2> times_of(WallTime mtime) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(mtime);
  timespec time{};
  time.tv_sec = static_cast<time_t>(seconds.time_since_epoch().count());
  time.tv_nsec = static_cast<long>((mtime - seconds).count());
  return {timespec{.tv_sec = 0, .tv_nsec = UTIME_OMIT}, time};
}

// Only root may give files away, and only its mount has those of others.
bool is_to_be_given_away(const Metadata& metadata) {
  if (geteuid() != 0) return false;
  return metadata.uid.value_or(0) != 0 || metadata.gid.value_or(getegid()) != getegid();
}

// On an open file: that costs no request. What may forbid the rest comes last.
Result<> give_metadata(const Descriptor& file, const Metadata& metadata, mode_t mode_now) {
  for (const auto& [name, value] : metadata.xattrs) {
    if (fsetxattr(file.get(), name.c_str(), value.data(), value.size(), 0) != 0) {
      return fail_errno(errno, printable(name));
    }
  }
  const mode_t mode = metadata.permissions.value_or(mode_now);
  if (mode != mode_now && fchmod(file.get(), mode) != 0) return fail_errno(errno, "chmod");
  if (is_to_be_given_away(metadata) &&
      fchown(file.get(), metadata.uid.value_or(0), metadata.gid.value_or(getegid())) != 0) {
    return fail_errno(errno, "chown");
  }
  if (metadata.mtime && futimens(file.get(), times_of(*metadata.mtime).data()) != 0) {
    return fail_errno(errno, "utimens");
  }
  return {};
}

// The same for what can't be opened.
Result<> give_metadata_at(const Descriptor& parent, const std::string& name,
                          const Metadata& metadata) {
  if (is_to_be_given_away(metadata) &&
      fchownat(parent.get(), name.c_str(), metadata.uid.value_or(0),
               metadata.gid.value_or(getegid()), AT_SYMLINK_NOFOLLOW) != 0) {
    return fail_errno(errno, "chown");
  }
  if (metadata.mtime && utimensat(parent.get(), name.c_str(), times_of(*metadata.mtime).data(),
                                  AT_SYMLINK_NOFOLLOW) != 0) {
    return fail_errno(errno, "utimens");
  }
  return {};
}

// "" where the file's mode does not let us ask.
std::string storage_of(const Descriptor& file) {
  const auto word =
      read_attribute("/proc/self/fd/" + std::to_string(file.get()), "user.b2.storage");
  return word.ok() ? *word : "";
}

// --- files

Result<> fill(const Descriptor& file, const Metadata& metadata, mode_t mode, DiskFile& data,
              std::uint64_t size) {
  TRY(for_each_piece(data, size, [&](auto piece) { return write_all(file, piece); }));
  TRY(give_metadata(file, metadata, mode));
  if (fsync(file.get()) != 0) return fail_errno(errno, "fsync");
  return {};
}

// EEXIST where the name has anything but this very file, stored.
Result<Landed> find_same(const Descriptor& parent, const Path& path, DiskFile& data,
                         std::uint64_t size) {
  const Descriptor file = open_at(parent, std::string(path.name()), O_RDONLY | O_NONBLOCK);
  struct stat status {};
  if (!file.is_open() || fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode) ||
      static_cast<std::uint64_t>(status.st_size) != size) {
    return taken(path);
  }
  const std::string storage = storage_of(file);
  if (storage == "pending") return taken(path);
  std::vector<std::byte> theirs(kTransferSize);
  bool same = true;
  const auto compare = [&](std::span<const std::byte> ours) -> Result<> {
    if (!same) return {};
    const auto there = std::span(theirs).first(ours.size());
    const std::size_t got = TRY(read_full(file, there));
    same = got == ours.size() && std::ranges::equal(ours, there);
    return {};
  };
  TRY(for_each_piece(data, size, compare));
  if (!same) return taken(path);
  return Landed{How::was_there, storage};
}

}  // namespace

Result<MountedTree> MountedTree::open(const std::string& mountpoint) {
  Descriptor root(::open(mountpoint.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root.is_open()) return fail_errno(errno, printable(mountpoint));
  return MountedTree(std::move(root));
}

// Where B2 can't be asked, a name that was never seen looks free, and what is made there would be
// put over what B2 has. Reading the whole directory fails then. A listing is good for as long as
// the mount itself goes by it at least.
Result<> MountedTree::see_names(const Descriptor& directory, const Path& path) {
  constexpr auto kFresh = std::chrono::seconds(1);
  const Instant now = system_clock().now();
  const auto seen = seen_.find(path);
  if (seen != seen_.end() && now - seen->second < kFresh) return {};
  const Descriptor again = open_directory_at(directory, ".");
  const std::unique_ptr<DIR, int (*)(DIR*)> names(fdopendir(dup(again.get())), closedir);
  if (!names) return failed("opening", path);
  errno = 0;
  while (readdir(names.get()) != nullptr) errno = 0;
  if (errno != 0) return failed("it can't be seen which names are taken in", path);
  seen_[path] = now;
  return {};
}

Result<Descriptor> MountedTree::make_and_enter(const Descriptor& parent, const Path& directory) {
  const std::string name(directory.name());
  TRY(see_names(parent, directory.parent()));
  if (mkdirat(parent.get(), name.c_str(), kDirectoryMode) == 0) {
    made_.insert(directory);
  } else if (errno != EEXIST) {
    return failed("mkdir", directory);
  }
  Descriptor entered = open_directory_at(parent, name);
  if (!entered.is_open()) return failed("opening", directory);
  return entered;
}

Result<Descriptor> MountedTree::enter(const Path& directory) {
  if (directory.is_root()) {
    Descriptor root = open_directory_at(root_, ".");
    if (!root.is_open()) return failed("opening", directory);
    return root;
  }
  const Descriptor parent = TRY(enter(directory.parent()));
  Descriptor there = open_directory_at(parent, std::string(directory.name()));
  if (there.is_open()) return there;
  if (errno != ENOENT) return failed("opening", directory);
  return make_and_enter(parent, directory);
}

Result<Descriptor> MountedTree::parent_of(const Path& path) {
  Descriptor parent = TRY(enter(path.parent()));
  TRY(see_names(parent, path.parent()));
  return parent;
}

Result<Landed> MountedTree::add_file(const Path& path, const Metadata& metadata, DiskFile& data,
                                     std::uint64_t size) {
  const Descriptor parent = TRY(parent_of(path));
  const std::string name(path.name());
  const mode_t mode = metadata.permissions.value_or(kFileMode) | kOwnerMayWork;
  Descriptor file = open_at(parent, name, O_WRONLY | O_CREAT | O_EXCL, mode);
  if (!file.is_open() && errno == EEXIST) return find_same(parent, path, data, size);
  if (!file.is_open()) return failed("creating", path);
  if (auto filled = fill(file, metadata, mode, data, size); !filled.ok()) {
    // Before it is closed: a half file is never published.
    unlinkat(parent.get(), name.c_str(), 0);
    return fail(std::move(filled).error());
  }
  Landed landed{How::made, storage_of(file)};
  if (file.close() != 0) return failed("close", path);
  return landed;
}

Result<Landed> MountedTree::add_symlink(const Path& path, const Metadata& metadata,
                                        const std::string& target) {
  const Descriptor parent = TRY(parent_of(path));
  const std::string name(path.name());
  if (symlinkat(target.c_str(), parent.get(), name.c_str()) == 0) {
    TRY(give_metadata_at(parent, name, metadata));
    return Landed{How::made, ""};
  }
  if (errno != EEXIST) return failed("symlink", path);
  std::string there(target.size() + 1, '\0');
  const ssize_t size = readlinkat(parent.get(), name.c_str(), there.data(), there.size());
  there.resize(static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
  if (size < 0 || there != target) return taken(path);
  return Landed{How::was_there, ""};
}

Result<Landed> MountedTree::add_special(const Path& path, const Metadata& metadata) {
  const Descriptor parent = TRY(parent_of(path));
  const std::string name(path.name());
  const mode_t kind = metadata.kind == FileKind::fifo ? S_IFIFO : S_IFSOCK;
  const mode_t mode = kind | metadata.permissions.value_or(kFileMode);
  if (mknodat(parent.get(), name.c_str(), mode, 0) == 0) {
    TRY(give_metadata_at(parent, name, metadata));
    return Landed{How::made, ""};
  }
  if (errno != EEXIST) return failed("mknod", path);
  struct stat status {};
  const bool same = fstatat(parent.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
                    (status.st_mode & S_IFMT) == kind;
  if (!same) return taken(path);
  return Landed{How::was_there, ""};
}

Result<Landed> MountedTree::add_directory(const Path& path, const Metadata& metadata) {
  auto entered = enter(path);
  if (!entered.ok()) {
    const int number = entered.error().system_errno;
    if (number == ENOTDIR || number == ELOOP) return taken(path);
    return fail(std::move(entered).error());
  }
  if (!made_.contains(path)) return Landed{How::was_there, ""};
  TRY(give_metadata(*entered, metadata, kDirectoryMode));
  return Landed{How::made, ""};
}

}  // namespace spillway::cli
