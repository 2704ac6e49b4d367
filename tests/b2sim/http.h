// One request and its answer, free of sockets: what the verbs see of HTTP.
#pragma once

#include <cstdint>
#include <ctime>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/b2sim/blobs.h"

namespace b2sim {

// Name and value as decoded; `+` in a query means a space, as everywhere in S3.
using Query = std::multimap<std::string, std::string, std::less<>>;
// Names in lower case, values without the white space around them.
using Headers = std::multimap<std::string, std::string, std::less<>>;

struct Request {
  std::string method;
  std::string target;  // raw, as it stood in the request line: what the client signed
  Query query;
  Headers headers;
  std::optional<std::uint64_t> content_length;
  bool chunked = false;
  bool keep_alive = true;
  bool expects_continue = false;

  [[nodiscard]] std::string_view raw_path() const;
  [[nodiscard]] std::string_view raw_query() const;
  // nullptr or nullopt: not sent. Empty and not sent are told apart.
  [[nodiscard]] const std::string* header(std::string_view name) const;
  [[nodiscard]] std::optional<std::string> parameter(std::string_view name) const;
  [[nodiscard]] std::string parameter_or(std::string_view name, std::string_view otherwise) const;
};

// The body is either text or a list of stored pieces, never both.
struct Answer {
  int status = 200;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  std::vector<Piece> pieces;
  std::optional<std::uint64_t> length_of_head;  // Content-Length where a HEAD leaves the body out
};

// Percent-decoding; nullopt for a malformed escape.
[[nodiscard]] std::optional<std::string> percent_decode(std::string_view text);
// As decoded above after every `+` became a space.
[[nodiscard]] std::optional<std::string> query_decode(std::string_view text);
// All but A-Z a-z 0-9 - . _ ~ and the characters of `keep` as %XX with upper-case digits.
[[nodiscard]] std::string percent_encode(std::string_view text, std::string_view keep = "");
[[nodiscard]] Query parse_query(std::string_view raw);

// "Sun, 22 Nov 2026 14:24:59 GMT"
[[nodiscard]] std::string http_date(std::time_t time);
// "2026-11-22T14:24:59.123Z"
[[nodiscard]] std::string iso_date(std::int64_t milliseconds);
[[nodiscard]] std::int64_t now_milliseconds();
// nullopt unless all of `text` is a decimal number.
[[nodiscard]] std::optional<std::uint64_t> parse_number(std::string_view text);

}  // namespace b2sim
