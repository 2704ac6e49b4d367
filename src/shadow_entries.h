// A directory of the shadow that is read once, when it is opened: small texts with checksums.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "src/disk.h"
#include "src/error.h"
#include "src/log.h"

namespace spillway::layout {

struct EntriesOf {
  std::string_view directory;
  std::string_view set_aside_as;  // "metadata-": what is damaged gets this before its name
  std::uint64_t largest = 0;      // no text of ours is larger
};

// Gives each text to `take`, whose `false` calls it damaged. What is damaged, too large, or given by
// the disk not even at a second try (EIO) goes to lost+found with a line in the log (event
// `shadow_damaged`); what a crash left half written is removed. An error: the directory can't be
// listed, a text can't be read for a reason of another kind, or nothing moved.
Result<> load_entries(Disk& disk, const EntriesOf& what, Log& log,
                      const std::function<bool(const std::string& name, std::string_view text)>& take);

}  // namespace spillway::layout
