// Names under which programs write a file that they rename when it is whole. Pure.
#pragma once

#include <string_view>

#include "src/options.h"

namespace spillway {

[[nodiscard]] bool is_temporary_name(std::string_view name, TempNames which);

}  // namespace spillway
