#include "fuse/errno_of.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <utility>
#include <vector>

namespace spillway::kernel {
namespace {

Error error_of(ErrorCode code, int system_errno = 0) {
  Error error;
  error.code = code;
  error.system_errno = system_errno;
  return error;
}

TEST(ErrnoOf, GivesTheContractsErrnoForEveryCodeThatUsersSee) {
  const std::vector<std::pair<ErrorCode, int>> table = {
      {ErrorCode::auth_error, EACCES},       {ErrorCode::bucket_not_found, ENODEV},
      {ErrorCode::timeout, ETIMEDOUT},       {ErrorCode::network_error, EHOSTUNREACH},
      {ErrorCode::rate_limited, EBUSY},      {ErrorCode::server_error, EIO},
      {ErrorCode::cap_exceeded, EDQUOT},     {ErrorCode::clock_skew, EIO},
      {ErrorCode::checksum_mismatch, EIO},   {ErrorCode::not_found, ENOENT},
      {ErrorCode::too_large, EFBIG},         {ErrorCode::invalid_request, EIO},
      {ErrorCode::local_error, EIO},
  };
  for (const auto& [code, expected] : table) {
    EXPECT_EQ(errno_of(error_of(code)), expected) << to_string(code);
  }
}

TEST(ErrnoOf, GivesTheMeaningOfEveryRefusal) {
  const std::vector<std::pair<ErrorCode, int>> table = {
      {ErrorCode::exists, EEXIST},
      {ErrorCode::not_directory, ENOTDIR},
      {ErrorCode::is_directory, EISDIR},
      {ErrorCode::not_empty, ENOTEMPTY},
      {ErrorCode::name_too_long, ENAMETOOLONG},
      {ErrorCode::invalid_argument, EINVAL},
      {ErrorCode::not_supported, ENOTSUP},
      {ErrorCode::not_permitted, EPERM},
      {ErrorCode::no_attribute, ENODATA},
      {ErrorCode::attribute_too_large, E2BIG},
      {ErrorCode::buffer_too_small, ERANGE},
      {ErrorCode::bad_handle, EBADF},
      {ErrorCode::stale, ESTALE},
      {ErrorCode::cross_device, EXDEV},
      {ErrorCode::interrupted, EINTR},
  };
  for (const auto& [code, expected] : table) {
    EXPECT_EQ(errno_of(error_of(code)), expected) << to_string(code);
  }
}

TEST(ErrnoOf, PassesOnOnlyTheSystemErrorsThatConcernTheCaller) {
  for (const int meaningful : {ENOSPC, EROFS, EDQUOT}) {
    EXPECT_EQ(errno_of(error_of(ErrorCode::local_error, meaningful)), meaningful);
  }
  for (const int internal : {EIO, EACCES, ENOENT, EMFILE, EBADF, 0}) {
    EXPECT_EQ(errno_of(error_of(ErrorCode::local_error, internal)), EIO);
  }
}

TEST(ErrnoOf, DoesNotTakeTheSystemsErrnoOfOtherCodes) {
  EXPECT_EQ(errno_of(error_of(ErrorCode::timeout, ENOSPC)), ETIMEDOUT);
}

}  // namespace
}  // namespace spillway::kernel
