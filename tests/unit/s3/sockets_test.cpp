#include "s3/sockets.h"

#include <gtest/gtest.h>

#include "tests/unit/s3/raw_server.h"

namespace spillway::s3 {
namespace {

TEST(Sockets, CountsWhatMovesBothWays) {
  testing::RawServer server([](testing::Peer& peer) {
    peer.read_body(5);
    peer.write("1234567");
    peer.wait_for_end();
  });
  Sockets sockets;
  const int socket = sockets.open(AF_INET, SOCK_STREAM, 0);
  ASSERT_GE(socket, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(server.port());
  ASSERT_EQ(::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  const auto before = sockets.bytes_moved();
  testing::Peer client(::dup(socket));
  client.write("hello");
  EXPECT_EQ(client.read_body(7), "1234567");
  EXPECT_EQ(sockets.bytes_moved() - before, 12U);
  EXPECT_EQ(sockets.close(socket), 0);
  EXPECT_EQ(sockets.bytes_moved(), 0U);
}

TEST(Sockets, CantOpenWhatDoesNotExist) {
  Sockets sockets;
  EXPECT_EQ(sockets.open(-1, SOCK_STREAM, 0), -1);
}

}  // namespace
}  // namespace spillway::s3
