// A lifecycle rule of the bucket that aborts unfinished uploads takes from split files what B2
// holds of them, when an outage outlasts it: whoever mounts or checks such a bucket is warned.
#pragma once

#include <optional>
#include <stop_token>
#include <string>

#include "src/log.h"
#include "src/object_store.h"
#include "src/tracked_executor.h"

namespace spillway::cli {

// Asks the bucket, once. Where there is a rule, logs `lifecycle_rule` and gives its hint. A bucket
// that does not tell (the key lacks listBuckets, the server knows no such rules) is no trouble of
// the user's: that is for the log at debug.
std::optional<std::string> warn_of_lifecycle_rule(ObjectStore& store, Log& log,
                                                  const std::stop_token& cancel);

// The same beside the caller, who never waits for it; ends with this object, answered or not.
class LifecycleRuleWarning {
 public:
  LifecycleRuleWarning(ObjectStore& store, Log& log, Executor& executor);
  ~LifecycleRuleWarning() { cancel_.request_stop(); }
  LifecycleRuleWarning(const LifecycleRuleWarning&) = delete;
  LifecycleRuleWarning& operator=(const LifecycleRuleWarning&) = delete;

 private:
  std::stop_source cancel_;
  TrackedExecutor executor_;
};

}  // namespace spillway::cli
