// SPDX-License-Identifier: MIT
//
// WebSockets over HTTP/2 (RFC 8441).

#include "http2/http2_protocol.hpp"

#include "websocket/handshake.hpp"
#include "websocket/websocket.hpp"

#include "../support/captured_log.hpp"
#include "../support/http2_upgrade.hpp"
#include "../support/simulation.hpp"
#include "../support/websocket_frames.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

namespace server = kino::server;
using namespace std::chrono_literals;
using namespace websocket_test;
using http2_test::fields;
using http2_test::talk;
using http2_test::turns;
using http2_test::upgrade_stream;
using http_server_test::answer;
using server::exchange;
using server::opcode;

namespace {

server::options offering() {
  server::options chosen = http_server_test::patient_settings();
  chosen.connection.http2_websockets = true;
  return chosen;
}

fields const wanted{{":method", "CONNECT"},        {":protocol", "websocket"}, {":scheme", "http"},
                    {":authority", "test.example"}, {":path", "/chat?room=1"},  {"sec-websocket-version", "13"}};

fields with(std::string const& name, std::string const& value) {
  fields changed = wanted;
  for (auto& each : changed) {
    if (each.first == name) each.second = value;
  }
  return changed;
}

std::int32_t ask(talk& here, fields const& header = wanted) {
  std::int32_t const made = here.peer.raw_request(header, true);
  here.settle();
  return made;
}

void send(talk& here, std::int32_t to, std::string const& bytes) {
  here.peer.send_body(to, bytes);
  here.settle();
}

// The next frame of a stream; opcode -1 if there is none.
received next_frame(talk& here, std::int32_t of) {
  here.settle();
  return take_frame(here.peer.at(of).body).value_or(received{});
}

}  // namespace

TEST_CASE("a client opens a WebSocket on a stream, talks and closes") {
  turns events;
  talk here(offering());
  std::int32_t const asked = ask(here);
  REQUIRE(here.requests.size() == 1);
  server::request const& head = exchange::of(here.requests.front()).head();
  CHECK(head.method() == "GET");
  CHECK(head.path() == "/chat");
  CHECK(head.query() == "room=1");
  CHECK(head.host() == "test.example");
  CHECK(server::asks_websocket(head));
  CHECK(server::handshake_problem(head) == 0);
  CHECK(!head.has_body());
  // What is sent ahead is not lost.
  send(here, asked, frame(text, "early"));
  auto const socket = upgrade_stream(here, events, {});
  here.settle();
  CHECK(here.peer.at(asked).status == 200);
  CHECK(here.peer.at(asked).value("sec-websocket-accept") == "");
  CHECK(events.events() == "omearly;");
  CHECK(socket->write(opcode::text, "hello"));
  CHECK(next_frame(here, asked).payload == "hello");
  send(here, asked, frame(text, std::string(40'000, 'x'), {.last = false}));
  send(here, asked, frame(ping, "p") + frame(continuation, "y"));
  CHECK(next_frame(here, asked).opcode == pong);
  CHECK(events.events() == "m" + std::string(40'000, 'x') + "y;");
  CHECK(here.reports.size() == 1);

  send(here, asked, close_frame(1000));
  CHECK(next_frame(here, asked).status() == 1000);
  CHECK(here.peer.at(asked).ended);
  here.peer.end_body(asked);
  here.settle();
  CHECK(here.peer.at(asked).closed);
  CHECK(here.peer.at(asked).error == 0);
  CHECK(events.events() == "c");
  CHECK(events.open == 0);
  CHECK(here.valid());
}

TEST_CASE("without the option, CONNECT is what it was, and nothing is announced") {
  captured_log const log;
  talk here;
  std::int32_t const asked = ask(here);
  CHECK(here.requests.empty());
  CHECK(here.peer.at(asked).closed);
  CHECK(here.peer.at(asked).status != 200);
  CHECK(here.serves_others());
}

TEST_CASE("other CONNECTs, and malformed ones, are refused") {
  captured_log const log;
  talk here(offering());
  CHECK(here.peer.at(ask(here, with(":protocol", "connect-udp"))).status == 501);
  CHECK(here.peer.at(ask(here, {{":method", "CONNECT"}, {":authority", "test.example:80"}})).status == 501);
  CHECK(here.peer.at(ask(here, with(":path", "chat"))).status != 200);
  CHECK(here.peer.at(ask(here, with(":authority", "a b"))).status != 200);
  std::int32_t const ended = here.peer.raw_request(wanted, false);
  here.settle();
  CHECK(here.peer.at(ended).status == 400);
  // A GET has no :protocol.
  std::int32_t const get = ask(here, with(":method", "GET"));
  CHECK(here.peer.at(get).closed);
  CHECK(here.requests.empty());
  CHECK(here.serves_others());
}

TEST_CASE("the version is that of HTTP/1") {
  talk here(offering());
  static_cast<void>(ask(here, with("sec-websocket-version", "8")));
  REQUIRE(here.requests.size() == 1);
  CHECK(server::handshake_problem(exchange::of(here.requests.front()).head()) == 426);
  answer(here.take(), "");
}

TEST_CASE("an application that wants no WebSocket does not say that there is one") {
  talk here(offering());
  std::int32_t const asked = ask(here);
  send(here, asked, frame(text, "early"));
  answer(here.take(), "hello");
  here.settle();
  CHECK(here.peer.at(asked).status == 501);
  std::int32_t const refused = ask(here);
  {
    auto const reply = here.take();
    server::response_head& head = exchange::of(reply).response();
    static_cast<void>(head.start(403));
    reply.answer({.head = &head, .end = true});
  }
  here.settle();
  CHECK(here.peer.at(refused).status == 403);
  CHECK(here.peer.at(refused).ended);
  here.pass(3s);
  CHECK(here.peer.at(refused).closed);
  CHECK(here.peer.at(refused).error == 0);
}

TEST_CASE("however a stream ends, its WebSocket does") {
  captured_log const log;
  for (int how = 0; how != 5; ++how) {
    CAPTURE(how);
    turns events;
    talk here(offering());
    std::int32_t const asked = ask(here);
    auto const socket = upgrade_stream(here, events, {});
    here.settle();
    CHECK(events.events() == "o");
    send(here, asked, frame(text, "last"));
    switch (how) {
      case 0: here.peer.reset(asked); break;
      case 1: here.peer.end_body(asked); break;
      case 2: here.wire().end(); break;
      case 3: send(here, asked, frame(text, "a", {.masked = false})); break;
      default: send(here, asked, frame(text, "\xff"));
    }
    here.settle();
    CHECK(!socket->write(opcode::text, "late"));
    CHECK(events.events() == "mlast;c");
    if (how == 3) CHECK(next_frame(here, asked).status() == 1002);
    if (how == 4) CHECK(next_frame(here, asked).status() == 1007);
    CHECK(events.open == 0);
    if (how != 2) CHECK(here.serves_others());
    if (how != 2) CHECK(here.peer.goaways().empty());
  }
}

TEST_CASE("a WebSocket whose messages are not handled closes its window, and no other") {
  turns events;
  talk here(offering());
  std::int32_t const asked = ask(here);
  auto const socket = upgrade_stream(here, events, {});
  here.settle();
  std::string sent;
  std::string expected = "o";
  for (int i = 0; i != 3000; ++i) {
    std::string const data = std::to_string(i) + std::string(400, 'x');
    sent += frame(text, data);
    expected += "m" + data + ";";
  }
  send(here, asked, sent);
  std::int32_t const other = here.peer.request("GET", "/other");
  here.settle();
  answer(here.take(), "other");
  here.settle();
  CHECK(here.peer.at(other).body == "other");
  std::size_t waiting = events.due.size();
  CHECK(waiting == 1);
  std::string seen;
  for (int i = 0; i != 10'000 && seen.size() < expected.size(); ++i) {
    seen += events.events();
    here.settle();
  }
  CHECK(seen == expected);
}

TEST_CASE("a client that does not read, and one that does not answer pings, loses its stream alone") {
  captured_log const log;
  turns events;
  talk here(offering(), {}, 1, 100, false);
  std::int32_t const asked = ask(here);
  server::websocket::settings chosen;
  chosen.most_kept = 10'000;
  auto const socket = upgrade_stream(here, events, chosen);
  here.settle();
  int written = 0;
  while (socket->write(opcode::text, std::string(1000, 'x'))) REQUIRE(++written < 200);
  here.settle();
  CHECK(here.peer.at(asked).error == server::http2_error::cancel);
  CHECK(events.events() == "oc");

  std::int32_t const silent = ask(here);
  static_cast<void>(upgrade_stream(here, events, {}));
  here.settle();
  here.pass(41s);
  CHECK(next_frame(here, silent).opcode == ping);
  here.pass(90s);
  CHECK(here.peer.at(silent).error == server::http2_error::cancel);
  CHECK(events.events() == "oc");
  CHECK(here.serves_others());
}

TEST_CASE("a server that stops closes with 1001") {
  turns events;
  talk here(offering());
  std::int32_t const asked = ask(here);
  auto const socket = upgrade_stream(here, events, {});
  here.settle();
  CHECK(events.events() == "o");
  here.http().begin_drain();
  here.settle();
  CHECK(events.events() == "s");
  CHECK(next_frame(here, asked).status() == 1001);
  send(here, asked, close_frame(1001));
  here.peer.end_body(asked);
  here.settle();
  CHECK(events.events() == "c");
  here.pass(2s);
  CHECK(here.http().live() == 0);
}

// Frames, random bytes, resets and windows; whatever comes, the other requests of the connection are answered.
TEST_CASE("hostile frames harm their stream alone") {
  captured_log const log;
  simulation_test::run_seeds(200, [](std::uint32_t seed) -> simulation_test::outcome {
    stress::dice chance(seed);
    simulation_test::trace steps;
    turns events;
    talk here(offering(), {}, seed);
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
