// A file system in memory, as plain as it can be: what the kernel layer is tested against. Every
// call first goes through `before`, which can delay it, watch it, or make it fail.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "src/file_system.h"

namespace spillway::test {

struct PlainFile {
  Attributes attributes;
  std::string bytes;  // of a symlink: its target
  std::map<std::string, std::string> xattrs;
};

class PlainTree final : public FileSystem {
 public:
  // The error to fail with, or nothing. `path` is that of the file, of the directory, or what a
  // handle was opened by. Called with no lock held.
  using Before =
      std::function<std::optional<Error>(const std::string& verb, const std::string& path)>;

  PlainTree();
  ~PlainTree() override;

  // --- for tests, from any thread
  void set_before(Before before);
  [[nodiscard]] int calls(const std::string& verb);
  // Changes a file behind the kernel's back.
  void put(const std::string& path, const std::string& bytes);
  void drop(const std::string& path);
  [[nodiscard]] std::string bytes_of(const std::string& path);
  [[nodiscard]] Attributes attributes_of(const std::string& path);
  [[nodiscard]] int open_handles();
  [[nodiscard]] std::vector<Caller> callers();
  [[nodiscard]] KernelCache& kernel() { return *kernel_; }
  // Directories opened from now on give this many entries, then the error.
  void break_listings(std::size_t after, Error error);
  // Directories opened from now on give names only, even where more is asked for.
  void list_without_attributes();
  // What lookups and opens say; set before the mount.
  Duration absent_valid_for{};
  Duration present_valid_for = std::chrono::seconds(5);
  bool keep_cache = false;
  bool direct_io_writers = true;

  // --- FileSystem
  void set_kernel_cache(KernelCache* cache) override { kernel_ = cache; }
  Result<Lookup> lookup(const Path& path) override;
  Result<Attributes> attributes(const Path& path, FileHandle* handle) override;
  Result<Attributes> set_attributes(const Path& path, FileHandle* handle,
                                    const AttributeChange& change, const Caller& caller) override;
  Result<Attributes> make_directory(const Path& path, std::uint32_t permissions,
                                    const Caller& caller) override;
  Result<Attributes> make_symlink(const Path& path, const std::string& target,
                                  const Caller& caller) override;
  Result<Attributes> make_special(const Path& path, FileKind kind, std::uint32_t permissions,
                                  const Caller& caller) override;
  Result<std::string> read_symlink(const Path& path) override;
  Result<> unlink(const Path& path) override;
  Result<> remove_directory(const Path& path) override;
  Result<> rename(const Path& from, const Path& to, RenameMode mode) override;
  Result<Opened> create(const Path& path, std::uint32_t permissions, OpenFlags flags,
                        const Caller& caller) override;
  Result<Opened> open(const Path& path, OpenFlags flags, const Caller& caller) override;
  Result<std::size_t> read(FileHandle& handle, std::uint64_t offset,
                           std::span<std::byte> bytes) override;
  Result<> write(FileHandle& handle, std::uint64_t offset,
                 std::span<const std::byte> bytes) override;
  Result<> flush(FileHandle& handle, const Caller& caller) override;
  Result<> fsync(FileHandle& handle) override;
  void release(FileHandle* handle) override;
  Result<> allocate(FileHandle& handle, Allocation mode, std::uint64_t offset,
                    std::uint64_t size) override;
  Result<DirectoryHandle*> open_directory(const Path& path) override;
  Result<> read_directory(DirectoryHandle& handle, std::uint64_t from, EntryDetail detail,
                          const std::function<bool(const DirectoryEntry&)>& visit) override;
  void release_directory(DirectoryHandle* handle) override;
  Result<> sync_directory(const Path& path) override;
  Result<Space> space() override;
  Result<std::string> get_xattr(const Path& path, const std::string& name) override;
  Result<std::vector<std::string>> list_xattrs(const Path& path) override;
  Result<> set_xattr(const Path& path, const std::string& name, const std::string& value,
                     XattrMode mode) override;
  Result<> remove_xattr(const Path& path, const std::string& name) override;
  void shut_down(Duration limit) override;

 private:
  using File = std::shared_ptr<PlainFile>;
  struct Open {
    File file;
    OpenFlags flags;
    std::string path;
  };
  struct OpenDirectory {
    std::string path;
    std::vector<DirectoryEntry> entries;
    std::optional<std::pair<std::size_t, Error>> breaks;
  };

  // The Error of `before`, if any; counts the call.
  Result<> begin(const std::string& verb, const std::string& path);
  static Open& opened(FileHandle& handle) { return reinterpret_cast<Open&>(handle); }
  Result<File> find(const Path& path);
  Result<File> add(const Path& path, FileKind kind, std::uint32_t permissions,
                   const Caller& caller);
  Opened open_file(const File& file, OpenFlags flags, const std::string& path);
  bool has_children(const std::string& path);

  std::mutex mutex_;
  std::optional<std::pair<std::size_t, Error>> listings_break_;
  bool attributes_listed_ = true;
  Before before_;
  std::map<std::string, File> files_;  // by path; the root is ""
  std::map<std::string, int> calls_;
  std::vector<Caller> callers_;
  std::uint64_t last_inode_ = 1;
  std::map<const void*, std::shared_ptr<void>> handles_;  // open files and directories
  KernelCache* kernel_ = nullptr;
};

}  // namespace spillway::test
