// SPDX-License-Identifier: MIT
//
// WebSockets over HTTP/2 whose clients leave, do not read, or break the rules: each harms its stream alone.

#include "http2/http2_protocol.hpp"

#include "websocket/websocket.hpp"

#include "../support/captured_log.hpp"
#include "../support/http2_websocket_talk.hpp"
#include "../support/simulation.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace server = kino::server;
using namespace std::chrono_literals;
using namespace websocket_test;
using http2_test::ask;
using http2_test::next_frame;
using http2_test::offering_websockets;
using http2_test::talk;
using http2_test::turns;
using http2_test::upgrade_stream;
using http2_test::websocket_stream_talk;
using http_server_test::answer;
using server::opcode;

TEST_CASE("however a stream ends, its WebSocket does") {
  captured_log const log;
  for (int how = 0; how != 5; ++how) {
    CAPTURE(how);
    websocket_stream_talk one;
    CHECK(one.with.events() == "o");
    one.send(frame(text, "last"));
    switch (how) {
      case 0: one.here.peer.reset(one.asked); break;
      case 1: one.here.peer.end_body(one.asked); break;
      case 2: one.here.wire().end(); break;
      case 3: one.send(frame(text, "a", {.masked = false})); break;
      default: one.send(frame(text, "\xff"));
    }
    one.here.settle();
    CHECK(!one.socket->write(opcode::text, "late"));
    CHECK(one.with.events() == "mlast;c");
    if (how == 3) CHECK(next_frame(one.here, one.asked).status() == 1002);
    if (how == 4) CHECK(next_frame(one.here, one.asked).status() == 1007);
    CHECK(one.with.open == 0);
    if (how != 2) CHECK(one.here.serves_others());
    if (how != 2) CHECK(one.here.peer.goaways().empty());
  }
}

TEST_CASE("a WebSocket whose messages are not handled closes its window, and no other") {
  websocket_stream_talk one;
  std::string sent;
  std::string expected = "o";
  for (int i = 0; i != 3000; ++i) {
    std::string const data = std::to_string(i) + std::string(400, 'x');
    sent += frame(text, data);
    expected += "m" + data + ";";
  }
  one.send(sent);
  std::int32_t const other = one.here.peer.request("GET", "/other");
  one.here.settle();
  answer(one.here.take(), "other");
  one.here.settle();
  CHECK(one.here.peer.at(other).body == "other");
  std::size_t waiting = one.with.due.size();
  CHECK(waiting == 1);
  std::string seen;
  for (int i = 0; i != 10'000 && seen.size() < expected.size(); ++i) {
    seen += one.with.events();
    one.here.settle();
  }
  CHECK(seen == expected);
}

TEST_CASE("a client that does not read, and one that does not answer pings, loses its stream alone") {
  captured_log const log;
  server::websocket::settings chosen;
  chosen.most_kept = 10'000;
  websocket_stream_talk one({100, false}, chosen);
  int written = 0;
  while (one.socket->write(opcode::text, std::string(1000, 'x'))) REQUIRE(++written < 200);
  one.here.settle();
  CHECK(one.seen().error == server::http2_error::cancel);
  CHECK(one.with.events() == "oc");

  std::int32_t const silent = one.open().first;
  one.here.pass(41s);
  CHECK(next_frame(one.here, silent).opcode == ping);
  one.here.pass(90s);
  CHECK(one.here.peer.at(silent).error == server::http2_error::cancel);
  CHECK(one.with.events() == "oc");
  CHECK(one.here.serves_others());
}

// Frames, random bytes, resets and windows; whatever comes, the other requests of the connection are answered.
TEST_CASE("hostile frames harm their stream alone") {
  captured_log const log;
  simulation_test::run_seeds(200, [](std::uint32_t seed) -> simulation_test::outcome {
    stress::dice chance(seed);
    simulation_test::trace steps;
    turns events;
    talk here(offering_websockets(), {}, seed);
    server::websocket::settings chosen;
    chosen.max_message_size = 2000;
    chosen.most_unhandled = 3000;
    chosen.speaks = chance.once_in(2) ? server::dialect::deflated : server::dialect::frames;
    for (int i = 0; i != 4; ++i) {
      std::int32_t const asked = ask(here);
      std::shared_ptr<server::websocket> socket;
      bool reset = false;
      for (std::uint32_t j = 0, count = chance.below(20); j != count && !reset; ++j) {
        std::uint32_t const what = chance.below(8);
        steps.add(what);
        std::string payload;
        for (std::uint32_t k = 0, size = chance.below(300); k != size; ++k) payload += static_cast<char>(chance.below(chance.once_in(9) ? 256 : 127));
        switch (what) {
          case 0: here.peer.send_body(asked, payload); break;
          case 1: here.peer.send_body(asked, frame(static_cast<int>(chance.below(16)), payload, {.last = chance.once_in(2), .reserved = chance.below(8)})); break;
          case 2: here.peer.send_body(asked, frame(chance.once_in(2) ? text : binary, payload)); break;
          case 3: here.peer.send_body(asked, close_frame(1000)); break;
          case 4:
            if (chance.once_in(3)) here.peer.reset(asked), reset = true;
            break;
          case 5: static_cast<void>(events.events()); break;
          case 6:
            if (socket) static_cast<void>(socket->write(opcode::binary, std::string(chance.below(3000), 'x')));
            break;
          default: here.settle();
        }
        if (!socket && !here.requests.empty() && chance.once_in(2)) socket = upgrade_stream(here, events, chosen);
      }
      here.settle();
      if (!socket && !here.requests.empty()) socket = upgrade_stream(here, events, chosen);
      here.settle();
      if (!reset) here.peer.end_body(asked);
      here.settle();
      // What the client has sent ahead of the end comes as its messages are handled.
      for (int j = 0; j != 50 && events.open != 0; ++j) {
        static_cast<void>(events.events());
        here.settle();
      }
      // One whose stream was reset before never begins.
      if (socket && here.peer.at(asked).status == 200 && socket->write(opcode::text, "late")) return {"it is still open", steps};
      if (events.open != 0) return {"its events are not over", steps};
    }
    if (!here.valid() || !here.peer.goaways().empty()) return {"the connection has suffered", steps};
    if (!here.serves_others()) return {"nobody else is served", steps};
    return {"", steps};
  });
}
