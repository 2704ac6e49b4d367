#include "fuse/errno_of.h"

#include <cerrno>

namespace spillway::kernel {
namespace {

int errno_of_local_error(int system_errno) {
  const bool says_something = system_errno == ENOSPC || system_errno == EROFS ||
                              system_errno == EDQUOT;
  return says_something ? system_errno : EIO;
}

}  // namespace

int errno_of(const Error& error) {
  switch (error.code) {
    case ErrorCode::auth_error: return EACCES;
    case ErrorCode::bucket_not_found: return ENODEV;
    case ErrorCode::timeout: return ETIMEDOUT;
    case ErrorCode::network_error: return EHOSTUNREACH;
    case ErrorCode::rate_limited: return EBUSY;
    case ErrorCode::server_error: return EIO;
    case ErrorCode::cap_exceeded: return EDQUOT;
    case ErrorCode::clock_skew: return EIO;
    case ErrorCode::checksum_mismatch: return EIO;
    case ErrorCode::not_found: return ENOENT;
    case ErrorCode::too_large: return EFBIG;
    case ErrorCode::invalid_request: return EIO;
    case ErrorCode::local_error: return errno_of_local_error(error.system_errno);

    case ErrorCode::exists: return EEXIST;
    case ErrorCode::not_directory: return ENOTDIR;
    case ErrorCode::is_directory: return EISDIR;
    case ErrorCode::not_empty: return ENOTEMPTY;
    case ErrorCode::name_too_long: return ENAMETOOLONG;
    case ErrorCode::invalid_argument: return EINVAL;
    case ErrorCode::not_supported: return ENOTSUP;
    case ErrorCode::not_permitted: return EPERM;
    case ErrorCode::no_attribute: return ENODATA;
    case ErrorCode::attribute_too_large: return E2BIG;
    case ErrorCode::buffer_too_small: return ERANGE;
    case ErrorCode::bad_handle: return EBADF;
    case ErrorCode::stale: return ESTALE;
    case ErrorCode::cross_device: return EXDEV;
    case ErrorCode::interrupted: return EINTR;
  }
  return EIO;
}

}  // namespace spillway::kernel
