#include "tests/forgetful_fs/operations.h"

#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/forgetful_fs/control.h"
#include "tests/forgetful_fs/disk.h"
#include "tests/forgetful_fs/libfuse.h"

namespace forgetful {

namespace {

Served& served_by(fuse_req_t request) {
  return *static_cast<Served*>(fuse_req_userdata(request));
}

Disk& disk_of(fuse_req_t request) {
  return served_by(request).disk;
}

void keep_handle(fuse_req_t request, fuse_file_info* info, Handle handle) {
  Served& served = served_by(request);
  info->fh = ++served.last_handle;
  served.handles.emplace(info->fh, std::move(handle));
}

bool is_lost(fuse_req_t request, const fuse_file_info* info) {
  const Served& served = served_by(request);
  return info != nullptr && served.handles.at(info->fh).epoch != served.disk.epoch();
}

void answer(fuse_req_t request, const Outcome& outcome) {
  fuse_reply_err(request, outcome ? 0 : outcome.error());
}

struct stat status_of(NodeId id, const Node& node) {
  struct stat status {};
  status.st_ino = id;
  status.st_mode = node.mode;
  status.st_nlink = S_ISDIR(node.mode) ? 2 : 1;
  status.st_uid = node.owner;
  status.st_gid = node.group;
  status.st_size = static_cast<off_t>(node.data.size());
  status.st_blocks = static_cast<blkcnt_t>((node.data.size() + 511) / 512);
  status.st_mtim = status.st_ctim = status.st_atim = node.modified;
  return status;
}

fuse_entry_param entry_of(NodeId id, const Node& node) {
  fuse_entry_param entry{};
  entry.ino = id;
  entry.attr = status_of(id, node);
  return entry;
}

void answer_entry(fuse_req_t request, const Answer<NodeId>& id) {
  const auto node = id ? disk_of(request).open(*id) : Answer<Node*>(std::unexpected(id.error()));
  if (!node) {
    fuse_reply_err(request, node.error());
    return;
  }
  const fuse_entry_param entry = entry_of(*id, **node);
  fuse_reply_entry(request, &entry);
}

// --- names

void look_up(fuse_req_t request, fuse_ino_t parent, const char* name) {
  answer_entry(request, disk_of(request).look_up({parent, name}));
}

void make_directory(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode) {
  answer_entry(request, disk_of(request).create({parent, name}, S_IFDIR | (mode & 07777U)));
}

void remove_file(fuse_req_t request, fuse_ino_t parent, const char* name) {
  answer(request, disk_of(request).remove_file({parent, name}));
}

void remove_directory(fuse_req_t request, fuse_ino_t parent, const char* name) {
  answer(request, disk_of(request).remove_directory({parent, name}));
}

void rename(fuse_req_t request, fuse_ino_t parent, const char* name, fuse_ino_t new_parent,
            const char* new_name, unsigned flags) {
  if (flags != 0) {
    fuse_reply_err(request, EINVAL);
    return;
  }
  answer(request, disk_of(request).rename({parent, name}, {new_parent, new_name}));
}

// --- attributes

void get_attributes(fuse_req_t request, fuse_ino_t id, fuse_file_info* /*info*/) {
  Disk& disk = disk_of(request);
  // So that the root can be found, and told to turn the power on.
  if (id == kRoot && !disk.is_on()) {
    Node root;
    root.mode = S_IFDIR | 0700;
    const struct stat status = status_of(kRoot, root);
    fuse_reply_attr(request, &status, 0);
    return;
  }
  const auto node = disk.open(id);
  if (!node) {
    fuse_reply_err(request, node.error());
    return;
  }
  const struct stat status = status_of(id, **node);
  fuse_reply_attr(request, &status, 0);
}

Outcome change(Disk& disk, NodeId id, const struct stat& wanted, int what) {
  if ((what & FUSE_SET_ATTR_SIZE) != 0) {
    const auto cut = disk.truncate(id, static_cast<std::uint64_t>(wanted.st_size));
    if (!cut) return cut;
  }
  const auto node = disk.open(id);
  if (!node) return std::unexpected(node.error());
  if ((what & FUSE_SET_ATTR_MODE) != 0) {
    (*node)->mode = ((*node)->mode & S_IFMT) | (wanted.st_mode & 07777U);
  }
  if ((what & FUSE_SET_ATTR_UID) != 0) (*node)->owner = wanted.st_uid;
  if ((what & FUSE_SET_ATTR_GID) != 0) (*node)->group = wanted.st_gid;
  if ((what & FUSE_SET_ATTR_MTIME) != 0) (*node)->modified = wanted.st_mtim;
  return {};
}

void set_attributes(fuse_req_t request, fuse_ino_t id, struct stat* wanted, int what,
                    fuse_file_info* info) {
  const auto changed = is_lost(request, info) ? Outcome(std::unexpected(EIO))
                                              : change(disk_of(request), id, *wanted, what);
  if (!changed) {
    fuse_reply_err(request, changed.error());
    return;
  }
  get_attributes(request, id, info);
}

// --- files

void create(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode,
            fuse_file_info* info) {
  Disk& disk = disk_of(request);
  const auto id = disk.create({parent, name}, S_IFREG | (mode & 07777U));
  const auto node = id ? disk.open(*id) : Answer<Node*>(std::unexpected(id.error()));
  if (!node) {
    fuse_reply_err(request, node.error());
    return;
  }
  info->direct_io = 1;
  keep_handle(request, info, {disk.epoch(), {}});
  const fuse_entry_param entry = entry_of(*id, **node);
  fuse_reply_create(request, &entry, info);
}

void open(fuse_req_t request, fuse_ino_t id, fuse_file_info* info) {
  Disk& disk = disk_of(request);
  const auto node = disk.open(id);
  if (!node) {
    fuse_reply_err(request, node.error());
    return;
  }
  info->direct_io = 1;
  keep_handle(request, info, {disk.epoch(), {}});
  fuse_reply_open(request, info);
}

void read(fuse_req_t request, fuse_ino_t id, std::size_t size, off_t offset, fuse_file_info* info) {
  const auto node = disk_of(request).open(id);
  if (!node || is_lost(request, info)) {
    fuse_reply_err(request, EIO);
    return;
  }
  const std::string_view data = (*node)->data;
  const auto begin = std::min(data.size(), static_cast<std::size_t>(offset));
  const std::string_view piece = data.substr(begin, size);
  fuse_reply_buf(request, piece.data(), piece.size());
}

void write(fuse_req_t request, fuse_ino_t id, const char* bytes, std::size_t size, off_t offset,
           fuse_file_info* info) {
  const auto written =
      is_lost(request, info)
          ? Outcome(std::unexpected(EIO))
          : disk_of(request).write(id, static_cast<std::uint64_t>(offset), {bytes, size});
  if (!written) {
    fuse_reply_err(request, written.error());
    return;
  }
  fuse_reply_write(request, size);
}

void flush(fuse_req_t request, fuse_ino_t /*id*/, fuse_file_info* /*info*/) {
  fuse_reply_err(request, 0);
}

void release(fuse_req_t request, fuse_ino_t /*id*/, fuse_file_info* info) {
  served_by(request).handles.erase(info->fh);
  fuse_reply_err(request, 0);
}

// fdatasync asks for the size as well as fsync does.
void sync_file(fuse_req_t request, fuse_ino_t id, int /*only_data*/, fuse_file_info* info) {
  answer(request,
         is_lost(request, info) ? Outcome(std::unexpected(EIO)) : disk_of(request).sync_file(id));
}

// --- directories

void open_directory(fuse_req_t request, fuse_ino_t id, fuse_file_info* info) {
  Disk& disk = disk_of(request);
  const auto node = disk.open(id);
  if (!node) {
    fuse_reply_err(request, node.error());
    return;
  }
  Handle handle{disk.epoch(), {{".", id}, {"..", id}}};
  handle.listing.insert(handle.listing.end(), (*node)->names.begin(), (*node)->names.end());
  keep_handle(request, info, std::move(handle));
  fuse_reply_open(request, info);
}

void read_directory(fuse_req_t request, fuse_ino_t /*id*/, std::size_t size, off_t offset,
                    fuse_file_info* info) {
  if (!disk_of(request).is_on() || is_lost(request, info)) {
    fuse_reply_err(request, EIO);
    return;
  }
  const auto& listing = served_by(request).handles.at(info->fh).listing;
  std::vector<char> page(size);
  std::size_t used = 0;
  for (auto next = static_cast<std::size_t>(offset); next < listing.size(); ++next) {
    const auto& [name, id] = listing[next];
    struct stat status {};
    status.st_ino = id;
    const std::size_t length = fuse_add_direntry(request, &page[used], size - used, name.c_str(),
                                                 &status, static_cast<off_t>(next + 1));
    if (length > size - used) break;
    used += length;
    if (used == size) break;
  }
  fuse_reply_buf(request, page.data(), used);
}

void sync_directory(fuse_req_t request, fuse_ino_t id, int /*only_data*/, fuse_file_info* info) {
  answer(request, is_lost(request, info) ? Outcome(std::unexpected(EIO))
                                         : disk_of(request).sync_directory(id));
}

// --- the whole

void get_space(fuse_req_t request, fuse_ino_t /*id*/) {
  struct statvfs space {};
  space.f_bsize = space.f_frsize = 4096;
  space.f_blocks = space.f_bfree = space.f_bavail = 1U << 22U;  // 16 GiB
  space.f_namemax = 255;
  fuse_reply_statfs(request, &space);
}

void set_attribute(fuse_req_t request, fuse_ino_t id, const char* name, const char* value,
                   std::size_t size, int /*flags*/) {
  fuse_reply_err(request, id == kRoot ? control(disk_of(request), name, {value, size}) : ENOTSUP);
}

void get_attribute(fuse_req_t request, fuse_ino_t id, const char* name, std::size_t size) {
  const auto value = id == kRoot ? report(disk_of(request), name) : std::nullopt;
  if (!value) {
    fuse_reply_err(request, ENODATA);
  } else if (size == 0) {
    fuse_reply_xattr(request, value->size());
  } else if (size < value->size()) {
    fuse_reply_err(request, ERANGE);
  } else {
    fuse_reply_buf(request, value->data(), value->size());
  }
}

}  // namespace

fuse_lowlevel_ops operations() {
  fuse_lowlevel_ops table{};
  table.lookup = look_up;
  table.getattr = get_attributes;
  table.setattr = set_attributes;
  table.mkdir = make_directory;
  table.unlink = remove_file;
  table.rmdir = remove_directory;
  table.rename = rename;
  table.create = create;
  table.open = open;
  table.read = read;
  table.write = write;
  table.flush = flush;
  table.release = release;
  table.fsync = sync_file;
  table.opendir = open_directory;
  table.readdir = read_directory;
  table.releasedir = release;
  table.fsyncdir = sync_directory;
  table.statfs = get_space;
  table.setxattr = set_attribute;
  table.getxattr = get_attribute;
  return table;
}

}  // namespace forgetful
