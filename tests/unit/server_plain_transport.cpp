// SPDX-License-Identifier: MIT
//
// The transport without encryption, over TCP and Unix sockets.

#include "net/plain_transport.hpp"

#include "../support/await.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <netinet/in.h>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

namespace server = kino::server;
using server::io_result;
using server::plain_transport;
using server::transport;

namespace {

std::array<int, 2> unix_pair() {
  std::array<int, 2> both{};
  if (::socketpair(AF_UNIX, SOCK_STREAM, 0, both.data()) != 0) std::abort();
  return both;
}

std::array<int, 2> tcp_pair() {
  int const listening = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in here{};
  here.sin_family = AF_INET;
  here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof here;
  auto* const address = reinterpret_cast<sockaddr*>(&here);
  int const peer = ::socket(AF_INET, SOCK_STREAM, 0);
  bool const connected = ::bind(listening, address, length) == 0 && ::listen(listening, 1) == 0 &&
                         ::getsockname(listening, address, &length) == 0 && ::connect(peer, address, length) == 0;
  if (!connected) std::abort();
  int const accepted = ::accept(listening, nullptr, nullptr);
  ::close(listening);
  return {accepted, peer};
}

// A transport and the socket at the other end.
struct wire {
  explicit wire(std::array<int, 2> both) : ours(both[0]), peer(both[1]) {}
  ~wire() { close_peer(); }

  void close_peer() {
    if (peer >= 0) ::close(std::exchange(peer, -1));
  }
  std::string peer_reads(std::size_t most = 1 << 20) {
    std::string bytes(most, '\0');
    ssize_t const got = ::recv(peer, bytes.data(), bytes.size(), 0);
    bytes.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return bytes;
  }

  plain_transport ours;
  int peer;
};

io_result send(transport& to, std::string_view first, std::string_view second = {}) {
  iovec const pieces[] = {{const_cast<char*>(first.data()), first.size()},
                          {const_cast<char*>(second.data()), second.size()}};
  return to.write_some(pieces);
}

template <class Check>
void on_each_kind(Check check) {
  for (bool tcp : {false, true}) {
    CAPTURE(tcp);
    wire between(tcp ? tcp_pair() : unix_pair());
    check(between);
  }
}

}  // namespace

TEST_CASE("pieces are written in order, and available bytes are read") {
  on_each_kind([](wire& between) {
    io_result const written = send(between.ours, "one, ", "two");
    CHECK(written.done());
    CHECK(written.bytes == 8);
    CHECK(between.peer_reads() == "one, two");
    REQUIRE(::send(between.peer, "three", 5, 0) == 5);
    char bytes[3];
    io_result read = between.ours.read_some(bytes);
    CHECK(read.done());
    CHECK(std::string_view(bytes, read.bytes) == "thr");
    read = between.ours.read_some(bytes);
    CHECK(std::string_view(bytes, read.bytes) == "ee");
  });
}

TEST_CASE("without bytes to read it waits to be readable, and it reports the end of the stream") {
  on_each_kind([](wire& between) {
    char byte[1];
    CHECK(between.ours.read_some(byte).what == io_result::state::wants_readable);
    ::shutdown(between.peer, SHUT_WR);
    await([&] { return between.ours.read_some(byte).what == io_result::state::end; });
    CHECK(send(between.ours, "still heard").done());
    CHECK(between.peer_reads() == "still heard");
  });
}

TEST_CASE("a full socket accepts a part of the bytes, then the transport waits to be writable") {
  on_each_kind([](wire& between) {
    std::string all(8 << 20, '\0');
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<char>('a' + i % 23);
    std::string got;
    bool was_full = false;
    bool was_partial = false;
    for (std::string_view left = all; !left.empty();) {
      io_result const written = send(between.ours, left.substr(0, 5), left.substr(std::min<std::size_t>(5, left.size())));
      was_full |= written.what == io_result::state::wants_writable;
      was_partial |= written.done() && written.bytes < left.size();
      if (!written.done()) {
        REQUIRE(written.what == io_result::state::wants_writable);
        got += between.peer_reads();
      }
      left.remove_prefix(written.bytes);
    }
    between.ours.shutdown_write();
    for (std::string more; !(more = between.peer_reads()).empty();) got += more;
    CHECK(was_full);
    CHECK(was_partial);
    CHECK(got == all);
  });
}

TEST_CASE("after shutdown_write the client sees the end of the stream, and its bytes are still read") {
  on_each_kind([](wire& between) {
    CHECK(send(between.ours, "last").done());
    between.ours.shutdown_write();
    CHECK(between.peer_reads() == "last");
    CHECK(between.peer_reads().empty());
    REQUIRE(::send(between.peer, "more", 4, 0) == 4);
    char bytes[8];
    CHECK(between.ours.read_some(bytes).bytes == 4);
    CHECK(send(between.ours, "too late").failed());
  });
}

TEST_CASE("writing to a disconnected client fails without a signal") {
  on_each_kind([](wire& between) {
    ::linger const at_once{1, 0};
    ::setsockopt(between.peer, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    between.close_peer();
    await([&] { return send(between.ours, "anyone?").failed(); });
  });
}

TEST_CASE("the client of an orderly close sees the end of the stream, that of a reset an error") {
  for (transport::ending how : {transport::ending::orderly, transport::ending::reset}) {
    wire between(tcp_pair());
    CHECK(send(between.ours, "part of").done());
    between.ours.close(how);
    CHECK(between.ours.descriptor() == -1);
    bool const reset = how == transport::ending::reset;
    if (!reset) CHECK(between.peer_reads() == "part of");
    char byte;
    ssize_t got = 0;
    int error = 0;
    await([&] {
      errno = 0;
      got = ::recv(between.peer, &byte, 1, MSG_DONTWAIT);
      error = errno;
      return got <= 0 && error != EAGAIN;  // bytes that arrived before a reset may be lost
    });
    CHECK(got == (reset ? -1 : 0));
    CHECK(error == (reset ? ECONNRESET : 0));
  }
}

TEST_CASE("the destructor closes the socket, unless it has been closed") {
  auto const both = unix_pair();
  { plain_transport const owner(both[0]); }
  CHECK(::fcntl(both[0], F_GETFD) == -1);
  {
    plain_transport owner(both[1]);
    owner.close(transport::ending::orderly);
    REQUIRE(::open("/dev/null", O_RDONLY) == both[0]);  // the lowest free numbers
    REQUIRE(::open("/dev/null", O_RDONLY) == both[1]);
  }
  CHECK(::fcntl(both[1], F_GETFD) != -1);
  ::close(both[0]);
  ::close(both[1]);
}

#if defined(__linux__)
TEST_CASE("bytes are counted until the client's side has acknowledged them") {
  wire between(tcp_pair());
  CHECK(between.ours.unacknowledged() == 0);
  std::string const much(1 << 20, 'm');
  std::size_t sent = 0;
  for (io_result last{io_result::state::done}; last.done(); sent += last.bytes) last = send(between.ours, much);
  CHECK(between.ours.unacknowledged() > 0);
  CHECK(between.ours.unacknowledged() <= sent);
  for (std::size_t got = 0; got < sent;) got += between.peer_reads().size();
  await([&] { return between.ours.unacknowledged() == 0; });
}
#endif
