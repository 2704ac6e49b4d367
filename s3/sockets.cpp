#include "s3/sockets.h"

// Not <netinet/tcp.h>: the C library's tcp_info ends before the byte counters.
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace spillway::s3 {

int Sockets::open(int family, int type, int protocol) {
  const int socket = ::socket(family, type | SOCK_CLOEXEC, protocol);
  if (socket >= 0) open_.push_back(socket);
  return socket;
}

int Sockets::close(int socket) {
  std::erase(open_, socket);
  return ::close(socket);
}

std::uint64_t Sockets::bytes_moved() const {
  std::uint64_t total = 0;
  for (const int socket : open_) {
    tcp_info info{};
    socklen_t size = sizeof info;
    if (::getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) == 0) {
      total += info.tcpi_bytes_acked + info.tcpi_bytes_received;
    }
  }
  return total;
}

}  // namespace spillway::s3
