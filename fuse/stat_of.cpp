#include "fuse/stat_of.h"

#include <algorithm>

namespace spillway::kernel {
namespace {

constexpr std::uint64_t kBlockOfStBlocks = 512;
constexpr blksize_t kGoodTransferSize = 1024 * 1024;

}  // namespace

mode_t type_of(FileKind kind) {
  switch (kind) {
    case FileKind::regular: return S_IFREG;
    case FileKind::directory: return S_IFDIR;
    case FileKind::symlink: return S_IFLNK;
    case FileKind::fifo: return S_IFIFO;
    case FileKind::socket: return S_IFSOCK;
  }
  return S_IFREG;
}

struct stat stat_of(const Attributes& attributes, const Presentation& presentation) {
  struct stat out {};
  const mode_t hidden = presentation.umask.value_or(0);
  out.st_ino = attributes.inode;
  out.st_mode = type_of(attributes.kind) | (attributes.permissions & 07777U & ~hidden);
  const nlink_t names = attributes.kind == FileKind::directory ? 2 : 1;
  out.st_nlink = attributes.is_unlinked ? 0 : names;
  out.st_uid = presentation.uid.value_or(attributes.uid);
  out.st_gid = presentation.gid.value_or(attributes.gid);
  out.st_size = static_cast<off_t>(attributes.size);
  out.st_blksize = kGoodTransferSize;
  out.st_blocks = static_cast<blkcnt_t>(attributes.size / kBlockOfStBlocks +
                                        (attributes.size % kBlockOfStBlocks == 0 ? 0 : 1));
  out.st_mtim = timespec_of(attributes.mtime);
  out.st_ctim = timespec_of(attributes.ctime);
  out.st_atim = out.st_mtim;
  return out;
}

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

struct timespec timespec_of(WallTime time) {
  const auto whole = std::chrono::floor<std::chrono::seconds>(time);
  return {.tv_sec = whole.time_since_epoch().count(), .tv_nsec = (time - whole).count()};
}

WallTime wall_time_of(const struct timespec& time) {
  using std::chrono::floor;
  const auto first = floor<std::chrono::seconds>(WallTime::min()).time_since_epoch() +
                     std::chrono::seconds(1);
  const auto last = floor<std::chrono::seconds>(WallTime::max()).time_since_epoch() -
                    std::chrono::seconds(1);
  const auto whole = std::clamp(std::chrono::seconds(time.tv_sec), first, last);
  return WallTime(whole) + std::chrono::nanoseconds(time.tv_nsec);
}

}  // namespace spillway::kernel
