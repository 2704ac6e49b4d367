#include "src/directory_sync.h"

#include <algorithm>

namespace spillway {

DirectorySync::Ticket DirectorySync::changed() {
  auto state = state_.lock();
  return ++state->changes;
}

Result<> DirectorySync::make_durable(Ticket ticket) {
  auto state = state_.lock();
  while (true) {
    if (state->kept < ticket && ticket <= state->lost) return fail(*state->reason);
    if (ticket <= state->durable) return {};
    if (state->running) {
      state.wait([&] { return !state->running; });
    } else {
      TRY(run(state));
    }
  }
}

Result<> DirectorySync::run(Guarded<State>::Locked& state) {
  const Ticket covered = state->changes;
  state->running = true;
  auto synced = state.unlocked([this] { return disk_.sync_directory(directory_); });
  state->running = false;
  state.notify_all();
  if (synced) {
    state->durable = std::max(state->durable, covered);
    return {};
  }
  state->kept = state->durable;
  state->lost = covered;
  state->reason = synced.error();
  return synced;
}

}  // namespace spillway
