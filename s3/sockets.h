// The sockets of one connection (several while addresses are being tried), opened and closed here
// so that what really moves through them can be counted. curl's own counters can't tell a slow line
// from a dead one: through TLS they stand still until a whole upload buffer is out.
#pragma once

#include <cstdint>
#include <vector>

namespace spillway::s3 {

class Sockets {
 public:
  // As socket(2); close-on-exec. -1 on failure.
  int open(int family, int type, int protocol);
  // As close(2).
  int close(int socket);

  // Bytes the peers have acknowledged plus bytes received, by the kernel's count. Falls when a
  // socket is closed: only a change means something.
  [[nodiscard]] std::uint64_t bytes_moved() const;

 private:
  std::vector<int> open_;
};

}  // namespace spillway::s3
