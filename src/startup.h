// What the start makes of how it finds B2: go on well, degraded or without B2 at all, or stop.
// Pure: the bucket is asked elsewhere, the answer is an argument. `mount`, `check`, `put` and `get`
// all start by this table.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "src/config.h"
#include "src/engine.h"
#include "src/error.h"
#include "src/log.h"

namespace spillway {

// Of the program. Scripts of users depend on the numbers.
enum class ExitCode : int { done = 0, failed = 1, usage = 2, refused = 3, mount_failed = 4 };

struct StartDecision {
  std::optional<ExitCode> stop;  // with a value: end so, after logging; else go on with `service`
  ServiceAtStart service;
  // The one line that the log gets, and that the user sees as well when the start stops.
  Level level = Level::info;
  std::string event;
  Fields fields;
};

// The configuration lacks what is needed to reach a bucket; `fault` is what s3_settings_from() or
// the endpoint's parser said of it. Stops in production, else goes on local-only.
[[nodiscard]] StartDecision decide_without_bucket(RunMode mode, const Error& fault);

// `asked` is the answer of ObjectStore::verify_bucket(). What may pass by itself (an outage, a cap)
// never stops the start: a reboot meanwhile must still give a working mount.
[[nodiscard]] StartDecision decide_with_bucket(RunMode mode, std::string_view endpoint,
                                               std::string_view bucket, const Result<>& asked);

}  // namespace spillway
