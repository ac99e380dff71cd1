// SPDX-License-Identifier: MIT
//
// WebSockets over HTTP/2 (RFC 8441): how they begin and end.

#include "http2/http2_protocol.hpp"

#include "websocket/handshake.hpp"
#include "websocket/websocket.hpp"

#include "../support/captured_log.hpp"
#include "../support/http2_websocket_talk.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <string>

namespace server = kino::server;
using namespace std::chrono_literals;
using namespace websocket_test;
using http2_test::ask;
using http2_test::fields;
using http2_test::next_frame;
using http2_test::offering_websockets;
using http2_test::send;
using http2_test::talk;
using http2_test::turns;
using http2_test::upgrade_stream;
using http2_test::websocket_request;
using http2_test::websocket_stream_talk;
using http_server_test::answer;
using server::exchange;
using server::opcode;

namespace {

fields with(std::string const& name, std::string const& value) {
  fields changed = websocket_request;
  for (auto& each : changed) {
    if (each.first == name) each.second = value;
  }
  return changed;
}

}  // namespace

TEST_CASE("a client opens a WebSocket on a stream, talks and closes") {
  turns events;
  talk here(offering_websockets());
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
  talk here(offering_websockets());
  CHECK(here.peer.at(ask(here, with(":protocol", "connect-udp"))).status == 501);
  CHECK(here.peer.at(ask(here, {{":method", "CONNECT"}, {":authority", "test.example:80"}})).status == 501);
  CHECK(here.peer.at(ask(here, with(":path", "chat"))).status != 200);
  CHECK(here.peer.at(ask(here, with(":authority", "a b"))).status != 200);
  std::int32_t const ended = here.peer.raw_request(websocket_request, false);
  here.settle();
  CHECK(here.peer.at(ended).status == 400);
  // A GET has no :protocol.
  std::int32_t const get = ask(here, with(":method", "GET"));
  CHECK(here.peer.at(get).closed);
  CHECK(here.requests.empty());
  CHECK(here.serves_others());
}

TEST_CASE("the version is that of HTTP/1") {
  talk here(offering_websockets());
  static_cast<void>(ask(here, with("sec-websocket-version", "8")));
  REQUIRE(here.requests.size() == 1);
  CHECK(server::handshake_problem(exchange::of(here.requests.front()).head()) == 426);
  answer(here.take(), "");
}

TEST_CASE("an application that wants no WebSocket does not say that there is one") {
  talk here(offering_websockets());
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

TEST_CASE("a server that stops closes with 1001") {
  websocket_stream_talk one;
  CHECK(one.with.events() == "o");
  one.here.http().begin_drain();
  one.here.settle();
  CHECK(one.with.events() == "s");
  CHECK(next_frame(one.here, one.asked).status() == 1001);
  one.send(close_frame(1001));
  one.here.peer.end_body(one.asked);
  one.here.settle();
  CHECK(one.with.events() == "c");
  one.here.pass(2s);
  CHECK(one.here.http().live() == 0);
}
