// SPDX-License-Identifier: MIT

#include "net/handshake_deadline.hpp"

#include <doctest/doctest.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <sys/socket.h>
#include <unistd.h>

namespace server = kino::server;
using server::handshake_deadline;
using server::deadline_queue;

namespace {

// A socket and its peer.
struct joined {
  joined() {
    if (::socketpair(AF_UNIX, SOCK_STREAM, 0, both.data()) != 0) std::abort();
  }
  ~joined() {
    for (int one : both) ::close(one);
  }
  [[nodiscard]] bool ended() const {
    char byte = 0;
    return ::recv(both[1], &byte, 1, MSG_DONTWAIT) == 0;
  }
  std::array<int, 2> both{};
};

// The queue of a thread, whose deadlines expire when a test says so.
struct alarms {
  void expire() { queue.run(server::clock::now() + std::chrono::hours(1)); }
  // The next one alone.
  void step() { queue.run(queue.next()); }
  deadline_queue queue{[](server::clock::time_point) {}};
};

}  // namespace

TEST_CASE("a handshake that is not finished in time is ended, and one that is finished is not") {
  alarms at;
  handshake_deadline deadline(at.queue, std::chrono::seconds(0));
  joined late, complete, gone;
  auto const first = deadline.watch(late.both[0]);
  auto const second = deadline.watch(complete.both[0]);
  auto third = deadline.watch(gone.both[0]);
  second->finished();
  third.reset();
  at.expire();
  CHECK(first->expired());
  CHECK(late.ended());
  CHECK(!second->expired());
  CHECK(!complete.ended());
  CHECK(!gone.ended());
  CHECK(at.queue.next() == server::clock::time_point::max());
}

TEST_CASE("each one has its own time") {
  alarms at;
  handshake_deadline deadline(at.queue, std::chrono::seconds(0));
  for (int n = 0; n < 3; ++n) {
    joined one;
    auto const watched = deadline.watch(one.both[0]);
    at.expire();
    CHECK(watched->expired());
    CHECK(one.ended());
  }
}

TEST_CASE("a handshake of which something has not been read gets a second more, once: its thread may not have run") {
  alarms at;
  handshake_deadline deadline(at.queue, std::chrono::seconds(0));
  joined one;
  auto const watched = deadline.watch(one.both[0]);
  REQUIRE(::send(one.both[1], "hello", 5, 0) == 5);
  at.step();
  CHECK(!watched->expired());
  bool finished = false;
  SUBCASE("it is finished then") {
    watched->finished();
    finished = true;
  }
  SUBCASE("it is read then, and was not all of it") {
    char bytes[5];
    REQUIRE(::recv(one.both[0], bytes, sizeof bytes, 0) == 5);
  }
  SUBCASE("it is not read then") {}
  // Another one does not wait for it.
  joined other;
  auto const second = deadline.watch(other.both[0]);
  at.step();
  CHECK(second->expired());
  at.step();
  CHECK(watched->expired() == !finished);
  CHECK(one.ended() == !finished);
  CHECK(at.queue.next() == server::clock::time_point::max());
}

TEST_CASE("a deadline that is stopped sets no alarm and ends nothing") {
  alarms at;
  handshake_deadline deadline(at.queue, std::chrono::hours(1));
  joined one;
  auto const watched = deadline.watch(one.both[0]);
  CHECK(at.queue.next() != server::clock::time_point::max());
  deadline.stop();
  CHECK(at.queue.next() == server::clock::time_point::max());
  at.expire();
  CHECK(!watched->expired());
  CHECK(!one.ended());
}
