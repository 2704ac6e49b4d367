// drain --adopt: what a mount kept before any bucket was known goes into a mounted bucket.
#pragma once

#include <string>

#include "src/cli/mounted.h"
#include "src/startup.h"

namespace spillway::cli {

// Takes over the shadow `directory` of a mount without a bucket; where that is empty, the one such
// a mount has by default. Files go first, oldest first, then the directories, and each leaves the
// old shadow only when the mount has it durably. Nothing in the bucket is replaced: a file whose
// name is taken goes beside it, named as the drain names conflicts. What fails stays, is told, and
// makes the exit code 1; the others go on.
[[nodiscard]] ExitCode adopt(const MountPoint& mount, const std::string& directory);

}  // namespace spillway::cli
