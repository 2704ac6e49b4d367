#include "tests/support/plain_tree.h"

#include <algorithm>
#include <cstring>

namespace spillway::test {
namespace {

bool is_child(const std::string& path, const std::string& directory) {
  const std::string prefix = directory.empty() ? "" : directory + "/";
  return path.size() > prefix.size() && path.starts_with(prefix) &&
         path.find('/', prefix.size()) == std::string::npos;
}

}  // namespace

PlainTree::PlainTree() {
  auto root = std::make_shared<PlainFile>();
  root->attributes.kind = FileKind::directory;
  root->attributes.permissions = 0755;
  root->attributes.inode = last_inode_;
  files_[""] = root;
}

PlainTree::~PlainTree() = default;

void PlainTree::set_before(Before before) {
  const std::lock_guard held(mutex_);
  before_ = std::move(before);
}

int PlainTree::calls(const std::string& verb) {
  const std::lock_guard held(mutex_);
  return calls_[verb];
}

void PlainTree::put(const std::string& path, const std::string& bytes) {
  const std::lock_guard held(mutex_);
  auto& file = files_[path];
  if (!file) {
    file = std::make_shared<PlainFile>();
    file->attributes.permissions = 0644;
    file->attributes.inode = ++last_inode_;
  }
  file->bytes = bytes;
  file->attributes.size = bytes.size();
}

void PlainTree::drop(const std::string& path) {
  const std::lock_guard held(mutex_);
  files_.erase(path);
}

void PlainTree::break_listings(std::size_t after, Error error) {
  const std::lock_guard held(mutex_);
  listings_break_ = {after, std::move(error)};
}

void PlainTree::list_without_attributes() {
  const std::lock_guard held(mutex_);
  attributes_listed_ = false;
}

std::string PlainTree::bytes_of(const std::string& path) {
  const std::lock_guard held(mutex_);
  return files_.at(path)->bytes;
}

Attributes PlainTree::attributes_of(const std::string& path) {
  const std::lock_guard held(mutex_);
  return files_.at(path)->attributes;
}

int PlainTree::open_handles() {
  const std::lock_guard held(mutex_);
  return static_cast<int>(handles_.size());
}

std::vector<Caller> PlainTree::callers() {
  const std::lock_guard held(mutex_);
  return callers_;
}

Result<> PlainTree::begin(const std::string& verb, const std::string& path) {
  Before before;
  {
    const std::lock_guard held(mutex_);
    ++calls_[verb];
    before = before_;
  }
  if (!before) return {};
  if (auto error = before(verb, path)) return fail(*std::move(error));
  return {};
}

Result<PlainTree::File> PlainTree::find(const Path& path) {
  const auto found = files_.find(path.text());
  if (found == files_.end()) return fail(ErrorCode::not_found, path.text());
  return found->second;
}

Result<PlainTree::File> PlainTree::add(const Path& path, FileKind kind,
                                       std::uint32_t permissions, const Caller& caller) {
  TRY(check_creatable(path));
  if (files_.contains(path.text())) return fail(ErrorCode::exists, path.text());
  TRY(find(path.parent()));
  callers_.push_back(caller);
  auto file = std::make_shared<PlainFile>();
  file->attributes.kind = kind;
  file->attributes.permissions = permissions;
  file->attributes.uid = caller.uid;
  file->attributes.gid = caller.gid;
  file->attributes.inode = ++last_inode_;
  files_[path.text()] = file;
  return file;
}

Result<Lookup> PlainTree::lookup(const Path& path) {
  TRY(begin("lookup", path.text()));
  const std::lock_guard held(mutex_);
  const auto found = files_.find(path.text());
  if (found == files_.end()) return Lookup{.attributes = {}, .valid_for = absent_valid_for};
  return Lookup{.attributes = found->second->attributes, .valid_for = present_valid_for};
}

Result<Attributes> PlainTree::attributes(const Path& path, FileHandle* handle) {
  TRY(begin("attributes", path.text()));
  const std::lock_guard held(mutex_);
  if (handle != nullptr) return opened(*handle).file->attributes;
  return TRY(find(path))->attributes;
}

Result<Attributes> PlainTree::set_attributes(const Path& path, FileHandle* handle,
                                             const AttributeChange& change,
                                             const Caller& /*caller*/) {
  TRY(begin("set_attributes", path.text()));
  const std::lock_guard held(mutex_);
  const File file = handle != nullptr ? opened(*handle).file : TRY(find(path));
  auto& attributes = file->attributes;
  if (change.size) file->bytes.resize(*change.size);
  attributes.size = file->bytes.size();
  attributes.permissions = change.permissions.value_or(attributes.permissions);
  attributes.uid = change.uid.value_or(attributes.uid);
  attributes.gid = change.gid.value_or(attributes.gid);
  attributes.mtime = change.mtime.value_or(attributes.mtime);
  return attributes;
}

Result<Attributes> PlainTree::make_directory(const Path& path, std::uint32_t permissions,
                                             const Caller& caller) {
  TRY(begin("make_directory", path.text()));
  const std::lock_guard held(mutex_);
  return TRY(add(path, FileKind::directory, permissions, caller))->attributes;
}

Result<Attributes> PlainTree::make_symlink(const Path& path, const std::string& target,
                                           const Caller& caller) {
  TRY(begin("make_symlink", path.text()));
  const std::lock_guard held(mutex_);
  const auto file = TRY(add(path, FileKind::symlink, 0777, caller));
  file->bytes = target;
  file->attributes.size = target.size();
  return file->attributes;
}

Result<Attributes> PlainTree::make_special(const Path& path, FileKind kind,
                                           std::uint32_t permissions, const Caller& caller) {
  TRY(begin("make_special", path.text()));
  const std::lock_guard held(mutex_);
  return TRY(add(path, kind, permissions, caller))->attributes;
}

Result<std::string> PlainTree::read_symlink(const Path& path) {
  TRY(begin("read_symlink", path.text()));
  const std::lock_guard held(mutex_);
  return TRY(find(path))->bytes;
}

bool PlainTree::has_children(const std::string& path) {
  return std::ranges::any_of(files_, [&](const auto& f) { return is_child(f.first, path); });
}

Result<> PlainTree::unlink(const Path& path) {
  TRY(begin("unlink", path.text()));
  const std::lock_guard held(mutex_);
  if (files_.erase(path.text()) == 0) return fail(ErrorCode::not_found, path.text());
  return {};
}

Result<> PlainTree::remove_directory(const Path& path) {
  TRY(begin("remove_directory", path.text()));
  const std::lock_guard held(mutex_);
  if (has_children(path.text())) return fail(ErrorCode::not_empty, path.text());
  if (files_.erase(path.text()) == 0) return fail(ErrorCode::not_found, path.text());
  return {};
}

Result<> PlainTree::rename(const Path& from, const Path& to, RenameMode mode) {
  TRY(begin("rename", from.text()));
  const std::lock_guard held(mutex_);
  TRY(find(from));
  const bool taken = files_.contains(to.text());
  if (taken && mode == RenameMode::no_replace) return fail(ErrorCode::exists, to.text());
  if (taken && has_children(to.text())) return fail(ErrorCode::not_empty, to.text());
  std::map<std::string, File> moved;
  std::erase_if(files_, [&](const auto& entry) {
    const auto path = Path::parse(entry.first);
    if (!path || !path->is_within(from)) return false;
    moved[path->rebased(from, to).text()] = entry.second;
    return true;
  });
  for (auto& [path, file] : moved) files_[path] = file;
  return {};
}

Opened PlainTree::open_file(const File& file, OpenFlags flags, const std::string& path) {
  auto open = std::make_shared<Open>(file, flags, path);
  auto* const handle = reinterpret_cast<FileHandle*>(open.get());
  handles_[handle] = std::move(open);
  if (flags.truncate) file->bytes.clear();
  file->attributes.size = file->bytes.size();
  return {.handle = handle,
          .attributes = file->attributes,
          .valid_for = present_valid_for,
          .direct_io = direct_io_writers && flags.write && !flags.read,
          .keep_cache = keep_cache};
}

Result<Opened> PlainTree::create(const Path& path, std::uint32_t permissions, OpenFlags flags,
                                 const Caller& caller) {
  TRY(begin("create", path.text()));
  const std::lock_guard held(mutex_);
  if (files_.contains(path.text()) && !flags.exclusive) {
    return open_file(TRY(find(path)), flags, path.text());
  }
  return open_file(TRY(add(path, FileKind::regular, permissions, caller)), flags, path.text());
}

Result<Opened> PlainTree::open(const Path& path, OpenFlags flags, const Caller& /*caller*/) {
  TRY(begin("open", path.text()));
  const std::lock_guard held(mutex_);
  return open_file(TRY(find(path)), flags, path.text());
}

Result<std::size_t> PlainTree::read(FileHandle& handle, std::uint64_t offset,
                                    std::span<std::byte> bytes) {
  TRY(begin("read", opened(handle).path));
  const std::lock_guard held(mutex_);
  const auto& all = opened(handle).file->bytes;
  if (offset >= all.size()) return 0U;
  const auto count = std::min(bytes.size(), all.size() - offset);
  std::memcpy(bytes.data(), all.data() + offset, count);
  return count;
}

Result<> PlainTree::write(FileHandle& handle, std::uint64_t offset,
                          std::span<const std::byte> bytes) {
  TRY(begin("write", opened(handle).path));
  const std::lock_guard held(mutex_);
  auto& file = *opened(handle).file;
  if (opened(handle).flags.append) offset = file.bytes.size();
  file.bytes.resize(std::max<std::size_t>(file.bytes.size(), offset + bytes.size()));
  std::memcpy(file.bytes.data() + offset, bytes.data(), bytes.size());
  file.attributes.size = file.bytes.size();
  return {};
}

Result<> PlainTree::flush(FileHandle& handle, const Caller& /*caller*/) {
  return begin("flush", opened(handle).path);
}

Result<> PlainTree::fsync(FileHandle& handle) { return begin("fsync", opened(handle).path); }

void PlainTree::release(FileHandle* handle) {
  static_cast<void>(begin("release", opened(*handle).path).ok());
  const std::lock_guard held(mutex_);
  handles_.erase(handle);
}

Result<> PlainTree::allocate(FileHandle& handle, Allocation mode, std::uint64_t offset,
                             std::uint64_t size) {
  TRY(begin("allocate", opened(handle).path));
  const std::lock_guard held(mutex_);
  auto& file = *opened(handle).file;
  if (mode == Allocation::grow && offset + size > file.bytes.size()) {
    file.bytes.resize(offset + size);
  }
  file.attributes.size = file.bytes.size();
  return {};
}

Result<DirectoryHandle*> PlainTree::open_directory(const Path& path) {
  TRY(begin("open_directory", path.text()));
  const std::lock_guard held(mutex_);
  TRY(find(path));
  auto listing = std::make_shared<OpenDirectory>();
  listing->path = path.text();
  listing->breaks = listings_break_;
  for (const auto& [child, file] : files_) {
    if (!is_child(child, path.text())) continue;
    listing->entries.push_back({.name = child.substr(child.rfind('/') + 1),
                                .kind = file->attributes.kind,
                                .inode = file->attributes.inode,
                                .attributes = attributes_listed_
                                                  ? std::optional(file->attributes)
                                                  : std::nullopt,
                                .valid_for = present_valid_for,
                                .next = listing->entries.size() + 1});
  }
  auto* const handle = reinterpret_cast<DirectoryHandle*>(listing.get());
  handles_[handle] = std::move(listing);
  return handle;
}

Result<> PlainTree::read_directory(DirectoryHandle& handle, std::uint64_t from,
                                   EntryDetail detail,
                                   const std::function<bool(const DirectoryEntry&)>& visit) {
  const auto& listing = reinterpret_cast<OpenDirectory&>(handle);
  TRY(begin("read_directory", listing.path));
  for (auto at = from; at < listing.entries.size(); ++at) {
    if (listing.breaks && at == listing.breaks->first) return fail(listing.breaks->second);
    auto entry = listing.entries[at];
    if (detail == EntryDetail::names) entry.attributes.reset();
    if (!visit(entry)) return {};
  }
  return {};
}

void PlainTree::release_directory(DirectoryHandle* handle) {
  const auto& listing = reinterpret_cast<OpenDirectory&>(*handle);
  static_cast<void>(begin("release_directory", listing.path).ok());
  const std::lock_guard held(mutex_);
  handles_.erase(handle);
}

Result<> PlainTree::sync_directory(const Path& path) {
  return begin("sync_directory", path.text());
}

Result<Space> PlainTree::space() {
  TRY(begin("space", ""));
  constexpr std::uint64_t kTerabyte = 1ULL << 40U;
  return Space{.total_bytes = 4 * kTerabyte, .free_bytes = 3 * kTerabyte, .files = 7};
}

Result<std::string> PlainTree::get_xattr(const Path& path, const std::string& name) {
  TRY(begin("get_xattr", name));
  const std::lock_guard held(mutex_);
  const auto file = TRY(find(path));
  const auto found = file->xattrs.find(name);
  if (found == file->xattrs.end()) return fail(ErrorCode::no_attribute, name);
  return found->second;
}

Result<std::vector<std::string>> PlainTree::list_xattrs(const Path& path) {
  TRY(begin("list_xattrs", path.text()));
  const std::lock_guard held(mutex_);
  std::vector<std::string> names;
  for (const auto& [name, value] : TRY(find(path))->xattrs) names.push_back(name);
  return names;
}

Result<> PlainTree::set_xattr(const Path& path, const std::string& name, const std::string& value,
                              XattrMode mode) {
  TRY(begin("set_xattr", name));
  const std::lock_guard held(mutex_);
  auto& xattrs = TRY(find(path))->xattrs;
  if (mode == XattrMode::create && xattrs.contains(name)) return fail(ErrorCode::exists, name);
  if (mode == XattrMode::replace && !xattrs.contains(name)) {
    return fail(ErrorCode::no_attribute, name);
  }
  xattrs[name] = value;
  return {};
}

Result<> PlainTree::remove_xattr(const Path& path, const std::string& name) {
  TRY(begin("remove_xattr", name));
  const std::lock_guard held(mutex_);
  if (TRY(find(path))->xattrs.erase(name) == 0) return fail(ErrorCode::no_attribute, name);
  return {};
}

void PlainTree::shut_down(Duration /*limit*/) {}

}  // namespace spillway::test
