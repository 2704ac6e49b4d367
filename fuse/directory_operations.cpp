#include <utility>
#include <vector>

#include "fuse/errno_of.h"
#include "fuse/operations.h"
#include "fuse/stat_of.h"

namespace spillway::kernel {
namespace {

// "." and ".." come first and are not the program's: its cookies follow, two further on.
constexpr std::uint64_t kDots = 2;

// What number a directory has where none is known: anything but 0, which readdir(3) skips.
constexpr std::uint64_t kUnknownNumber = 1;

DirectoryStream& stream_of(const fuse_file_info* file) {
  return *reinterpret_cast<DirectoryStream*>(file->fh);
}

// One answer to readdir or readdirplus: as many entries as fit.
class Page {
 public:
  Page(fuse_req_t request, std::size_t size, EntryDetail detail)
      : request_(request), detail_(detail), bytes_(size) {}

  [[nodiscard]] bool has_room_for(const char* name) const {
    return needed(name) <= bytes_.size() - used_;
  }
  // Precondition: has_room_for(name).
  void add(const char* name, const fuse_entry_param& entry, std::uint64_t next) {
    char* const at = bytes_.data() + used_;
    const auto left = bytes_.size() - used_;
    used_ += detail_ == EntryDetail::names
                 ? fuse_add_direntry(request_, at, left, name, &entry.attr, to_offset(next))
                 : fuse_add_direntry_plus(request_, at, left, name, &entry, to_offset(next));
    if (entry.ino != 0) counted_.push_back(entry.ino);
  }
  [[nodiscard]] bool empty() const { return used_ == 0; }
  [[nodiscard]] bool send() const { return fuse_reply_buf(request_, bytes_.data(), used_) == 0; }
  // Nodes that have a lookup more by this page.
  [[nodiscard]] const std::vector<NodeId>& counted() const { return counted_; }

 private:
  static off_t to_offset(std::uint64_t cookie) { return static_cast<off_t>(cookie); }
  [[nodiscard]] std::size_t needed(const char* name) const {
    return detail_ == EntryDetail::names
               ? fuse_add_direntry(request_, nullptr, 0, name, nullptr, 0)
               : fuse_add_direntry_plus(request_, nullptr, 0, name, nullptr, 0);
  }

  fuse_req_t request_;
  EntryDetail detail_;
  std::vector<char> bytes_;
  std::size_t used_ = 0;
  std::vector<NodeId> counted_;
};

// An entry that makes the kernel remember nothing: number and kind only.
fuse_entry_param bare_entry(FileKind kind, std::uint64_t inode) {
  fuse_entry_param entry{};
  entry.attr.st_mode = type_of(kind);
  entry.attr.st_ino = inode == 0 ? kUnknownNumber : inode;
  return entry;
}

// Whether there was room for both.
bool add_dots(Page& page, std::uint64_t from, const Inodes::Numbers& numbers) {
  const std::pair<const char*, std::uint64_t> dots[] = {{".", numbers.own},
                                                        {"..", numbers.parents}};
  for (; from < kDots; ++from) {
    const auto& [name, number] = dots[from];
    if (!page.has_room_for(name)) return false;
    page.add(name, bare_entry(FileKind::directory, number), from + 1);
  }
  return true;
}

}  // namespace

void Operations::opendir(fuse_req_t request, fuse_ino_t node, fuse_file_info* file) {
  const auto opened =
      at_named(node, [&](const Path& path) { return file_system_.open_directory(path); });
  if (!opened) return answer(request, opened.error());
  auto made = std::make_unique<DirectoryStream>();
  auto& stream = *made;
  stream.handle = *opened;
  file->fh = reinterpret_cast<std::uint64_t>(&stream);
  streams_.lock()->emplace(&stream, std::move(made));
  if (fuse_reply_open(request, file) != 0) close_stream(stream);
}

void Operations::close_stream(const DirectoryStream& stream) {
  file_system_.release_directory(stream.handle);
  streams_.lock()->erase(&stream);
}

void Operations::kernel_has_left() {
  kernel_is_there_ = false;
  const auto left = std::exchange(*streams_.lock(), {});
  for (const auto& [address, stream] : left) file_system_.release_directory(stream->handle);
}

void Operations::readdir(fuse_req_t request, fuse_ino_t node, std::size_t size, off_t offset,
                         fuse_file_info* file) {
  list(request, node, size, offset, stream_of(file), EntryDetail::names);
}

void Operations::readdirplus(fuse_req_t request, fuse_ino_t node, std::size_t size, off_t offset,
                             fuse_file_info* file) {
  list(request, node, size, offset, stream_of(file), EntryDetail::attributes);
}

void Operations::list(fuse_req_t request, fuse_ino_t node, std::size_t size, off_t offset,
                      DirectoryStream& stream, EntryDetail detail) {
  const auto from = static_cast<std::uint64_t>(offset);
  const int owed = stream.owed.exchange(0);
  if (owed != 0 && from != 0) return static_cast<void>(fuse_reply_err(request, owed));

  Page page(request, size, detail);
  const auto visit = [&](const DirectoryEntry& entry) {
    if (!page.has_room_for(entry.name.c_str())) return false;
    const bool full = detail == EntryDetail::attributes && entry.attributes;
    page.add(entry.name.c_str(),
             full ? entry_for(node, entry.name, *entry.attributes, entry.valid_for)
                  : bare_entry(entry.kind, entry.inode),
             entry.next + kDots);
    return true;
  };
  if (add_dots(page, from, inodes_.numbers(node))) {
    const auto done = file_system_.read_directory(*stream.handle, from < kDots ? 0 : from - kDots,
                                                  detail, visit);
    if (!done && page.empty()) return answer(request, done.error());
    if (!done) stream.owed = errno_of(done.error());
  }
  if (page.send()) return;
  for (const NodeId counted : page.counted()) inodes_.forget(counted, 1);
}

void Operations::releasedir(fuse_req_t request, fuse_ino_t /*node*/, fuse_file_info* file) {
  close_stream(stream_of(file));
  fuse_reply_err(request, 0);
}

void Operations::fsyncdir(fuse_req_t request, fuse_ino_t node, int /*data_only*/,
                          fuse_file_info* /*file*/) {
  answer(request,
         at_named(node, [&](const Path& path) { return file_system_.sync_directory(path); }));
}

}  // namespace spillway::kernel
