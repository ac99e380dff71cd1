// SPDX-License-Identifier: MIT
//
// WebSockets and event streams over HTTP/2 of an I/O thread that is late: what their client has done meanwhile counts.

#include "http2/http2_protocol.hpp"

#include "../support/captured_log.hpp"
#include "../support/http2_websocket_talk.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

namespace server = kino::server;
using namespace std::chrono_literals;
using namespace websocket_test;
using namespace http2_test;
using server::opcode;

namespace {

// What the client has to say arrives, and the I/O thread does not run.
void arrive(http2_test::talk& here) {
  std::string const bytes = here.peer.output();
  REQUIRE(here.wire().send(bytes) == bytes.size());
}

}  // namespace

TEST_CASE("what has arrived is read before the client of a WebSocket is given up") {
  captured_log const log;
  websocket_stream_talk one;
  CHECK(one.with.events() == "o");
  one.here.pass(41s);
  CHECK(next_frame(one.here, one.asked).opcode == ping);
  std::string seen;
  SUBCASE("a pong") { one.here.peer.send_body(one.asked, frame(pong)); }
  SUBCASE("a message") {
    one.here.peer.send_body(one.asked, frame(text, "alive"));
    seen = "malive;";
  }
  SUBCASE("a pong behind what another stream sends") {
    std::int32_t const upload = one.here.peer.request("POST", "/", {}, true);
    one.here.settle();
    one.here.peer.send_body(upload, std::string(60'000, 'b'));
    arrive(one.here);
    one.here.peer.send_body(one.asked, frame(pong));
  }
  arrive(one.here);
  one.here.pass(82s);
  CHECK(one.socket->open());
  CHECK(!one.seen().closed);
  CHECK(one.with.events() == seen);
  CHECK(next_frame(one.here, one.asked).opcode == ping);
  one.here.pass(123s);
  CHECK(one.seen().error == server::http2_error::cancel);
  CHECK(log.text().find("does not answer a ping") != std::string::npos);
  CHECK(one.here.serves_others());
}

TEST_CASE("a pong that has arrived counts for its WebSocket alone, and others of the connection are given up") {
  captured_log const log;
  websocket_stream_talk one;
  std::int32_t const silent = one.open().first;
  one.here.pass(41s);
  one.here.peer.send_body(one.asked, frame(pong));
  arrive(one.here);
  one.here.pass(82s);
  CHECK(one.socket->open());
  CHECK(one.here.peer.at(silent).error == server::http2_error::cancel);
}

TEST_CASE("a client that has left meanwhile is not one that answers no ping") {
  captured_log const log;
  websocket_stream_talk one;
  std::int32_t const other = one.open().first;
  CHECK(one.with.events() == "oo");
  one.here.pass(41s);
  SUBCASE("the stream") { one.here.peer.reset(one.asked); }
  SUBCASE("the connection") { one.here.wire().end(); }
  one.here.peer.send_body(other, frame(pong));
  arrive(one.here);
  one.here.pass(82s);
  CHECK(!one.socket->open());
  CHECK(one.with.events().starts_with("c"));
  CHECK(log.text().empty());
}

TEST_CASE("a close frame that has arrived is read before the closing handshake is given up") {
  websocket_stream_talk one;
  one.socket->close(server::close_code::normal);
  CHECK(next_frame(one.here, one.asked).status() == 1000);
  one.here.peer.send_body(one.asked, close_frame(1000));
  one.here.peer.end_body(one.asked);
  arrive(one.here);
  one.here.pass(6s);
  CHECK(one.seen().ended);
  CHECK(one.seen().error == 0);
  CHECK(one.with.events() == "oc");
}

TEST_CASE("what the client of an event stream has opened a window for is sent before it is given up") {
  captured_log const log;
  event_stream_talk one({1000, false});
  std::string written;
  while (one.socket->kept() == 0) {
    REQUIRE(one.socket->write(server::encode_event(std::string(10'000, 'x'))));
    written += event(std::string(10'000, 'x'));
  }
  one.here.settle();
  one.here.pass(41s);
  one.here.peer.open_window(one.asked, 1'000'000);
  one.here.peer.open_window(0, 1'000'000);
  arrive(one.here);
  one.here.pass(82s);
  CHECK(one.socket->open());
  CHECK(one.socket->kept() == 0);
  CHECK(one.seen().body == written + ":\n\n");
  CHECK(log.text().empty());
}

TEST_CASE("what the client of an event stream has read from the network is sent before it is given up") {
  captured_log const log;
  event_stream_talk one({10'000'000, true});
  while (one.socket->kept() < 40) REQUIRE(one.socket->write(server::encode_event(std::string(10'000, 'x'))));
  // Until the network is full, and all buffers in front of it.
  for (std::size_t before = 0; one.socket->kept() != before;) {
    before = one.socket->kept();
    static_cast<void>(one.here.peer.input(one.here.wire().receive(1)));
    while (one.here.io()) {}
  }
  auto const pass = [&](server::clock::duration later) {
    one.here.http().first_thread().deadlines().run(server::clock::now() + later);
  };
  pass(41s);
  while (one.here.io()) {}
  CHECK(one.socket->kept() != 0);
  static_cast<void>(one.here.peer.input(one.here.wire().receive(SIZE_MAX)));
  pass(82s);
  CHECK(one.socket->open());
  one.here.settle();
  CHECK(one.socket->kept() == 0);
  CHECK(log.text().empty());
}
