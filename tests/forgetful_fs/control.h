// What a test tells the disk and asks of it, as attributes of its root: see operations.h.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "tests/forgetful_fs/disk.h"

namespace forgetful {

// 0, ENOTSUP for an attribute that is none of ours, EINVAL for a value that it can't have.
[[nodiscard]] int control(Disk& disk, std::string_view name, std::string_view value);
[[nodiscard]] std::optional<std::string> report(const Disk& disk, std::string_view name);

}  // namespace forgetful
