// The user's extended attributes as one line of text: s3fs's form, JSON from name to base64 of the
// value, URL-encoded.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "src/error.h"

namespace spillway {

using XattrMap = std::map<std::string, std::string>;

inline constexpr std::string_view kXattrsName = "xattr";
// The longest text that is written or read: more would leave no room for the other metadata.
inline constexpr std::size_t kLongestXattrs = 2'048;

// Whether this attribute can be kept with an object: not_supported for a name outside "user.",
// not_permitted for "user.b2.", invalid_argument for a name that is not UTF-8.
[[nodiscard]] Result<> check_xattr_name(std::string_view name);

// attribute_too_large when the text of all of them is over kLongestXattrs.
[[nodiscard]] Result<> check_xattrs(const XattrMap& xattrs);

// Names that check_xattr_name() refuses are left out. Printable ASCII.
[[nodiscard]] std::string xattrs_to_text(const XattrMap& xattrs);

// nullopt for a text that is too long or not of this form. Attributes whose name
// check_xattr_name() refuses are left out: a bucket must not hand out security.capability.
[[nodiscard]] std::optional<XattrMap> xattrs_from_text(std::string_view text);

}  // namespace spillway
