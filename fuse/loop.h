// libfuse's loop of worker threads, with an end that can be asked for: libfuse itself waits in a
// place that only a signal or an unmount wakes.
#pragma once

#include <pthread.h>

#include <cstddef>
#include <functional>

#include "src/executor.h"
#include "src/guarded.h"

struct fuse_session;

namespace spillway::kernel {

class Loop {
 public:
  explicit Loop(Executor& executor);
  ~Loop() { wait_for_stop(); }
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Serves requests on up to `threads` threads until the kernel has unmounted or stop() is called;
  // returns when the last of them has been answered. 0, or a negative errno. Once only.
  int run(fuse_session* session, std::size_t threads);

  // Makes run() return, or not begin. `before` is called first, on another thread, while requests
  // are still served. Any thread; does not wait; the second call does nothing.
  void stop(std::function<void()> before);

  // Returns when a stop that was asked for has nothing more to do here.
  void wait_for_stop();

 private:
  void end(const std::function<void()>& before);

  struct State {
    fuse_session* session = nullptr;  // while its loop runs
    pthread_t runner{};
    bool stopping = false;
    bool ended = false;  // end() has nothing more to do
  };
  Executor& executor_;
  Guarded<State> state_;
};

}  // namespace spillway::kernel
