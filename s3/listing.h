// Whether a page of a listing makes sense. A broken or hostile server must never make the program
// loop, or believe in a smaller or another tree: such a page is an error. Pure.
#pragma once

#include "s3/xml.h"
#include "src/error.h"
#include "src/object_store.h"

namespace spillway::s3 {

// Refused with server_error: keys or prefixes that do not rise strictly (by their bytes), lack the
// request's prefix or do not come after `start_after`; common prefixes where no delimiter was
// asked for, or that do not end with it; a truncated page that is empty, has no token, or repeats
// the token it was asked with.
[[nodiscard]] Result<> check_page(const ListRequest& request, const ListPage& page);

// Numbers must rise from `after` on; a truncated page must not be empty and its marker must be its
// last number.
[[nodiscard]] Result<> check_page(PartNumber after, const PartsPage& page);

// `asked` holds the markers that the page was asked with (empty on the first). Keys must have the
// prefix; a truncated page must not be empty, and its markers must lead on.
[[nodiscard]] Result<> check_page(const std::string& prefix, const UploadsPage& asked,
                                  const UploadsPage& page);

// Of the versions of `key`, as above: keys must have it as their prefix and never fall (versions and
// hide markers each by themselves), and the markers must lead on, within `key` by a version id.
[[nodiscard]] Result<> check_page(const Key& key, const VersionsPage& asked,
                                  const VersionsPage& page);

// The history of one key, of all pages: the latest comes first, the others by their time. Refused
// unless exactly one is the latest: who deletes must know what would rise.
[[nodiscard]] Result<std::vector<ObjectVersion>> newest_first(std::vector<ListedVersion> versions);

}  // namespace spillway::s3
