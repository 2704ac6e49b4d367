#include "src/disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <spdlog/fmt/fmt.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <filesystem>
#include <limits>
#include <string_view>
#include <utility>

#include "src/descriptor.h"

namespace spillway {
namespace {

constexpr mode_t kFileMode = 0600;
constexpr mode_t kDirectoryMode = 0700;

// No "..", although RESOLVE_BENEATH would allow one that stays inside: a name of ours has none.
bool is_plain_name(std::string_view name) {
  if (name.contains('\0')) return false;
  while (true) {
    const std::size_t slash = name.find('/');
    const std::string_view segment = name.substr(0, slash);
    if (segment.empty() || segment == "." || segment == "..") return false;
    if (slash == std::string_view::npos) return true;
    name.remove_prefix(slash + 1);
  }
}

// EAGAIN: something was renamed while the kernel resolved; it asks to be asked again.
int open_beneath(int root, const std::string& name, int flags, mode_t mode) {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
  how.mode = mode;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  constexpr int kMostAttempts = 1'000;
  for (int attempt = 1;; ++attempt) {
    const long number = ::syscall(SYS_openat2, root, name.c_str(), &how, sizeof how);
    if (number >= 0) return static_cast<int>(number);
    if ((errno != EAGAIN && errno != EINTR) || attempt == kMostAttempts) return -1;
  }
}

class LocalFile final : public DiskFile {
 public:
  LocalFile(Descriptor descriptor, std::string name)
      : descriptor_(std::move(descriptor)), name_(std::move(name)) {}

  Result<> write_at(std::uint64_t offset, std::span<const std::byte> bytes) override;
  Result<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> bytes) override;
  Result<> truncate(std::uint64_t size) override;
  Result<std::uint64_t> size() override;
  Result<> sync() override;

 private:
  [[nodiscard]] std::unexpected<Error> failed(int system_errno, std::string_view verb) const {
    return fail_errno(system_errno, fmt::format("{} {}", verb, name_));
  }

  Descriptor descriptor_;
  std::string name_;
  std::atomic<int> sync_errno_{0};
};

constexpr std::uint64_t kLargestOffset = std::numeric_limits<off_t>::max();

Result<> LocalFile::write_at(std::uint64_t offset, std::span<const std::byte> bytes) {
  if (offset > kLargestOffset || bytes.size() > kLargestOffset - offset) {
    return failed(EFBIG, "write");
  }
  while (!bytes.empty()) {
    const ssize_t written =
        ::pwrite(descriptor_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return failed(errno, "write");
    if (written == 0) return failed(EIO, "write");
    bytes = bytes.subspan(static_cast<std::size_t>(written));
    offset += static_cast<std::uint64_t>(written);
  }
  return {};
}

Result<std::size_t> LocalFile::read_at(std::uint64_t offset, std::span<std::byte> bytes) {
  std::size_t total = 0;
  while (total < bytes.size() && offset + total <= kLargestOffset) {
    const auto rest = bytes.subspan(total);
    const ssize_t got = ::pread(descriptor_.get(), rest.data(), rest.size(),
                                static_cast<off_t>(offset + total));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failed(errno, "read");
    if (got == 0) break;
    total += static_cast<std::size_t>(got);
  }
  return total;
}

Result<> LocalFile::truncate(std::uint64_t size) {
  if (size > kLargestOffset) return failed(EFBIG, "truncate");
  while (::ftruncate(descriptor_.get(), static_cast<off_t>(size)) != 0) {
    if (errno != EINTR) return failed(errno, "truncate");
  }
  return {};
}

Result<std::uint64_t> LocalFile::size() {
  struct stat status {};
  if (::fstat(descriptor_.get(), &status) != 0) return failed(errno, "stat");
  return static_cast<std::uint64_t>(status.st_size);
}

// Not tried again on any errno: the second call would find clean pages and report a success.
Result<> LocalFile::sync() {
  if (const int known = sync_errno_.load(); known != 0) return failed(known, "sync");
  if (::fsync(descriptor_.get()) == 0) return {};
  const int system_errno = errno;
  sync_errno_.store(system_errno);
  return failed(system_errno, "sync");
}

class LocalDisk final : public Disk {
 public:
  LocalDisk(Descriptor root, std::string path) : root_(std::move(root)), path_(std::move(path)) {}
  ~LocalDisk() override { const Descriptor unlocked(lock_.exchange(-1)); }
  LocalDisk(const LocalDisk&) = delete;
  LocalDisk& operator=(const LocalDisk&) = delete;

  Result<std::unique_ptr<DiskFile>> create(const std::string& name) override;
  Result<std::unique_ptr<DiskFile>> open(const std::string& name) override;
  Result<> make_directory(const std::string& name) override;
  Result<> remove(const std::string& name) override;
  Result<> remove_directory(const std::string& name) override;
  Result<> rename(const std::string& from, const std::string& to) override;
  Result<> sync_directory(const std::string& name) override;
  Result<std::vector<DiskEntry>> list(const std::string& name) override;
  Result<DiskSpace> space() override;
  Result<> lock(const std::string& name) override;
  [[nodiscard]] std::string absolute(const std::string& name) const override {
    return name.empty() ? path_ : path_ + "/" + name;
  }

 private:
  // The directory that holds a name, and the name in it.
  struct Parent {
    Descriptor directory;
    std::string leaf;
  };

  Result<Descriptor> open_at(const std::string& name, int flags, std::string_view verb);
  Result<Descriptor> open_directory(const std::string& name, int flags, std::string_view verb);
  Result<Parent> parent_of(const std::string& name, std::string_view verb);
  Result<> unlink(const std::string& name, int flags, std::string_view verb);

  Descriptor root_;
  std::string path_;
  std::atomic<int> lock_{-1};
};

std::unexpected<Error> failed(int system_errno, std::string_view verb, std::string_view name) {
  return fail_errno(system_errno, fmt::format("{} {}", verb, name.empty() ? "." : name));
}

Result<Descriptor> LocalDisk::open_at(const std::string& name, int flags, std::string_view verb) {
  if (!is_plain_name(name)) return failed(EINVAL, verb, name);
  const bool creates = (flags & O_CREAT) != 0;
  Descriptor opened(open_beneath(root_.get(), name, flags, creates ? kFileMode : mode_t{0}));
  if (!opened.is_open()) return failed(errno, verb, name);
  return opened;
}

Result<Descriptor> LocalDisk::open_directory(const std::string& name, int flags,
                                             std::string_view verb) {
  if (!name.empty()) return open_at(name, flags | O_DIRECTORY, verb);
  Descriptor opened(open_beneath(root_.get(), ".", flags | O_DIRECTORY, 0));
  if (!opened.is_open()) return failed(errno, verb, name);
  return opened;
}

Result<LocalDisk::Parent> LocalDisk::parent_of(const std::string& name, std::string_view verb) {
  if (!is_plain_name(name)) return failed(EINVAL, verb, name);
  const std::size_t slash = name.rfind('/');
  if (slash == std::string::npos) return Parent{TRY(open_directory("", O_PATH, verb)), name};
  return Parent{TRY(open_directory(name.substr(0, slash), O_PATH, verb)), name.substr(slash + 1)};
}

Result<std::unique_ptr<DiskFile>> LocalDisk::create(const std::string& name) {
  Descriptor opened = TRY(open_at(name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, "create"));
  return std::make_unique<LocalFile>(std::move(opened), name);
}

// A disk that went read-only after a fault must still give back what it holds.
Result<std::unique_ptr<DiskFile>> LocalDisk::open(const std::string& name) {
  auto opened = open_at(name, O_RDWR | O_NOFOLLOW | O_NONBLOCK, "open");
  if (!opened && opened.error().system_errno == EROFS) {
    opened = open_at(name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, "open");
  }
  if (!opened) return fail(std::move(opened).error());
  struct stat status {};
  if (::fstat(opened->get(), &status) != 0) return failed(errno, "open", name);
  if (!S_ISREG(status.st_mode)) return failed(S_ISDIR(status.st_mode) ? EISDIR : EINVAL, "open", name);
  return std::make_unique<LocalFile>(std::move(opened).value(), name);
}

Result<> LocalDisk::make_directory(const std::string& name) {
  const Parent parent = TRY(parent_of(name, "mkdir"));
  if (::mkdirat(parent.directory.get(), parent.leaf.c_str(), kDirectoryMode) == 0) return {};
  if (errno != EEXIST) return failed(errno, "mkdir", name);
  struct stat status {};
  if (::fstatat(parent.directory.get(), parent.leaf.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    return failed(errno, "mkdir", name);
  }
  if (!S_ISDIR(status.st_mode)) return failed(ENOTDIR, "mkdir", name);
  return {};
}

Result<> LocalDisk::unlink(const std::string& name, int flags, std::string_view verb) {
  const Parent parent = TRY(parent_of(name, verb));
  if (::unlinkat(parent.directory.get(), parent.leaf.c_str(), flags) != 0) {
    return failed(errno, verb, name);
  }
  return {};
}

Result<> LocalDisk::remove(const std::string& name) { return unlink(name, 0, "remove"); }

Result<> LocalDisk::remove_directory(const std::string& name) {
  return unlink(name, AT_REMOVEDIR, "rmdir");
}

Result<> LocalDisk::rename(const std::string& from, const std::string& to) {
  const Parent source = TRY(parent_of(from, "rename"));
  const Parent target = TRY(parent_of(to, "rename"));
  if (::renameat(source.directory.get(), source.leaf.c_str(), target.directory.get(),
                 target.leaf.c_str()) != 0) {
    return failed(errno, "rename", fmt::format("{} to {}", from, to));
  }
  return {};
}

Result<> LocalDisk::sync_directory(const std::string& name) {
  const Descriptor directory = TRY(open_directory(name, O_RDONLY, "sync directory"));
  if (::fsync(directory.get()) != 0) return failed(errno, "sync directory", name);
  return {};
}

// nullopt for one that went away meanwhile.
std::optional<DiskEntry> describe(int directory, const dirent& found) {
  DiskEntry entry{found.d_name, DiskEntry::Kind::other, 0};
  struct stat status {};
  if (::fstatat(directory, found.d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) return std::nullopt;
  if (S_ISDIR(status.st_mode)) entry.kind = DiskEntry::Kind::directory;
  if (S_ISREG(status.st_mode)) {
    entry.kind = DiskEntry::Kind::file;
    entry.size = static_cast<std::uint64_t>(status.st_size);
  }
  return entry;
}

Result<std::vector<DiskEntry>> LocalDisk::list(const std::string& name) {
  Descriptor opened = TRY(open_directory(name, O_RDONLY, "list"));
  struct Close {
    void operator()(DIR* directory) const { ::closedir(directory); }
  };
  const std::unique_ptr<DIR, Close> directory(::fdopendir(opened.get()));
  if (directory == nullptr) return failed(errno, "list", name);
  const int number = opened.release();
  std::vector<DiskEntry> entries;
  while (true) {
    errno = 0;
    const dirent* found = ::readdir(directory.get());
    if (found == nullptr && errno != 0) return failed(errno, "list", name);
    if (found == nullptr) return entries;
    const std::string_view leaf = found->d_name;
    if (leaf == "." || leaf == "..") continue;
    if (auto entry = describe(number, *found)) entries.push_back(*std::move(entry));
  }
}

Result<DiskSpace> LocalDisk::space() {
  struct statvfs status {};
  if (::fstatvfs(root_.get(), &status) != 0) return failed(errno, "statvfs", "");
  return DiskSpace{.available = std::uint64_t{status.f_bavail} * status.f_frsize,
                   .total = std::uint64_t{status.f_blocks} * status.f_frsize};
}

// flock, not fcntl: it belongs to the open file, so it survives the fork into the background, and
// closing some other descriptor of the file does not drop it.
Result<> LocalDisk::lock(const std::string& name) {
  Descriptor opened = TRY(open_at(name, O_RDWR | O_CREAT | O_NOFOLLOW, "lock"));
  if (::flock(opened.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return failed(errno, "lock", name);
    return fail(ErrorCode::exists, fmt::format("{} is locked by another process", absolute(name)));
  }
  int none = -1;
  if (!lock_.compare_exchange_strong(none, opened.get())) {
    return fail(ErrorCode::exists, fmt::format("{} holds another lock already", path_));
  }
  (void)opened.release();
  return {};
}

// Durability and locks there depend on another machine.
bool is_network_file_system(long type) {
  constexpr std::array<std::uint32_t, 7> kNetwork{
      0x6969,      // NFS
      0xFF534D42,  // CIFS
      0xFE534D42,  // SMB2
      0x517B,      // SMB
      0x00C36400,  // Ceph
      0x5346414F,  // AFS
      0x01021997,  // 9P
  };
  return std::ranges::find(kNetwork, static_cast<std::uint32_t>(type)) != kNetwork.end();
}

Result<> check_root(int root, const std::string& path) {
  struct stat status {};
  if (::fstat(root, &status) != 0) return failed(errno, "stat", path);
  if (status.st_uid != ::geteuid()) {
    return fail_errno(EPERM, fmt::format("{} belongs to another user (uid {})", path, status.st_uid));
  }
  constexpr mode_t kWritableByOthers = S_IWGRP | S_IWOTH;
  if ((status.st_mode & kWritableByOthers) != 0) {
    return fail_errno(EPERM, fmt::format("{} is writable by others (mode {:04o})", path,
                                         status.st_mode & mode_t{07777}));
  }
  struct statfs system {};
  if (::fstatfs(root, &system) != 0) return failed(errno, "statfs", path);
  if (is_network_file_system(static_cast<long>(system.f_type))) {
    return fail_errno(ENOTSUP, fmt::format("{} is on a network file system", path));
  }
  return {};
}

// Without a slash at the end, which would make open(2) follow a symlink in spite of O_NOFOLLOW.
Result<std::string> absolute_root(const std::string& root) {
  std::error_code error;
  std::string path = std::filesystem::absolute(root, error).lexically_normal().string();
  if (error || path.contains('\0')) return failed(EINVAL, "open directory", root);
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

}  // namespace

Result<std::unique_ptr<Disk>> open_disk(const std::string& root) {
  std::string path = TRY(absolute_root(root));
  Descriptor opened(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!opened.is_open() && (errno == ENOTDIR || errno == ELOOP)) {
    return fail_errno(errno, fmt::format("{} must be a directory, not a symlink to one", path));
  }
  if (!opened.is_open()) return failed(errno, "open directory", path);
  TRY(check_root(opened.get(), path));
  return std::make_unique<LocalDisk>(std::move(opened), std::move(path));
}

}  // namespace spillway
