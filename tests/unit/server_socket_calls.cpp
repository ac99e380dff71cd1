// SPDX-License-Identifier: MIT

#include "net/socket_calls.hpp"

#include <doctest/doctest.h>

#include <arpa/inet.h>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace server = kino::server;

namespace {

class descriptor {
public:
  explicit descriptor(int one) : one_(one) { REQUIRE(one_ >= 0); }
  descriptor(descriptor const&) = delete;
  ~descriptor() { close(); }
  void close() {
    if (one_ >= 0) ::close(one_);
    one_ = -1;
  }
  operator int() const { return one_; }

private:
  int one_;
};

struct address {
  sockaddr_storage bytes{};
  socklen_t length = sizeof bytes;
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&bytes); }
};

// A listening socket on a free port, or with a name in the abstract namespace that the system chooses.
address listen_on(int socket, int family) {
  address where;
  if (family == AF_INET) {
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::bind(socket, reinterpret_cast<sockaddr*>(&any), sizeof any) == 0);
  } else {
    sockaddr_un any{};
    any.sun_family = AF_UNIX;
    REQUIRE(::bind(socket, reinterpret_cast<sockaddr*>(&any), sizeof(sa_family_t)) == 0);
  }
  REQUIRE(::listen(socket, 16) == 0);
  REQUIRE(::getsockname(socket, where.get(), &where.length) == 0);
  return where;
}

int accepted(int listening) {
  sockaddr_storage from{};
  int const socket = server::accept_socket(listening, from);
  if (socket >= 0) ::close(socket);
  return socket;
}

}  // namespace

#ifdef __linux__
TEST_CASE("a Unix socket that refuses new connections still gives those that wait") {
  descriptor const listening(server::open_socket(AF_UNIX));
  address where = listen_on(listening, AF_UNIX);
  descriptor const waiting(server::open_socket(AF_UNIX));
  REQUIRE(::connect(waiting, where.get(), where.length) == 0);
  server::refuse_new_connections(listening, false);
  descriptor const late(server::open_socket(AF_UNIX));
  CHECK(::connect(late, where.get(), where.length) == -1);
  CHECK(errno == ECONNREFUSED);
  CHECK(accepted(listening) >= 0);
  CHECK(accepted(listening) == -1);
}

TEST_CASE("a TCP socket that ignores new connections still gives those that wait") {
  descriptor listening(server::open_socket(AF_INET));
  address where = listen_on(listening, AF_INET);
  descriptor const waiting(server::open_socket(AF_INET));
  static_cast<void>(::connect(waiting, where.get(), where.length));
  server::refuse_new_connections(listening, true);
  descriptor const late(server::open_socket(AF_INET));
  CHECK(::connect(late, where.get(), where.length) == -1);
  CHECK(errno == EINPROGRESS);
  CHECK(accepted(listening) >= 0);
  CHECK(accepted(listening) == -1);
  CHECK(errno == EAGAIN);
  tcp_info state{};
  socklen_t length = sizeof state;
  REQUIRE(::getsockopt(late, IPPROTO_TCP, TCP_INFO, &state, &length) == 0);
  CHECK(state.tcpi_state == TCP_SYN_SENT);  // It is told when it tries again.
}
#endif
