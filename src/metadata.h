// What a file is besides its bytes, and how that is kept with its object: under the names that
// s3fs and rclone use, so that buckets move between tools.
//
//   mtime                      seconds; with exactly nine digits of fraction when there is one
//   src_last_modified_millis   the same in milliseconds (rclone's b2 backend, the b2 CLI)
//   mode, uid, gid             decimal; mode is the whole st_mode (s3fs, geesefs)
//   xattr                      URL-encoded JSON of base64 (s3fs)
//   spillway-id                correlation id of the upload that stored the version
//   spillway-writer-killed     "true": the process that wrote the version was killed by a signal
//   sha256                     hex, where it was known when the upload began
//
// What comes from a bucket is input: values out of range are ignored, set-id and device bits are
// dropped.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "src/clock.h"
#include "src/object_store.h"

namespace spillway {

enum class FileKind : std::uint8_t { regular, directory, symlink, fifo, socket };

struct Metadata {
  FileKind kind = FileKind::regular;
  std::optional<WallTime> mtime;
  std::optional<std::uint32_t> permissions;  // the twelve low bits of st_mode
  std::optional<std::uint32_t> uid;
  std::optional<std::uint32_t> gid;
  std::map<std::string, std::string> xattrs;  // the user's own, full name ("user.x") to value
  std::string correlation_id;
  std::string sha256;
  bool writer_killed = false;
  MetadataMap foreign;  // names that are none of ours, kept as they are

  friend bool operator==(const Metadata&, const Metadata&) = default;
};

[[nodiscard]] MetadataMap to_map(const Metadata& metadata);
[[nodiscard]] Metadata metadata_from(const MetadataMap& map);

// Whether both say the same of a file once they are stored: which upload made it, and its hash, are
// not compared.
[[nodiscard]] bool says_the_same(const Metadata& one, const Metadata& other);

// By the name's ending; "application/octet-stream" where it says nothing.
[[nodiscard]] std::string content_type_for(std::string_view name);

}  // namespace spillway
