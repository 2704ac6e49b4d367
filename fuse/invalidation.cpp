#include "fuse/invalidation.h"

#include "fuse/libfuse.h"

namespace spillway::kernel {

Invalidation::Invalidation(const Inodes& inodes, Executor& executor)
    : inodes_(inodes), state_(executor) {}

void Invalidation::open(fuse_session* session) { state_.lock()->session = session; }

void Invalidation::close() {
  auto state = state_.lock();
  state->session = nullptr;
  state.wait([&] { return state->running == 0; });
}

// The lock is not held over the call, which may take as long as somebody's request.
template <class Call>
void Invalidation::with_session(Call call) {
  auto state = state_.lock();
  fuse_session* const session = state->session;
  if (session == nullptr) return;
  ++state->running;
  state.unlocked([&] { call(session); });
  --state->running;
  state.notify_all();
}

// Both calls fail where the kernel has forgotten the file meanwhile, which is as good.
void Invalidation::content_changed(const Path& path) {
  const auto node = inodes_.find(path);
  if (!node) return;
  constexpr off_t kFromTheStart = 0;
  constexpr off_t kToTheEnd = 0;
  with_session([&](fuse_session* session) {
    fuse_lowlevel_notify_inval_inode(session, *node, kFromTheStart, kToTheEnd);
  });
}

void Invalidation::entry_changed(const Path& path) {
  const auto parent = inodes_.find(path.parent());
  if (!parent || path.is_root()) return;
  const std::string name(path.name());
  with_session([&](fuse_session* session) {
    fuse_lowlevel_notify_inval_entry(session, *parent, name.c_str(), name.size());
  });
}

}  // namespace spillway::kernel
