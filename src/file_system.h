// The program seen from above: a tree of files, one method a file verb. fuse/ calls it for the
// kernel, src/cli for `put` and `get`; it knows neither.
//
// All methods may be called from any thread and block until their result is known; no lock is held
// over a call to B2 that another file's call would need, so a slow file delays nobody else.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "src/clock.h"
#include "src/error.h"
#include "src/metadata.h"
#include "src/path.h"

namespace spillway {

struct Attributes {
  FileKind kind = FileKind::regular;
  std::uint64_t size = 0;
  WallTime mtime{};
  WallTime ctime{};
  std::uint32_t permissions = 0;  // twelve low bits
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::uint64_t inode = 0;  // same for a path over remounts
  bool is_unlinked = false;  // open, and without a name
};

// What the kernel may keep, and how long.
struct Lookup {
  std::optional<Attributes> attributes;  // empty: there is no such name
  Duration valid_for{};
};

struct AttributeChange {
  std::optional<std::uint64_t> size;
  std::optional<std::uint32_t> permissions;
  std::optional<std::uint32_t> uid;
  std::optional<std::uint32_t> gid;
  std::optional<WallTime> mtime;
};

// The process that makes a call.
struct Caller {
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::int32_t pid = 0;
  // It is being ended by a signal. Known of flush() only.
  bool was_killed = false;
};

struct OpenFlags {
  bool read = false;
  bool write = false;
  bool append = false;
  bool truncate = false;
  bool exclusive = false;  // create() only: fail with `exists`
};

// One open(2) of a file. Owned by the FileSystem until release().
class FileHandle;
// One opendir(3).
class DirectoryHandle;

struct Opened {
  FileHandle* handle = nullptr;
  Attributes attributes;
  Duration valid_for{};
  bool direct_io = false;   // the kernel must not cache this handle's bytes
  bool keep_cache = false;  // the kernel's pages of an earlier open are still right
};

struct DirectoryEntry {
  std::string name;
  FileKind kind = FileKind::regular;
  std::uint64_t inode = 0;
  std::optional<Attributes> attributes;  // where asked for and known
  Duration valid_for{};
  std::uint64_t next = 0;  // cookie that continues after this entry
};

struct Space {
  std::uint64_t total_bytes = 0;
  std::uint64_t free_bytes = 0;
  std::uint64_t files = 0;
};

enum class EntryDetail : std::uint8_t { names, attributes };
enum class XattrMode : std::uint8_t { any, create, replace };
enum class RenameMode : std::uint8_t { replace, no_replace };

// How the file system tells the kernel that something changed behind its back. Called from worker
// threads only, never from within one of the methods below, and with no lock held.
class KernelCache {
 public:
  virtual ~KernelCache() = default;
  virtual void content_changed(const Path& path) = 0;  // drop pages and attributes
  virtual void entry_changed(const Path& path) = 0;    // look the name up again
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;

  // May be set once, before the first call.
  virtual void set_kernel_cache(KernelCache* cache) = 0;

  // --- names
  virtual Result<Lookup> lookup(const Path& path) = 0;
  // With a handle the answer is that open file's, also after its name is gone.
  virtual Result<Attributes> attributes(const Path& path, FileHandle* handle) = 0;
  virtual Result<Attributes> set_attributes(const Path& path, FileHandle* handle,
                                            const AttributeChange& change,
                                            const Caller& caller) = 0;
  virtual Result<Attributes> make_directory(const Path& path, std::uint32_t permissions,
                                            const Caller& caller) = 0;
  virtual Result<Attributes> make_symlink(const Path& path, const std::string& target,
                                          const Caller& caller) = 0;
  // FIFOs and sockets: a zero-byte object with its kind.
  virtual Result<Attributes> make_special(const Path& path, FileKind kind,
                                          std::uint32_t permissions, const Caller& caller) = 0;
  virtual Result<std::string> read_symlink(const Path& path) = 0;
  virtual Result<> unlink(const Path& path) = 0;
  virtual Result<> remove_directory(const Path& path) = 0;
  virtual Result<> rename(const Path& from, const Path& to, RenameMode mode) = 0;

  // --- files
  virtual Result<Opened> create(const Path& path, std::uint32_t permissions, OpenFlags flags,
                                const Caller& caller) = 0;
  virtual Result<Opened> open(const Path& path, OpenFlags flags, const Caller& caller) = 0;
  // Fewer bytes than asked for only at the end of the file.
  virtual Result<std::size_t> read(FileHandle& handle, std::uint64_t offset,
                                   std::span<std::byte> bytes) = 0;
  // All of `bytes` or an error. Waits for memory when B2 is slower than the writer. A handle opened
  // with `append` writes at the end, whatever `offset` says.
  virtual Result<> write(FileHandle& handle, std::uint64_t offset,
                         std::span<const std::byte> bytes) = 0;
  // close(2) of one descriptor: commits what this handle's file has accepted so far, except for a
  // handle that wrote nothing. ok: whole and durable, in B2 or in the shadow.
  virtual Result<> flush(FileHandle& handle, const Caller& caller) = 0;
  virtual Result<> fsync(FileHandle& handle) = 0;
  // The last close: commits what came after the last flush. A failure diverts or is logged.
  virtual void release(FileHandle* handle) = 0;
  // Space for [offset, offset + size): grows the file with zeros unless `keep_size`.
  enum class Allocation : std::uint8_t { grow, keep_size };
  virtual Result<> allocate(FileHandle& handle, Allocation mode, std::uint64_t offset,
                            std::uint64_t size) = 0;

  // --- directories
  virtual Result<DirectoryHandle*> open_directory(const Path& path) = 0;
  // Calls `visit` for entries after the cookie `from` (0: the first; "." and ".." are not among
  // them) until it returns false, or for some of them: there are none left when it is called for
  // none. An error may follow some entries: when B2 can't be asked the known ones are given, then the
  // error, never a clean end.
  virtual Result<> read_directory(DirectoryHandle& handle, std::uint64_t from, EntryDetail detail,
                                  const std::function<bool(const DirectoryEntry&)>& visit) = 0;
  virtual void release_directory(DirectoryHandle* handle) = 0;
  // Barrier: everything below that is not committed yet is.
  virtual Result<> sync_directory(const Path& path) = 0;

  // --- the rest
  virtual Result<Space> space() = 0;
  virtual Result<std::string> get_xattr(const Path& path, const std::string& name) = 0;
  virtual Result<std::vector<std::string>> list_xattrs(const Path& path) = 0;
  virtual Result<> set_xattr(const Path& path, const std::string& name, const std::string& value,
                             XattrMode mode) = 0;
  virtual Result<> remove_xattr(const Path& path, const std::string& name) = 0;

  // Unmount: commits or diverts what is in flight and waits for it, at most `limit`. Nothing that
  // was acknowledged is in RAM only when it returns.
  virtual void shut_down(Duration limit) = 0;
};

}  // namespace spillway
