#include "fuse/loop.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <memory>

#include "fuse/libfuse.h"

namespace spillway::kernel {
namespace {

// Ignored by default and sent by nobody, so that one from outside does no harm.
constexpr int kWake = SIGURG;
constexpr auto kBetweenWakes = std::chrono::milliseconds(10);

void do_nothing(int /*signal*/) {}

// While it lives, the wake signal interrupts what this thread waits for.
class Wakeable {
 public:
  Wakeable() {
    struct sigaction action {};  // without SA_RESTART
    action.sa_handler = &do_nothing;
    ::sigaction(kWake, &action, &old_action_);
    sigset_t wake;
    sigemptyset(&wake);
    sigaddset(&wake, kWake);
    ::pthread_sigmask(SIG_UNBLOCK, &wake, &old_mask_);
  }
  ~Wakeable() {
    ::pthread_sigmask(SIG_SETMASK, &old_mask_, nullptr);
    ::sigaction(kWake, &old_action_, nullptr);
  }
  Wakeable(const Wakeable&) = delete;
  Wakeable& operator=(const Wakeable&) = delete;

 private:
  struct sigaction old_action_ {};
  sigset_t old_mask_{};
};

// Idle threads are never ended: that is libfuse's default.
int serve(fuse_session* session, std::size_t threads) {
  const std::unique_ptr<fuse_loop_config, decltype(&fuse_loop_cfg_destroy)> config(
      fuse_loop_cfg_create(), &fuse_loop_cfg_destroy);
  if (!config) return -ENOMEM;
  fuse_loop_cfg_set_max_threads(config.get(),
                                static_cast<unsigned>(std::max<std::size_t>(threads, 2)));
  return fuse_session_loop_mt(session, config.get());
}

}  // namespace

Loop::Loop(Executor& executor) : executor_(executor), state_(executor) {}

int Loop::run(fuse_session* session, std::size_t threads) {
  const Wakeable wakeable;
  {
    auto state = state_.lock();
    if (state->stopping) return 0;
    state->session = session;
    state->runner = ::pthread_self();
  }
  const int outcome = serve(session, threads);
  {
    auto state = state_.lock();
    state->session = nullptr;
    state.notify_all();
  }
  wait_for_stop();
  return std::min(outcome, 0);
}

void Loop::stop(std::function<void()> before) {
  {
    auto state = state_.lock();
    if (state->stopping) return;
    state->stopping = true;
  }
  executor_.submit([this, before = std::move(before)] { end(before); });
}

// The signal may come before the thread waits, so it is sent until it has come after.
void Loop::end(const std::function<void()>& before) {
  before();
  auto state = state_.lock();
  while (state->session != nullptr) {
    fuse_session_exit(state->session);
    ::pthread_kill(state->runner, kWake);
    state.wait_until(executor_.clock().now() + kBetweenWakes,
                     [&] { return state->session == nullptr; });
  }
  state->ended = true;
  state.notify_all();
}

void Loop::wait_for_stop() {
  auto state = state_.lock();
  state.wait([&] { return !state->stopping || state->ended; });
}

}  // namespace spillway::kernel
