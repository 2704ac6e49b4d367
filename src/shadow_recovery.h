// Makes sense of the shadow after any end of the process before, also a power cut at any moment of
// any of its calls, or of this recovery itself.
//
// - The newest record of a path whose data is there, and has the right size, is the path's file.
//   What it replaced is removed; a move of its data that a crash interrupted is finished.
// - Records that can't be read, records without their data, and data without a record are set aside
//   in lost+found, each with a line in the log. Nothing of them is deleted.
// - What a removed record left is removed.
// - Files below files/ that no record names stay: a person may have put them there. They are logged
//   in one line.
#pragma once

#include "src/disk.h"
#include "src/log.h"
#include "src/shadow.h"
#include "src/shadow_index.h"
#include "src/shadow_journal.h"

namespace spillway {

struct Recovered {
  ShadowRecovery counts;
  ShadowIndex index;
};

// The caller holds the shadow's lock, and the directories are there. Fails only when the disk does;
// may then be tried again.
Result<Recovered> recover_shadow(Disk& disk, const TextHash& hash, Log& log);

}  // namespace spillway
