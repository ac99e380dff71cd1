// SPDX-License-Identifier: MIT

#include "net/accept_turns.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>

namespace server = kino::server;
using namespace std::chrono_literals;

namespace {

// A process that is ahead of others, in virtual time.
struct process {
  server::accept_turns turns;
  std::uint32_t connections = 10;
  server::clock::time_point now = server::clock::time_point{} + 1h;

  // Accepts until it is the others' turn, at most `most` connections.
  std::size_t accept(std::size_t most = 100'000) {
    std::size_t accepted = 0;
    while (accepted != most && !turns.leaves_next(connections, now)) ++accepted;
    return accepted;
  }
  void end_turn(std::uint32_t closed = 0) {
    connections -= closed;
    now += server::accept_turns::turn;
    turns.over(connections, now);
    connections += closed;
  }
};

}  // namespace

TEST_CASE("a process that is ahead leaves the next connection to others, and takes one itself after each of their turns") {
  process ahead;
  CHECK(ahead.accept() == 0);
  CHECK(ahead.turns.waits());
  for (int i = 0; i != 20; ++i) {
    ahead.end_turn();
    CHECK(ahead.accept() == 1);
    CHECK(ahead.turns.waits());
  }
  ahead.turns.level();
  CHECK_FALSE(ahead.turns.waits());
}

TEST_CASE("a process accepts many connections when the others never take their turn") {
  process ahead;
  CHECK(ahead.accept() == 0);
  auto const began = ahead.now;
  std::size_t accepted = 0;
  while (accepted < 1000) {
    ahead.end_turn();
    accepted += ahead.accept();
  }
  CHECK(ahead.now - began < 60ms);
  // Until it is level with them once.
  ahead.turns.level();
  CHECK(ahead.accept() == 0);
  ahead.end_turn();
  CHECK(ahead.accept() == 1);
}

TEST_CASE("a process whose connections are short does not wait, for longer and longer, but at most a second") {
  process ahead;
  CHECK(ahead.accept() == 0);
  auto longest = 0ms;
  for (int i = 0; i != 10; ++i) {
    ahead.end_turn(1);
    auto const began = ahead.now;
    while (ahead.accept(1) == 1) ahead.now += 1ms;
    auto const hurried = std::chrono::duration_cast<std::chrono::milliseconds>(ahead.now - began);
    CHECK(hurried >= longest);
    CHECK(hurried >= 16ms);
    longest = hurried;
  }
  CHECK(longest == 1024ms);
  // It waits as before when they are long.
  ahead.end_turn();
  CHECK(ahead.accept() == 1);
  CHECK(ahead.turns.waits());
}
