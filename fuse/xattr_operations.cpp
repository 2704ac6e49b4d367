#include <sys/xattr.h>

#include "fuse/operations.h"

namespace spillway::kernel {
namespace {

// Names that this file system never has. The kernel asks for some of them before each buffered
// write and `ls -l` for each file, so they are answered from nothing, and with "not supported",
// which makes ls stop asking ("no data" does not). ENOSYS would turn off all attributes.
bool is_foreign(std::string_view name) {
  return name.starts_with("security.") || name.starts_with("trusted.") ||
         name.starts_with("system.posix_acl_");
}

XattrMode mode_from(int flags) {
  if (flags == XATTR_CREATE) return XattrMode::create;
  if (flags == XATTR_REPLACE) return XattrMode::replace;
  return XattrMode::any;
}

}  // namespace

// `size` 0 asks for the length only.
void Operations::answer_text(fuse_req_t request, std::size_t size, std::string_view text) {
  if (size == 0) {
    fuse_reply_xattr(request, text.size());
  } else if (text.size() > size) {
    fuse_reply_err(request, ERANGE);
  } else {
    fuse_reply_buf(request, text.data(), text.size());
  }
}

void Operations::setxattr(fuse_req_t request, fuse_ino_t node, const char* name, const char* value,
                          std::size_t size, int flags) {
  if (is_foreign(name)) return static_cast<void>(fuse_reply_err(request, ENOTSUP));
  answer(request, at_named(node, [&](const Path& path) {
           return file_system_.set_xattr(path, name, std::string(value, size), mode_from(flags));
         }));
}

void Operations::getxattr(fuse_req_t request, fuse_ino_t node, const char* name,
                          std::size_t size) {
  if (is_foreign(name)) return static_cast<void>(fuse_reply_err(request, ENOTSUP));
  const auto value =
      at_named(node, [&](const Path& path) { return file_system_.get_xattr(path, name); });
  if (!value) return answer(request, value.error());
  answer_text(request, size, *value);
}

void Operations::listxattr(fuse_req_t request, fuse_ino_t node, std::size_t size) {
  const auto names =
      at_named(node, [&](const Path& path) { return file_system_.list_xattrs(path); });
  if (!names) return answer(request, names.error());
  std::string list;
  for (const auto& name : *names) {
    if (!is_foreign(name)) list.append(name).push_back('\0');
  }
  answer_text(request, size, list);
}

void Operations::removexattr(fuse_req_t request, fuse_ino_t node, const char* name) {
  if (is_foreign(name)) return static_cast<void>(fuse_reply_err(request, ENODATA));
  answer(request, at_named(node, [&](const Path& path) {
           return file_system_.remove_xattr(path, name);
         }));
}

}  // namespace spillway::kernel
