// What put and get share: the start of a FileSystem without a mount.
#pragma once

#include <functional>
#include <memory>

#include "src/cli/composition.h"
#include "src/file_system.h"
#include "src/path.h"
#include "src/startup.h"

namespace spillway::cli {

// Starts by the table of src/startup.h, calls `work`, and shuts the file system down: what `work`
// stored is then where its result says.
using Work = std::function<ExitCode(Composition& parts, FileSystem& file_system)>;
[[nodiscard]] ExitCode with_file_system(const GivenOptions& options, ShadowUse use,
                                        const Work& work);

// The caller of every call to the file system: this process.
[[nodiscard]] Caller this_process();

inline constexpr std::size_t kTransferSize = 1024 * 1024;

}  // namespace spillway::cli
