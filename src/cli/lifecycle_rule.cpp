#include "src/cli/lifecycle_rule.h"

#include <spdlog/fmt/fmt.h>

namespace spillway::cli {

std::optional<std::string> warn_of_lifecycle_rule(ObjectStore& store, Log& log,
                                                  const std::stop_token& cancel) {
  CallOptions call;
  call.cancel = cancel;
  const auto days = store.abort_rule_days(call);
  if (cancel.stop_requested()) return std::nullopt;
  if (!days.ok()) {
    log.event(Level::debug, "lifecycle_rule_unknown",
              {{"error_code", to_string(days.error().code)}, {"detail", days.error().detail}});
    return std::nullopt;
  }
  if (!*days) return std::nullopt;
  std::string hint = fmt::format(
      "The bucket aborts unfinished uploads after {} {}: an outage that lasts longer loses the "
      "heads of split files. Raise it in the B2 console under Lifecycle Settings",
      **days, **days == 1 ? "day" : "days");
  log.event(Level::warning, "lifecycle_rule", {{"days", **days}, {"hint", hint}});
  return hint;
}

LifecycleRuleWarning::LifecycleRuleWarning(ObjectStore& store, Log& log, Executor& executor)
    : executor_(executor) {
  executor_.submit(
      [&store, &log, cancel = cancel_.get_token()] { warn_of_lifecycle_rule(store, log, cancel); });
}

}  // namespace spillway::cli
