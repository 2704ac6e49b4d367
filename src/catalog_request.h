// The catalog's questions to B2, put into its own terms: one function a question, no memory.
#pragma once

#include <optional>
#include <vector>

#include "src/catalog_index.h"
#include "src/path.h"
#include "src/requests.h"

namespace spillway {

struct FetchedRows {
  DirectoryRows rows;
  std::vector<Key> hidden;     // keys that can't be paths; common prefixes with their slash
  std::optional<Error> error;  // `rows` is what came before it
  // For a reader, where the directory goes on. Undecided files are not in `rows`.
  std::optional<ListPosition> next;
};

// LIST with delimiter, page by page. A look-up stops where a directory turns out to be larger than
// it should cost, a reader after the page that brings `most_names`; the rows are partial then, and
// always where `from` is not the start.
enum class ListPurpose : std::uint8_t { look_up, read };
[[nodiscard]] FetchedRows fetch_rows(Requests& requests, const Path& directory,
                                     ListPurpose purpose, const ListPosition& from,
                                     std::size_t most_names);

struct PointAnswer {
  std::optional<VersionIdentity> file;
  bool is_directory = false;
};
// At most two LISTs of one key.
[[nodiscard]] Result<PointAnswer> fetch_point(Requests& requests, const Path& path);

// nullopt: there is no such object.
[[nodiscard]] Result<std::optional<ObjectInfo>> fetch_head(Requests& requests, const Key& key);

// Two keys that begin with the directory's prefix (its marker among them).
struct FirstKeys {
  std::vector<Key> keys;
  bool are_all = false;
};
[[nodiscard]] Result<FirstKeys> fetch_first_keys(Requests& requests, const Path& directory);

}  // namespace spillway
