// What the server answers instead of doing what was asked, in B2's words.
#pragma once

#include <exception>
#include <string>
#include <utility>

namespace b2sim {

struct Refusal : std::exception {
  Refusal(int refusal_status, std::string refusal_code, std::string refusal_message)
      : status(refusal_status),
        code(std::move(refusal_code)),
        message(std::move(refusal_message)) {}
  [[nodiscard]] const char* what() const noexcept override { return message.c_str(); }

  int status;
  std::string code;  // empty: an answer without a body
  std::string message;
  bool of_hide_marker = false;  // the answer says so in x-amz-delete-marker
};

[[nodiscard]] inline Refusal invalid_argument(std::string message) {
  return {400, "InvalidArgument", std::move(message)};
}
[[nodiscard]] inline Refusal invalid_request(std::string message) {
  return {400, "InvalidRequest", std::move(message)};
}
[[nodiscard]] inline Refusal not_entitled() {
  return {403, "AccessDenied", "not entitled"};
}
[[nodiscard]] inline Refusal no_such_key() {
  return {404, "NoSuchKey", "Key not found"};
}
[[nodiscard]] inline Refusal no_such_bucket(const std::string& name) {
  return {404, "NoSuchBucket", "The specified bucket does not exist: " + name};
}
[[nodiscard]] inline Refusal no_such_upload() {
  return {404, "NoSuchUpload",
          "The specified upload does not exist. The upload ID may be invalid, or the upload may "
          "have been aborted or completed."};
}
[[nodiscard]] inline Refusal too_large() {
  return {400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed object size."};
}

[[nodiscard]] inline Refusal hidden(Refusal refusal) {
  refusal.of_hide_marker = true;
  return refusal;
}

// The other side is gone, or a fault wants the connection cut: nothing can be answered any more.
struct Disconnected : std::exception {
  [[nodiscard]] const char* what() const noexcept override { return "disconnected"; }
};

}  // namespace b2sim
