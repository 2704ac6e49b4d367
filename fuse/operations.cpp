#include "fuse/operations.h"

#include <fcntl.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cstdio>
#include <limits>
#include <new>

#include "fuse/errno_of.h"
#include "fuse/stat_of.h"

namespace spillway::kernel {
namespace {

constexpr unsigned kLargestWrite = 1024 * 1024;

// Paths of a mount are its own numbers for life, so there is one generation only.
constexpr std::uint64_t kGeneration = 1;

constexpr unsigned kWanted = FUSE_CAP_ASYNC_READ | FUSE_CAP_ASYNC_DIO | FUSE_CAP_ATOMIC_O_TRUNC |
                             FUSE_CAP_AUTO_INVAL_DATA | FUSE_CAP_READDIRPLUS |
                             FUSE_CAP_READDIRPLUS_AUTO;

}  // namespace

// The only place where C calls C++: an exception must not go further up.
template <class... Arguments, void (Operations::*method)(fuse_req_t, Arguments...)>
struct Operations::Entry<method> {
  static void call(fuse_req_t request, Arguments... arguments) {
    try {
      auto& self = *static_cast<Operations*>(fuse_req_userdata(request));
      (self.*method)(request, arguments...);
    } catch (const std::bad_alloc&) {
      fuse_reply_err(request, ENOMEM);
    } catch (const std::exception&) {
      fuse_reply_err(request, EIO);
    }
  }
};

// Left out on purpose: locks (the kernel keeps them), lseek and copy_file_range (the kernel does
// without), access (open and lookup tell), write_buf (splice gains nothing where bytes are hashed).
fuse_lowlevel_ops Operations::table() {
  fuse_lowlevel_ops table{};
  table.init = &Operations::init;
  table.lookup = &Entry<&Operations::lookup>::call;
  table.forget = &Entry<&Operations::forget>::call;
  table.forget_multi = &Entry<&Operations::forget_multi>::call;
  table.getattr = &Entry<&Operations::getattr>::call;
  table.setattr = &Entry<&Operations::setattr>::call;
  table.readlink = &Entry<&Operations::readlink>::call;
  table.mknod = &Entry<&Operations::mknod>::call;
  table.mkdir = &Entry<&Operations::mkdir>::call;
  table.symlink = &Entry<&Operations::symlink>::call;
  table.unlink = &Entry<&Operations::unlink>::call;
  table.rmdir = &Entry<&Operations::rmdir>::call;
  table.rename = &Entry<&Operations::rename>::call;
  table.link = &Entry<&Operations::link>::call;
  table.statfs = &Entry<&Operations::statfs>::call;
  table.create = &Entry<&Operations::create>::call;
  table.open = &Entry<&Operations::open>::call;
  table.read = &Entry<&Operations::read>::call;
  table.write = &Entry<&Operations::write>::call;
  table.flush = &Entry<&Operations::flush>::call;
  table.release = &Entry<&Operations::release>::call;
  table.fsync = &Entry<&Operations::fsync>::call;
  table.fallocate = &Entry<&Operations::fallocate>::call;
  table.opendir = &Entry<&Operations::opendir>::call;
  table.readdir = &Entry<&Operations::readdir>::call;
  table.readdirplus = &Entry<&Operations::readdirplus>::call;
  table.releasedir = &Entry<&Operations::releasedir>::call;
  table.fsyncdir = &Entry<&Operations::fsyncdir>::call;
  table.setxattr = &Entry<&Operations::setxattr>::call;
  table.getxattr = &Entry<&Operations::getxattr>::call;
  table.listxattr = &Entry<&Operations::listxattr>::call;
  table.removexattr = &Entry<&Operations::removexattr>::call;
  return table;
}

Operations::Operations(FileSystem& file_system, Executor& executor, const MountSettings& settings)
    : file_system_(file_system),
      clock_(executor.clock()),
      presentation_(settings.presentation),
      background_(static_cast<unsigned>(std::clamp<std::size_t>(settings.threads / 4, 1, 64))),
      streams_(executor),
      inodes_(executor),
      invalidation_(inodes_, executor) {}

// Never: the write-back cache (it swallows errors), splice, locks of ours, POSIX ACLs, clearing of
// set-id bits by us (the kernel asks for it with a chmod), names without umask.
void Operations::init(void* self, fuse_conn_info* connection) {
  const auto& operations = *static_cast<Operations*>(self);
  connection->want = connection->capable & kWanted;
  connection->max_write = std::min(connection->max_write, kLargestWrite);
  connection->max_background = operations.background_;
}

void Operations::lookup(fuse_req_t request, fuse_ino_t parent, const char* name) {
  const auto found =
      at_child(parent, name, [&](const Path& path) { return file_system_.lookup(path); });
  if (!found) return answer(request, found.error());
  if (found->attributes) {
    const auto entry = entry_for(parent, name, *found->attributes, found->valid_for);
    if (fuse_reply_entry(request, &entry) != 0) inodes_.forget(entry.ino, 1);
  } else if (found->valid_for > Duration::zero()) {
    fuse_entry_param absent{};
    absent.entry_timeout = seconds(found->valid_for);
    fuse_reply_entry(request, &absent);
  } else {
    fuse_reply_err(request, ENOENT);
  }
}

void Operations::forget(fuse_req_t request, fuse_ino_t node, std::uint64_t lookups) {
  inodes_.forget(node, lookups);
  fuse_reply_none(request);
}

void Operations::forget_multi(fuse_req_t request, std::size_t count, fuse_forget_data* forgets) {
  for (const auto& one : std::span(forgets, count)) inodes_.forget(one.ino, one.nlookup);
  fuse_reply_none(request);
}

void Operations::getattr(fuse_req_t request, fuse_ino_t node, fuse_file_info* file) {
  answer_attributes(request, at(node, file, [&](const Path& path, FileHandle* handle) {
                      return file_system_.attributes(path, handle);
                    }));
}

void Operations::setattr(fuse_req_t request, fuse_ino_t node, struct stat* wanted, int which,
                         fuse_file_info* file) {
  const auto change = change_from(*wanted, which);
  const bool nothing = !change.size && !change.permissions && !change.uid && !change.gid &&
                       !change.mtime;
  if (nothing) return getattr(request, node, file);
  answer_attributes(request, at(node, file, [&](const Path& path, FileHandle* handle) {
                      return file_system_.set_attributes(path, handle, change, caller_of(request));
                    }));
}

// Access times are not kept, and the change time is the program's own.
AttributeChange Operations::change_from(const struct stat& wanted, int which) const {
  AttributeChange change;
  const auto asked = [&](int flag) { return (which & flag) != 0; };
  if (asked(FUSE_SET_ATTR_SIZE)) change.size = static_cast<std::uint64_t>(wanted.st_size);
  if (asked(FUSE_SET_ATTR_MODE)) change.permissions = wanted.st_mode & 07777U;
  if (asked(FUSE_SET_ATTR_UID)) change.uid = wanted.st_uid;
  if (asked(FUSE_SET_ATTR_GID)) change.gid = wanted.st_gid;
  if (asked(FUSE_SET_ATTR_MTIME)) change.mtime = wall_time_of(wanted.st_mtim);
  if (asked(FUSE_SET_ATTR_MTIME_NOW)) change.mtime = clock_.wall();
  return change;
}

void Operations::readlink(fuse_req_t request, fuse_ino_t node) {
  const auto target =
      at_named(node, [&](const Path& path) { return file_system_.read_symlink(path); });
  if (!target) return answer(request, target.error());
  fuse_reply_readlink(request, target->c_str());
}

void Operations::mknod(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode,
                       dev_t /*device*/) {
  const auto caller = caller_of(request);
  const std::uint32_t permissions = mode & 07777U;
  const auto special = [&](FileKind kind) {
    answer_entry(request, parent, name, at_child(parent, name, [&](const Path& path) {
                   return file_system_.make_special(path, kind, permissions, caller);
                 }));
  };
  if (S_ISFIFO(mode)) return special(FileKind::fifo);
  if (S_ISSOCK(mode)) return special(FileKind::socket);
  if (!S_ISREG(mode)) return static_cast<void>(fuse_reply_err(request, EPERM));
  const auto made = at_child(parent, name, [&](const Path& path) {
    return file_system_.create(path, permissions, {.write = true, .exclusive = true}, caller);
  });
  if (!made) return answer(request, made.error());
  file_system_.release(made->handle);
  answer_entry(request, parent, name, made->attributes);
}

void Operations::mkdir(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode) {
  answer_entry(request, parent, name, at_child(parent, name, [&](const Path& path) {
                 return file_system_.make_directory(path, mode & 07777U, caller_of(request));
               }));
}

void Operations::symlink(fuse_req_t request, const char* target, fuse_ino_t parent,
                         const char* name) {
  answer_entry(request, parent, name, at_child(parent, name, [&](const Path& path) {
                 return file_system_.make_symlink(path, target, caller_of(request));
               }));
}

void Operations::unlink(fuse_req_t request, fuse_ino_t parent, const char* name) {
  const auto done =
      at_child(parent, name, [&](const Path& path) { return file_system_.unlink(path); });
  if (done) inodes_.removed(parent, name);
  answer(request, done);
}

void Operations::rmdir(fuse_req_t request, fuse_ino_t parent, const char* name) {
  const auto done = at_child(
      parent, name, [&](const Path& path) { return file_system_.remove_directory(path); });
  if (done) inodes_.removed(parent, name);
  answer(request, done);
}

// RENAME_EXCHANGE would be two objects changed at once, which B2 can't do.
void Operations::rename(fuse_req_t request, fuse_ino_t from_parent, const char* from,
                        fuse_ino_t to_parent, const char* to, unsigned flags) {
  if ((flags & ~static_cast<unsigned>(RENAME_NOREPLACE)) != 0) {
    return static_cast<void>(fuse_reply_err(request, EINVAL));
  }
  const auto mode = flags == 0 ? RenameMode::replace : RenameMode::no_replace;
  const auto done = at_child(from_parent, from, [&](const Path& old_path) {
    return at_child(to_parent, to, [&](const Path& new_path) {
      return file_system_.rename(old_path, new_path, mode);
    });
  });
  if (done) inodes_.renamed(from_parent, from, to_parent, to);
  answer(request, done);
}

// One name, one object: two names of one file don't exist in a bucket.
void Operations::link(fuse_req_t request, fuse_ino_t /*node*/, fuse_ino_t /*parent*/,
                      const char* /*name*/) {
  fuse_reply_err(request, EPERM);
}

void Operations::statfs(fuse_req_t request, fuse_ino_t /*node*/) {
  constexpr std::uint64_t kBlock = 4096;
  constexpr std::uint64_t kFilesToCome = 1'000'000'000;  // a bucket has no limit, df wants one
  const auto space = file_system_.space();
  if (!space) return answer(request, space.error());
  struct statvfs out {};
  out.f_bsize = kBlock;
  out.f_frsize = kBlock;
  out.f_blocks = space->total_bytes / kBlock;
  out.f_bfree = space->free_bytes / kBlock;
  out.f_bavail = out.f_bfree;
  out.f_files = space->files + kFilesToCome;
  out.f_ffree = kFilesToCome;
  out.f_favail = kFilesToCome;
  out.f_namemax = kLongestName;
  fuse_reply_statfs(request, &out);
}

std::unexpected<Error> Operations::not_a_name(std::string_view name) {
  return name.size() > kLongestShownName ? fail(ErrorCode::name_too_long, "name too long")
                                         : fail(ErrorCode::invalid_argument, "not a name");
}

// --- answers

void Operations::answer(fuse_req_t request, const Error& error) {
  fuse_reply_err(request, errno_of(error));
}

void Operations::answer(fuse_req_t request, const Result<>& result) {
  fuse_reply_err(request, result.ok() ? 0 : errno_of(result.error()));
}

void Operations::answer_attributes(fuse_req_t request, const Result<Attributes>& attributes) {
  if (!attributes) return answer(request, attributes.error());
  const auto shown = stat_of(*attributes, presentation_);
  fuse_reply_attr(request, &shown, seconds(presentation_.attributes_valid_for));
}

void Operations::answer_entry(fuse_req_t request, fuse_ino_t parent, const char* name,
                              const Result<Attributes>& attributes) {
  if (!attributes) return answer(request, attributes.error());
  const auto entry =
      entry_for(parent, name, *attributes, presentation_.attributes_valid_for);
  if (fuse_reply_entry(request, &entry) != 0) inodes_.forget(entry.ino, 1);
}

fuse_entry_param Operations::entry_for(fuse_ino_t parent, std::string_view name,
                                       const Attributes& attributes, Duration valid_for) {
  fuse_entry_param entry{};
  entry.ino = inodes_.remember(parent, name, attributes.kind, attributes.inode);
  entry.generation = kGeneration;
  entry.attr = stat_of(attributes, presentation_);
  entry.attr_timeout = seconds(valid_for);
  entry.entry_timeout = seconds(valid_for);
  return entry;
}

Caller Operations::caller_of(fuse_req_t request) {
  const fuse_ctx& context = *fuse_req_ctx(request);
  return {.uid = context.uid, .gid = context.gid, .pid = context.pid};
}

}  // namespace spillway::kernel
