// Lets the kernel look up and list in one directory with many threads at once. libfuse before
// 3.17.1 knows of the capability and never answers with it (49 lookups a second at 20 ms each,
// instead of 393), so its answer to the kernel's INIT is completed here, on its way out. As a
// by-product this knows when the mount works: when that answer was accepted.
#pragma once

#include <sys/uio.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

struct fuse_session;

namespace spillway::kernel {

class ParallelDirops {
 public:
  // What to call, once, when the kernel has accepted the answer. Before the session's loop.
  void on_ready(std::function<void()> ready) { ready_ = std::move(ready); }

  // The two ends of the kernel's device, with the meaning of read(2) and writev(2).
  ssize_t read(int device, std::span<std::byte> request);
  ssize_t write(int device, std::span<const iovec> reply);

 private:
  void look_for_init(std::span<const std::byte> request);
  ssize_t write_init(int device, std::span<const iovec> reply);

  // INIT is the first request and is answered before any other is read.
  std::atomic<bool> agreed_ = false;
  std::atomic<std::uint64_t> init_ = 0;  // number of the request, 0: none seen
  std::atomic<bool> offered_ = false;
  std::function<void()> ready_;
};

}  // namespace spillway::kernel
