// What can go wrong, as users see it, and the result type that carries it through the program.
//
// The enumerators up to `local_error` are the words that scripts of users read in
// `user.b2.error_code` and in the log: they never change their spelling. The ones after it are
// refusals: what a file system answers to a call that can't be done (errno's meaning, without
// errno's name). A refusal never appears as an error_code.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace spillway {

enum class ErrorCode : std::uint8_t {
  auth_error,
  bucket_not_found,
  timeout,
  network_error,
  rate_limited,
  server_error,
  cap_exceeded,
  clock_skew,
  checksum_mismatch,
  not_found,
  too_large,
  invalid_request,
  local_error,

  exists,
  not_directory,
  is_directory,
  not_empty,
  name_too_long,
  invalid_argument,
  not_supported,
  not_permitted,
  no_attribute,
  attribute_too_large,
  buffer_too_small,
  bad_handle,
  stale,
  cross_device,
  interrupted,
};

// Finer than the code, for decisions of ours that users need not know of.
enum class Cause : std::uint8_t {
  none,
  certificate,    // the peer's certificate can't be verified: never retried, told apart in hints
  upload_gone,    // NoSuchUpload: a lifecycle rule or another client removed it
  version_changed,  // If-Match failed: the object is no longer the version that was opened
  ambiguous,      // no answer, or a broken one: the request may have been carried out
  busy,           // "no tomes available", "too busy": try at once on a fresh connection
  not_entitled,   // the key works and lacks the capability for this one operation
  in_upload,      // the bytes are in an unfinished upload only: a commit makes them readable
};

struct Error {
  ErrorCode code = ErrorCode::server_error;
  std::string detail;      // what the other side said, or what was tried; never a secret
  std::string request_id;  // B2's own id, when an answer carried one
  Cause cause = Cause::none;
  int system_errno = 0;  // of `local_error` only: what the system call gave
  std::optional<std::chrono::nanoseconds> retry_after;  // as the server asked, already capped
};

// The word users see: "auth_error", "bucket_not_found", …
[[nodiscard]] std::string_view to_string(ErrorCode code);

// The enumerator of a word, for journals read back. nullopt for a word that is none of ours.
[[nodiscard]] std::optional<ErrorCode> error_code_from(std::string_view word);

// One sentence a person can act on. Never empty for the codes up to `local_error`.
[[nodiscard]] std::string_view hint_for(const Error& error);

// Whether the code is one of those that open the breaker: the service as a whole is not well, as
// opposed to a file's own fault.
[[nodiscard]] bool means_outage(ErrorCode code);

// Either a value or an Error. Unlike std::expected it may not be ignored.
template <class T = void>
class [[nodiscard]] Result {
 public:
  // Implicit on purpose: `return value;` and `return fail(…);` both read well.
  template <class U = T>
    requires(!std::is_void_v<T> && std::is_constructible_v<std::expected<T, Error>, U> &&
             !std::is_same_v<std::remove_cvref_t<U>, Result>)
  Result(U&& value) : outcome_(std::forward<U>(value)) {}  // NOLINT(google-explicit-constructor)
  Result(std::unexpected<Error> error)                     // NOLINT(google-explicit-constructor)
      : outcome_(std::move(error)) {}
  Result()
    requires std::is_void_v<T>
  = default;

  [[nodiscard]] bool ok() const { return outcome_.has_value(); }
  explicit operator bool() const { return ok(); }

  // Preconditions: ok() for value(), !ok() for error().
  [[nodiscard]] decltype(auto) value() & { return *outcome_; }
  [[nodiscard]] decltype(auto) value() const& { return *outcome_; }
  decltype(auto) value() && {
    if constexpr (!std::is_void_v<T>) return *std::move(outcome_);
  }
  [[nodiscard]] const Error& error() const& { return outcome_.error(); }
  [[nodiscard]] Error&& error() && { return std::move(outcome_).error(); }

  template <class U = T>
    requires(!std::is_void_v<U>)
  U* operator->() {
    return &*outcome_;
  }
  template <class U = T>
    requires(!std::is_void_v<U>)
  const U* operator->() const {
    return &*outcome_;
  }
  decltype(auto) operator*() & { return *outcome_; }
  decltype(auto) operator*() const& { return *outcome_; }

 private:
  std::expected<T, Error> outcome_;
};

// `return fail(ErrorCode::timeout, "no answer for 30 s");`
[[nodiscard]] inline std::unexpected<Error> fail(ErrorCode code, std::string detail) {
  Error error;
  error.code = code;
  error.detail = std::move(detail);
  return std::unexpected(std::move(error));
}
[[nodiscard]] inline std::unexpected<Error> fail(Error error) {
  return std::unexpected(std::move(error));
}

// local_error with the errno of a failed system call; detail is "WHAT: strerror".
[[nodiscard]] std::unexpected<Error> fail_errno(int system_errno, std::string_view what);

}  // namespace spillway

// Gives the value of `expression`, or returns its error from the enclosing function.
#define TRY(expression)                                                         \
  __extension__({                                                               \
    auto&& try_result = (expression);                                           \
    if (!try_result.ok()) return ::spillway::fail(std::move(try_result).error()); \
    std::move(try_result).value();                                              \
  })
