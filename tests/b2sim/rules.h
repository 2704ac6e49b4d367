// B2's limits, and what it refuses before it looks at any object.
#pragma once

#include <cstdint>
#include <string>

#include "tests/b2sim/bucket.h"
#include "tests/b2sim/http.h"

namespace b2sim {

struct Limits {
  PartRules parts;
  std::uint64_t largest_put = 5'000'000'000;
  std::uint64_t largest_part = 5'000'000'000;
  std::uint64_t largest_copy = 5'000'000'000;
  std::size_t metadata_bytes = 7'000;  // with the key; 2,048 with SSE or Object Lock
  std::size_t metadata_headers = 10;
  std::uint64_t page = 1'000;     // most entries of one page of any list
  bool require_md5 = false;       // as a bucket with Object Lock does
  bool directory_markers = true;  // keys that end in `/`
};

// Each throws the Refusal that B2 would answer.
void check_key(const std::string& key, const Limits& limits);
void check_headers(const Request& request);
void check_metadata(const std::string& key, const Metadata& metadata, const Limits& limits);
// How many entries the page may have that was asked for by that parameter.
[[nodiscard]] std::uint64_t page_size(const Request& request, const char* parameter,
                                      const Limits& limits);
// Length known, within `largest`; MD5 there if demanded.
void check_upload_body(const Request& request, const Limits& limits, std::uint64_t largest);

// x-amz-meta-… without that prefix.
[[nodiscard]] Metadata user_metadata(const Request& request);
// Content-Type and the few others that are kept with an object.
[[nodiscard]] Metadata stored_headers(const Request& request);

}  // namespace b2sim
