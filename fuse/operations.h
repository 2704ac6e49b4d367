// What the kernel may ask, each answered by one call to the file system. A method is one request:
// it answers exactly once, on the thread that brought it, and may block until it can.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <unordered_map>
#include <utility>

#include "fuse/inodes.h"
#include "fuse/invalidation.h"
#include "fuse/libfuse.h"
#include "fuse/mount.h"
#include "fuse/parallel_dirops.h"
#include "src/file_system.h"

namespace spillway::kernel {

// What opendir gave.
struct DirectoryStream {
  DirectoryHandle* handle = nullptr;
  std::atomic<int> owed = 0;  // errno for the call after the one that gave the last entries
};

class Operations {
 public:
  Operations(FileSystem& file_system, Executor& executor, const MountSettings& settings);
  Operations(const Operations&) = delete;
  Operations& operator=(const Operations&) = delete;

  // For fuse_session_new(), whose user data must be this object.
  [[nodiscard]] static fuse_lowlevel_ops table();

  // The kernel is gone and no request is being served. Directories it left open are released; files
  // are not: FileSystem::shut_down() knows them, and how long it may take.
  void kernel_has_left();

  [[nodiscard]] ParallelDirops& parallel_dirops() { return parallel_dirops_; }
  [[nodiscard]] Invalidation& invalidation() { return invalidation_; }

 private:
  template <auto method>
  struct Entry;  // the C function that calls a method

  static void init(void* self, fuse_conn_info* connection);

  // --- names: operations.cpp
  void lookup(fuse_req_t, fuse_ino_t parent, const char* name);
  void forget(fuse_req_t, fuse_ino_t node, std::uint64_t lookups);
  void forget_multi(fuse_req_t, std::size_t count, fuse_forget_data* forgets);
  void getattr(fuse_req_t, fuse_ino_t node, fuse_file_info* file);
  void setattr(fuse_req_t, fuse_ino_t node, struct stat* wanted, int which, fuse_file_info* file);
  void readlink(fuse_req_t, fuse_ino_t node);
  void mknod(fuse_req_t, fuse_ino_t parent, const char* name, mode_t mode, dev_t device);
  void mkdir(fuse_req_t, fuse_ino_t parent, const char* name, mode_t mode);
  void symlink(fuse_req_t, const char* target, fuse_ino_t parent, const char* name);
  void unlink(fuse_req_t, fuse_ino_t parent, const char* name);
  void rmdir(fuse_req_t, fuse_ino_t parent, const char* name);
  void rename(fuse_req_t, fuse_ino_t from_parent, const char* from, fuse_ino_t to_parent,
              const char* to, unsigned flags);
  void link(fuse_req_t, fuse_ino_t node, fuse_ino_t parent, const char* name);
  void statfs(fuse_req_t, fuse_ino_t node);

  // --- open files: file_operations.cpp
  void create(fuse_req_t, fuse_ino_t parent, const char* name, mode_t mode, fuse_file_info* file);
  void open(fuse_req_t, fuse_ino_t node, fuse_file_info* file);
  void read(fuse_req_t, fuse_ino_t node, std::size_t size, off_t offset, fuse_file_info* file);
  void write(fuse_req_t, fuse_ino_t node, const char* bytes, std::size_t size, off_t offset,
             fuse_file_info* file);
  void flush(fuse_req_t, fuse_ino_t node, fuse_file_info* file);
  void release(fuse_req_t, fuse_ino_t node, fuse_file_info* file);
  void fsync(fuse_req_t, fuse_ino_t node, int data_only, fuse_file_info* file);
  void fallocate(fuse_req_t, fuse_ino_t node, int mode, off_t offset, off_t length,
                 fuse_file_info* file);

  // --- directories: directory_operations.cpp
  void opendir(fuse_req_t, fuse_ino_t node, fuse_file_info* file);
  void readdir(fuse_req_t, fuse_ino_t node, std::size_t size, off_t offset, fuse_file_info* file);
  void readdirplus(fuse_req_t, fuse_ino_t node, std::size_t size, off_t offset,
                   fuse_file_info* file);
  void releasedir(fuse_req_t, fuse_ino_t node, fuse_file_info* file);
  void fsyncdir(fuse_req_t, fuse_ino_t node, int data_only, fuse_file_info* file);
  void close_stream(const DirectoryStream& stream);
  void list(fuse_req_t, fuse_ino_t node, std::size_t size, off_t offset, DirectoryStream& stream,
            EntryDetail detail);

  // --- attributes with names: xattr_operations.cpp
  void setxattr(fuse_req_t, fuse_ino_t node, const char* name, const char* value, std::size_t size,
                int flags);
  void getxattr(fuse_req_t, fuse_ino_t node, const char* name, std::size_t size);
  void listxattr(fuse_req_t, fuse_ino_t node, std::size_t size);
  void removexattr(fuse_req_t, fuse_ino_t node, const char* name);

  // Calls `call(path, handle)` for a node: with its path, and with an open handle where `file` is
  // one or the name is gone. Where a directory above was renamed in the middle, the path is looked
  // up once more.
  template <class Call>
  auto at(fuse_ino_t node, fuse_file_info* file, Call call)
      -> std::invoke_result_t<Call, const Path&, FileHandle*>;
  // Calls `call(path)` for a name in a directory, or for a node that must have a name.
  template <class Call>
  auto at_child(fuse_ino_t parent, const char* name, Call call)
      -> std::invoke_result_t<Call, const Path&>;
  template <class Call>
  auto at_named(fuse_ino_t node, Call call) -> std::invoke_result_t<Call, const Path&>;

  // The kernel sends names of up to 1,024 bytes, and lets the program judge them.
  static std::unexpected<Error> not_a_name(std::string_view name);

  // Answers, each of them the one of its request.
  static void answer(fuse_req_t request, const Error& error);
  static void answer(fuse_req_t request, const Result<>& result);
  static void answer_text(fuse_req_t request, std::size_t size, std::string_view text);
  void answer_attributes(fuse_req_t request, const Result<Attributes>& attributes);
  void answer_entry(fuse_req_t request, fuse_ino_t parent, const char* name,
                    const Result<Attributes>& attributes);
  void answer_created(fuse_req_t request, fuse_ino_t parent, const char* name,
                      const Opened& opened, fuse_file_info* file);

  // An entry for the kernel, with one lookup counted.
  fuse_entry_param entry_for(fuse_ino_t parent, std::string_view name,
                             const Attributes& attributes, Duration valid_for);
  void fill(fuse_file_info& file, const Opened& opened) const;
  std::shared_ptr<FileHandle> own(FileHandle* handle);
  static FileHandle* handle_of(const fuse_file_info* file);
  static Caller caller_of(fuse_req_t request);
  AttributeChange change_from(const struct stat& wanted, int which) const;

  FileSystem& file_system_;
  const Clock& clock_;
  const Presentation presentation_;
  const unsigned background_;  // requests at once that nobody waits for: read-ahead, releases
  std::atomic<bool> kernel_is_there_ = true;
  Guarded<std::unordered_map<const DirectoryStream*, std::unique_ptr<DirectoryStream>>> streams_;
  Inodes inodes_;
  Invalidation invalidation_;
  ParallelDirops parallel_dirops_;
};

// --- implementation of the templates

template <class Call>
auto Operations::at(fuse_ino_t node, fuse_file_info* file, Call call)
    -> std::invoke_result_t<Call, const Path&, FileHandle*> {
  const auto place = inodes_.locate(node);
  if (!place) return fail(ErrorCode::stale, "the file is not known any more");
  FileHandle* const handle = file != nullptr ? handle_of(file) : place->handle.get();
  if (!place->named && handle == nullptr) return fail(ErrorCode::stale, "the name is gone");
  auto result = call(place->path, handle);
  if (result.ok() || result.error().code != ErrorCode::not_found) return result;
  const auto now = inodes_.locate(node);
  if (!now || !now->named || now->path == place->path) return result;
  return call(now->path, handle);
}

template <class Call>
auto Operations::at_named(fuse_ino_t node, Call call) -> std::invoke_result_t<Call, const Path&> {
  return at(node, nullptr, [&](const Path& path, FileHandle* orphan) {
    using Answer = std::invoke_result_t<Call, const Path&>;
    if (orphan != nullptr) return Answer(fail(ErrorCode::stale, "the name is gone"));
    return call(path);
  });
}

template <class Call>
auto Operations::at_child(fuse_ino_t parent, const char* name, Call call)
    -> std::invoke_result_t<Call, const Path&> {
  return at_named(parent, [&](const Path& directory) {
    using Answer = std::invoke_result_t<Call, const Path&>;
    const auto path = directory.child(name);
    if (!path) return Answer(not_a_name(name));
    return call(*path);
  });
}

}  // namespace spillway::kernel
