// A shadow for a command that runs beside a mount: its directory is locked and recovered only once
// something has to go there, and until then it is empty.
#pragma once

#include <functional>
#include <memory>

#include "src/executor.h"
#include "src/shadow.h"

namespace spillway::cli {

class DeferredShadow : public Shadow {
 public:
  // Opens the real one; `exists` when another process holds its lock.
  using Opener = std::function<Result<std::unique_ptr<Shadow>>()>;

  // Opens it at once if it is free and `opener` finds nothing wrong with it; never fails.
  virtual void open_if_free() = 0;
  // Whether something should have gone to the shadow and another process held it.
  [[nodiscard]] virtual bool was_locked_out() const = 0;
};

[[nodiscard]] std::unique_ptr<DeferredShadow> make_deferred_shadow(DeferredShadow::Opener opener,
                                                                   Executor& executor);

}  // namespace spillway::cli
