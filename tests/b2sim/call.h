// What a verb gets to work with, and what several verbs need.
#pragma once

#include <optional>
#include <string>

#include "tests/b2sim/bucket.h"
#include "tests/b2sim/exchange.h"
#include "tests/b2sim/faults.h"
#include "tests/b2sim/keys.h"
#include "tests/b2sim/rules.h"
#include "tests/b2sim/store.h"

namespace b2sim {

struct Call {
  Exchange& exchange;
  const Request& request;
  const CallName& name;
  Store& store;
  const Limits& limits;
  const AccessKey& access;
  BucketPtr bucket;

  [[nodiscard]] const std::string& key() const { return name.key; }
};

// Finds bucket and key in the path, and out of method and parameters what is asked for.
[[nodiscard]] CallName name_of(const Request& request);

// A body as it was received and stored.
struct Received {
  std::vector<Piece> pieces;
  std::uint64_t size = 0;
  std::string sha256;  // hex
  std::string md5;     // hex; empty unless asked for or demanded by a Content-MD5
};

// Reads the body into a blob and holds it against every checksum that the request came with.
[[nodiscard]] Received receive_body(Call& call, bool with_md5);
// The same for a short body that is read at once.
[[nodiscard]] std::string receive_text(Call& call);

struct CopySource {
  VersionPtr version;
  std::string version_header;  // of the answer, when the source was named by its version
};
[[nodiscard]] CopySource find_copy_source(const Call& call);

// First and last byte. nullopt: no range in the header, or one to be ignored.
struct Span {
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};
[[nodiscard]] std::optional<Span> parse_range(const std::string& header, std::uint64_t size);

// Whether the key may be used for names below `prefix`.
void check_prefix(const AccessKey& access, const std::string& prefix);

}  // namespace b2sim
