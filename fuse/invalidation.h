// Tells the kernel to drop what it remembers of a file. Works from the moment the mount does until
// close(); before and after that it does nothing.
#pragma once

#include <cstddef>

#include "fuse/inodes.h"
#include "src/file_system.h"
#include "src/guarded.h"

struct fuse_session;

namespace spillway::kernel {

class Invalidation final : public KernelCache {
 public:
  Invalidation(const Inodes& inodes, Executor& executor);

  void open(fuse_session* session);
  // Waits for notifications under way. These wait in turn for locks that the kernel holds while
  // it waits for answers of ours: call this while requests are still served.
  void close();

  void content_changed(const Path& path) override;
  void entry_changed(const Path& path) override;

 private:
  template <class Call>
  void with_session(Call call);

  struct State {
    fuse_session* session = nullptr;
    std::size_t running = 0;
  };
  const Inodes& inodes_;
  Guarded<State> state_;
};

}  // namespace spillway::kernel
