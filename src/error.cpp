#include "src/error.h"

#include <array>
#include <cerrno>
#include <system_error>

namespace spillway {
namespace {

struct Word {
  ErrorCode code;
  std::string_view word;
};

constexpr std::array kWords{
    Word{ErrorCode::auth_error, "auth_error"},
    Word{ErrorCode::bucket_not_found, "bucket_not_found"},
    Word{ErrorCode::timeout, "timeout"},
    Word{ErrorCode::network_error, "network_error"},
    Word{ErrorCode::rate_limited, "rate_limited"},
    Word{ErrorCode::server_error, "server_error"},
    Word{ErrorCode::cap_exceeded, "cap_exceeded"},
    Word{ErrorCode::clock_skew, "clock_skew"},
    Word{ErrorCode::checksum_mismatch, "checksum_mismatch"},
    Word{ErrorCode::not_found, "not_found"},
    Word{ErrorCode::too_large, "too_large"},
    Word{ErrorCode::invalid_request, "invalid_request"},
    Word{ErrorCode::local_error, "local_error"},
    Word{ErrorCode::exists, "exists"},
    Word{ErrorCode::not_directory, "not_directory"},
    Word{ErrorCode::is_directory, "is_directory"},
    Word{ErrorCode::not_empty, "not_empty"},
    Word{ErrorCode::name_too_long, "name_too_long"},
    Word{ErrorCode::invalid_argument, "invalid_argument"},
    Word{ErrorCode::not_supported, "not_supported"},
    Word{ErrorCode::not_permitted, "not_permitted"},
    Word{ErrorCode::no_attribute, "no_attribute"},
    Word{ErrorCode::attribute_too_large, "attribute_too_large"},
    Word{ErrorCode::buffer_too_small, "buffer_too_small"},
    Word{ErrorCode::bad_handle, "bad_handle"},
    Word{ErrorCode::stale, "stale"},
    Word{ErrorCode::cross_device, "cross_device"},
    Word{ErrorCode::interrupted, "interrupted"},
};

constexpr bool in_order_of_the_enumerators() {
  for (std::size_t i = 0; i < kWords.size(); ++i) {
    if (static_cast<std::size_t>(kWords.at(i).code) != i) return false;
  }
  return kWords.size() == static_cast<std::size_t>(ErrorCode::interrupted) + 1;
}
static_assert(in_order_of_the_enumerators());

// The message of a missing capability names it; the hint repeats the name, so that a person knows
// which box to tick.
std::string_view hint_for_capability(std::string_view detail) {
  if (detail.contains("writeFiles")) return "Use an application key that has the writeFiles capability";
  if (detail.contains("readFiles")) return "Use an application key that has the readFiles capability";
  if (detail.contains("listFiles")) return "Use an application key that has the listFiles capability";
  if (detail.contains("deleteFiles")) {
    return "Use an application key that has the deleteFiles capability";
  }
  return "Use an application key with readFiles, writeFiles, listFiles and deleteFiles for this "
         "bucket";
}

std::string_view hint_for_local(int system_errno) {
  switch (system_errno) {
    case ENOSPC:
    case EDQUOT:
      return "Free space on the disk of the shadow directory, or choose another with --shadow";
    case EROFS:
      return "Mount the disk of the shadow directory writable, or choose another with --shadow";
    case EACCES:
    case EPERM:
      return "Give this user the shadow directory (mode 0700), or choose another with --shadow";
    default:
      return "Check the disk of the shadow directory and the kernel's log";
  }
}

// Empty for refusals: the errno of the call says it all.
std::string_view hint_for_code(ErrorCode code) {
  switch (code) {
    case ErrorCode::auth_error:
      return "Check S3_ACCESS_KEY, S3_SECRET_KEY and that S3_ENDPOINT is the region of the key "
             "(the master key does not work)";
    case ErrorCode::bucket_not_found:
      return "Create bucket manually in B2 console";
    case ErrorCode::timeout:
      return "Check the connection to S3_ENDPOINT; for slow lines raise --connect-timeout or "
             "--stall-timeout";
    case ErrorCode::network_error:
      return "Check DNS, firewall and proxy, and that S3_ENDPOINT can be reached";
    case ErrorCode::rate_limited:
      return "B2 asks for fewer requests; lower --uploads or --parts-at-once if this stays";
    case ErrorCode::server_error:
      return "B2 is busy or down; it is tried again by itself, see status.backblaze.com if it stays";
    case ErrorCode::cap_exceeded:
      return "Raise the account's caps in the B2 console under Caps & Alerts";
    case ErrorCode::clock_skew:
      return "Set this machine's clock (NTP); B2 refuses requests more than 15 minutes off";
    case ErrorCode::checksum_mismatch:
      return "Bytes changed on the way; check memory, network and any proxy between here and B2";
    case ErrorCode::not_found:
      return "The object is not in the bucket; another client may have deleted or hidden it";
    case ErrorCode::too_large:
      return "Raise --part-size or split the file; B2 takes 10,000 parts and 10 TB an object";
    case ErrorCode::invalid_request:
      return "The server refused the request as malformed; report it with the request_id";
    default:
      return "";
  }
}

}  // namespace

std::string_view to_string(ErrorCode code) {
  return kWords.at(static_cast<std::size_t>(code)).word;
}

std::optional<ErrorCode> error_code_from(std::string_view word) {
  for (const auto& entry : kWords) {
    if (entry.word == word) return entry.code;
  }
  return std::nullopt;
}

std::string_view hint_for(const Error& error) {
  if (error.code == ErrorCode::local_error) return hint_for_local(error.system_errno);
  switch (error.cause) {
    case Cause::certificate:
      return "The server's certificate can't be verified: check S3_ENDPOINT and this machine's "
             "clock, or name your CA with --ca-file";
    case Cause::not_entitled:
      return hint_for_capability(error.detail);
    case Cause::upload_gone:
      return "The unfinished upload was removed; check the bucket's lifecycle rules, and write the "
             "file again";
    case Cause::version_changed:
      return "Another client replaced the object; open the file again";
    case Cause::none:
    case Cause::ambiguous:
    case Cause::in_upload:
    case Cause::busy:
      break;
  }
  return hint_for_code(error.code);
}

bool means_outage(ErrorCode code) {
  switch (code) {
    case ErrorCode::auth_error:
    case ErrorCode::bucket_not_found:
    case ErrorCode::timeout:
    case ErrorCode::network_error:
    case ErrorCode::rate_limited:
    case ErrorCode::server_error:
    case ErrorCode::cap_exceeded:
      return true;
    default:
      return false;
  }
}

std::unexpected<Error> fail_errno(int system_errno, std::string_view what) {
  Error error;
  error.code = ErrorCode::local_error;
  error.system_errno = system_errno;
  error.detail = std::string(what) + ": " + std::generic_category().message(system_errno);
  return fail(std::move(error));
}

}  // namespace spillway
