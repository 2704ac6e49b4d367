#include <fcntl.h>
#include <linux/falloc.h>

#include <memory>

#include "fuse/killed.h"
#include "fuse/operations.h"
#include "fuse/stat_of.h"

namespace spillway::kernel {
namespace {

OpenFlags flags_from(int flags) {
  const int access = flags & O_ACCMODE;
  return {.read = access != O_WRONLY,
          .write = access != O_RDONLY,
          .append = (flags & O_APPEND) != 0,
          .truncate = (flags & O_TRUNC) != 0,
          .exclusive = (flags & O_EXCL) != 0};
}

}  // namespace

FileHandle* Operations::handle_of(const fuse_file_info* file) {
  return reinterpret_cast<FileHandle*>(file->fh);
}

std::shared_ptr<FileHandle> Operations::own(FileHandle* handle) {
  return {handle, [this](FileHandle* last) {
            if (kernel_is_there_) file_system_.release(last);
          }};
}

// Pages of a file that was opened for reading, writing and appending would be written back where
// they were mapped, but every write of such a handle goes to the end: it gets no pages at all, so
// that mapping it is refused.
void Operations::fill(fuse_file_info& file, const Opened& opened) const {
  const auto flags = flags_from(file.flags);
  file.fh = reinterpret_cast<std::uint64_t>(opened.handle);
  file.direct_io = opened.direct_io || flags.append;
  file.keep_cache = opened.keep_cache;
  file.noflush = !flags.write;
}

void Operations::create(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode,
                        fuse_file_info* file) {
  const auto opened = at_child(parent, name, [&](const Path& path) {
    return file_system_.create(path, mode & 07777U, flags_from(file->flags), caller_of(request));
  });
  if (!opened) return answer(request, opened.error());
  answer_created(request, parent, name, *opened, file);
}

void Operations::answer_created(fuse_req_t request, fuse_ino_t parent, const char* name,
                                const Opened& opened, fuse_file_info* file) {
  fill(*file, opened);
  const auto entry = entry_for(parent, name, opened.attributes, opened.valid_for);
  inodes_.opened(entry.ino, own(opened.handle));
  if (fuse_reply_create(request, &entry, file) == 0) return;
  inodes_.closed(entry.ino, opened.handle).reset();
  inodes_.forget(entry.ino, 1);
}

void Operations::open(fuse_req_t request, fuse_ino_t node, fuse_file_info* file) {
  const auto opened = at_named(node, [&](const Path& path) {
    return file_system_.open(path, flags_from(file->flags), caller_of(request));
  });
  if (!opened) return answer(request, opened.error());
  fill(*file, *opened);
  inodes_.opened(node, own(opened->handle));
  // The kernel refuses the answer when its caller was killed meanwhile; it then never releases.
  if (fuse_reply_open(request, file) != 0) inodes_.closed(node, opened->handle).reset();
}

void Operations::read(fuse_req_t request, fuse_ino_t /*node*/, std::size_t size, off_t offset,
                      fuse_file_info* file) {
  const auto buffer = std::make_unique_for_overwrite<std::byte[]>(size);
  const auto got = file_system_.read(*handle_of(file), static_cast<std::uint64_t>(offset),
                                     std::span(buffer.get(), size));
  if (!got) return answer(request, got.error());
  fuse_reply_buf(request, reinterpret_cast<const char*>(buffer.get()), *got);
}

void Operations::write(fuse_req_t request, fuse_ino_t /*node*/, const char* bytes,
                       std::size_t size, off_t offset, fuse_file_info* file) {
  const auto done = file_system_.write(*handle_of(file), static_cast<std::uint64_t>(offset),
                                       std::as_bytes(std::span(bytes, size)));
  if (!done) return answer(request, done.error());
  fuse_reply_write(request, size);
}

void Operations::flush(fuse_req_t request, fuse_ino_t /*node*/, fuse_file_info* file) {
  Caller caller = caller_of(request);
  caller.was_killed = was_killed(caller.pid);
  answer(request, file_system_.flush(*handle_of(file), caller));
}

// Answered when all is done: the kernel has a limit on releases under way, which then keeps them
// from taking every thread.
void Operations::release(fuse_req_t request, fuse_ino_t node, fuse_file_info* file) {
  inodes_.closed(node, handle_of(file)).reset();
  fuse_reply_err(request, 0);
}

void Operations::fsync(fuse_req_t request, fuse_ino_t /*node*/, int /*data_only*/,
                       fuse_file_info* file) {
  answer(request, file_system_.fsync(*handle_of(file)));
}

void Operations::fallocate(fuse_req_t request, fuse_ino_t /*node*/, int mode, off_t offset,
                           off_t length, fuse_file_info* file) {
  if (mode != 0 && mode != FALLOC_FL_KEEP_SIZE) {
    return static_cast<void>(fuse_reply_err(request, EOPNOTSUPP));
  }
  const auto allocation = mode == 0 ? FileSystem::Allocation::grow
                                    : FileSystem::Allocation::keep_size;
  answer(request, file_system_.allocate(*handle_of(file), allocation,
                                        static_cast<std::uint64_t>(offset),
                                        static_cast<std::uint64_t>(length)));
}

}  // namespace spillway::kernel
