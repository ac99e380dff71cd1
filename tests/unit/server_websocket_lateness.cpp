// SPDX-License-Identifier: MIT
//
// WebSockets and event streams of an I/O thread that is late: what their client has done meanwhile counts.

#include "websocket/push_protocol.hpp"

#include "../support/captured_log.hpp"
#include "../support/websocket_talk.hpp"

#include "websocket/event_stream.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <string>

using namespace websocket_test;
using namespace std::chrono_literals;
using server::opcode;
namespace close_code = server::close_code;

namespace {

talk_setup of_events() {
  talk_setup chosen;
  chosen.settings.speaks = server::dialect::events;
  chosen.room = 500;
  return chosen;
}

// Writes until something is kept for the client.
void fill(talk& to) {
  while (to.socket->kept() == 0) REQUIRE(to.socket->write(server::encode_event(std::string(100, 'x'))));
  to.settle();
}

}  // namespace

TEST_CASE("what has arrived is read before the client of a WebSocket is given up") {
  captured_log const log;
  talk here;
  CHECK(here.events() == "o");
  here.wait(41s);
  CHECK(here.next_frame().opcode == ping);
  std::string arrived, seen;
  SUBCASE("a pong") { arrived = frame(pong); }
  SUBCASE("a message") {
    arrived = frame(text, "alive");
    seen = "malive;";
  }
  SUBCASE("a part of one") { arrived = frame(text, "alive").substr(0, 3); }
  REQUIRE(here.link->send(arrived) == arrived.size());
  here.wait(41s);
  CHECK(here.socket->open());
  CHECK(!here.link->closed());
  CHECK(here.events() == seen);
  // What came then is old by now.
  CHECK(here.next_frame().opcode == ping);
  here.wait(41s);
  CHECK(here.link->closed());
  CHECK(log.text().find("does not answer a ping") != std::string::npos);
}

TEST_CASE("a client that has left meanwhile is not one that answers no ping") {
  captured_log const log;
  talk here;
  here.wait(41s);
  here.link->end();
  here.wait(41s);
  CHECK(here.link->closed());
  CHECK(here.events() == "oc");
  CHECK(log.text().empty());
}

TEST_CASE("a shorter time between pings gives up no client whose answer has arrived") {
  captured_log const log;
  talk here;
  asio::io_context& io = here.http.first_thread().context();
  auto const step = [&] {
    static_cast<void>(io.poll_one());
    io.restart();
  };
  here.socket->set_ping_interval(1ns);
  while (!here.link->sees_bytes()) step();  // the ping
  here.socket->set_ping_interval(1ns);
  std::string const answer = frame(pong);
  REQUIRE(here.link->send(answer) == answer.size());
  // The I/O thread looks at the time first, and does not get to a third look.
  for (int i = 0; i != 3; ++i) step();
  CHECK(here.socket->open());
}

TEST_CASE("a close frame that has arrived is read before the closing handshake is given up") {
  talk here;
  here.socket->close(close_code::normal);
  CHECK(here.next_frame().status() == 1000);
  std::string const answer = close_frame(1000);
  REQUIRE(here.link->send(answer) == answer.size());
  here.wait(6s);
  CHECK(here.sees_end());
  CHECK(!here.link->closed());  // The client may still read.
  CHECK(!here.link->lost());
  CHECK(here.events() == "oc");
}

TEST_CASE("a client whose messages wait for a worker is pinged, and not waited for: its answer would not be read") {
  captured_log const log;
  talk_setup chosen;
  chosen.settings.most_unhandled = 1000;
  talk here(chosen);
  std::string const message = frame(text, std::string(2000, 'm'));
  here.send(message);
  for (int i = 0; i != 5; ++i) {
    here.wait(41s);
    CHECK(here.next_frame().opcode == ping);
  }
  CHECK(here.socket->open());
  CHECK(here.events() == "om" + std::string(2000, 'm') + ";");
  here.wait(41s);
  here.wait(41s);
  CHECK(here.link->closed());
  CHECK(log.text().find("does not answer a ping") != std::string::npos);
}

TEST_CASE("what the client of an event stream has made room for is sent before it is given up") {
  captured_log const log;
  talk here(of_events());
  fill(here);
  here.wait(41s);
  std::string got = here.link->receive(SIZE_MAX);
  here.wait(41s);
  CHECK(here.socket->open());
  got += here.take_arrived();
  CHECK(got.size() > 500);
  CHECK(here.socket->kept() == 0);
  CHECK(log.text().empty());
}

TEST_CASE("an event stream that is closed ends in order if its client has read meanwhile") {
  talk here(of_events());
  fill(here);
  here.socket->close(close_code::normal);
  here.settle();
  static_cast<void>(here.link->receive(SIZE_MAX));
  here.wait(6s);
  CHECK(here.sees_end());
  CHECK(!here.link->lost());
  CHECK(here.events() == "oc");
}
