// What the shadow's journal says of one diverted file. Pure: a record, and its text with a checksum.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "src/clock.h"
#include "src/error.h"
#include "src/metadata.h"
#include "src/object_store.h"
#include "src/path.h"
#include "src/report.h"

namespace spillway {

// What B2 was known to hold under the path when the file diverted: drain looks again before it
// puts anything over it. `unknown`: nobody could ask; what is older goes, as by any overwriting.
// `doubtful`: something of ours may have come there since; what is found stays, unless it is still
// the object of `seen_etag`.
enum class Seen : std::uint8_t { unknown, absent, object, doubtful };

struct AcknowledgedPart {
  PartNumber number = 0;
  ByteRange range;  // in the file
  Etag etag;
  std::string sha256;  // may be empty
  friend bool operator==(const AcknowledgedPart&, const AcknowledgedPart&) = default;
};

// An upload that B2 holds parts of and that is to be finished later.
struct UnfinishedUpload {
  Key key;  // under which it was begun; the file may have been renamed since
  UploadId id;
  std::uint64_t part_size = 0;  // of the grid that the parts were cut by (src/part_grid.h)
  std::vector<AcknowledgedPart> parts;
  std::uint64_t largest_part = 0;  // of that grid
  // The upload was completed already, as this version of `key`; only the file's new name is missing.
  VersionId made_version = {};
  friend bool operator==(const UnfinishedUpload&, const UnfinishedUpload&) = default;
};

struct ShadowRecord {
  std::string id;              // unique; names the record's files in the shadow
  std::uint64_t sequence = 0;  // order of publishing: given by the shadow, the higher one wins
  Path path;
  Storage storage = Storage::local;  // local or split
  std::uint64_t size = 0;            // of the file
  // What of the file lies in the shadow's data, at its own offsets; all of it when local.
  std::vector<ByteRange> ranges;
  std::string content_type;
  Metadata metadata;                    // kind, times, mode, correlation id, …
  // Split only: where the bytes are that `ranges` leaves out. Parts of the upload come first, the
  // rest is unchanged since this version of an object.
  std::optional<UnfinishedUpload> upload;
  std::optional<RemoteVersion> base;
  Seen seen = Seen::unknown;
  Etag seen_etag;  // with Seen::object, and with Seen::doubtful where that was seen before
  // Correlation ids of uploads of ours to this path that B2 may have taken without our hearing of
  // it: their objects are no change by somebody else. Not empty: B2 may have the name.
  std::vector<std::string> own_ids;

  Error reason;  // why it is here: code, detail and cause
  int attempts = 0;
  Duration duration{};
  WallTime stored_at{};
};

// Where a byte of the file is, and up to which offset that is the answer.
struct BytePlace {
  enum class Kind : std::uint8_t { shadow, upload, base } kind = Kind::shadow;
  std::uint64_t end = 0;
};
[[nodiscard]] BytePlace place_of(const ShadowRecord& record, std::uint64_t offset);

// Where the record's file goes when its own name has been taken by something else: "NAME (conflict
// 2026-11-22 152003)" beside it, after the time at which it was stored. A long NAME loses its end.
[[nodiscard]] Path conflict_path(const ShadowRecord& record);

// Adds the ids under which B2 may hold uploads of this record and of the ones before it.
inline void add_own_ids(const ShadowRecord& record, std::vector<std::string>& ids) {
  ids.insert(ids.end(), record.own_ids.begin(), record.own_ids.end());
  ids.push_back(record.metadata.correlation_id);
}

// One line of JSON, a newline, and a line with the SHA-256 of the first: `hex` hashes.
[[nodiscard]] std::string to_text(const ShadowRecord& record,
                                  const std::function<std::string(std::string_view)>& sha256_hex);
// invalid_argument, with what is wrong, for a text that was cut, changed or never was a record.
[[nodiscard]] Result<ShadowRecord> record_from_text(
    std::string_view text, const std::function<std::string(std::string_view)>& sha256_hex);

}  // namespace spillway
