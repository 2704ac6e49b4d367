// Puts an answer together from its header lines and the pieces of its body as they arrive, and
// holds it to its limits. Pure: it knows nothing of where they come from.
#pragma once

#include <optional>
#include <string_view>

#include "s3/http.h"

namespace spillway::s3 {

class AnswerReader {
 public:
  // `request` stays valid as long as the reader lives; its limits, `accept` and `sink` hold.
  explicit AnswerReader(const HttpRequest& request) : request_(request) {}

  // Both give false when the exchange must end here; failure() says why, unless it is only that
  // enough has been seen of an error's body.
  //
  // `line` is one line of the head with its line end: a status line begins the head anew (1xx
  // answers come first), an empty line ends it; lines after that are trailers and are dropped.
  [[nodiscard]] bool take_line(std::string_view line);
  [[nodiscard]] bool take_body(std::span<const std::byte> bytes);

  // Whether the head of the final answer is complete. Before that take() has nothing to give.
  [[nodiscard]] bool has_head() const { return has_head_; }
  [[nodiscard]] bool is_success() const;
  [[nodiscard]] const std::optional<HttpFailure>& failure() const { return failure_; }
  [[nodiscard]] HttpResponse take() { return std::move(response_); }

 private:
  bool stop(FailureKind kind, std::string_view detail);
  bool start(std::string_view status_line);
  bool add_field(std::string_view line);
  bool finish_head();
  bool collect(std::span<const std::byte> bytes);
  bool collect_some(std::span<const std::byte> bytes);

  const HttpRequest& request_;
  HttpResponse response_;
  bool has_head_ = false;
  std::size_t head_size_ = 0;
  std::size_t dropped_ = 0;  // of an error's body
  std::optional<HttpFailure> failure_;
};

}  // namespace spillway::s3
