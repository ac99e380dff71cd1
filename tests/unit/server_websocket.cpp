// SPDX-License-Identifier: MIT
//
// WebSockets, with a client in memory.

#include "websocket/websocket.hpp"

#include "../support/captured_log.hpp"
#include "../support/websocket_talk.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <string>
#include <utility>

using namespace websocket_test;
using namespace std::chrono_literals;
using server::opcode;
namespace close_code = server::close_code;

namespace {

talk_setup small() {
  talk_setup chosen;
  chosen.settings.max_message_size = 1000;
  chosen.settings.most_unhandled = 1000;
  chosen.settings.most_kept = 10'000;
  chosen.room = 500;
  return chosen;
}

talk_setup without(server::websocket_event::kind unwanted) {
  talk_setup chosen;
  chosen.wanted = {};
  for (int i = 1; i != 6; ++i) {
    auto const one = static_cast<server::websocket_event::kind>(i);
    if (one != unwanted) chosen.wanted.add(one);
  }
  return chosen;
}

}  // namespace

TEST_CASE("a client opens, talks and closes") {
  talk here;
  CHECK(here.events() == "o");
  CHECK(here.open == 1);
  here.send(frame(text, "hello"));
  here.send(frame(binary, "bytes"));
  auto event = here.next_event();
  CHECK(event.text);
  CHECK(event.data == "hello");
  CHECK(here.socket->write(opcode::text, "you said hello"));
  event = here.next_event();
  CHECK(!event.text);
  CHECK(event.data == "bytes");
  CHECK(here.socket->write(opcode::binary, ""));
  auto got = here.next_frame();
  CHECK(got.opcode == text);
  CHECK(got.payload == "you said hello");
  CHECK(here.next_frame().opcode == binary);
  here.send(close_frame(1000, "bye"));
  CHECK(here.next_frame().status() == 1000);
  CHECK(here.sees_end());
  CHECK(!here.link->lost());
  CHECK(here.open == 1);
  CHECK(here.events() == "c");
  CHECK(here.open == 0);
  CHECK(!here.socket->open());
  CHECK(!here.socket->write(opcode::text, "late"));
  here.link->end();
  here.settle();
  CHECK(here.link->closed());
  CHECK(here.http.connections() == 0);
}

TEST_CASE("what the client sends with its handshake is read") {
  talk_setup chosen;
  chosen.upgrades = false;
  talk here(chosen);
  here.send("GET /chat HTTP/1.1\r\nHost: test.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n" + frame(text, "early"));
  CHECK(here.events() == "omearly;");
}

TEST_CASE("the application closes, and the client answers") {
  talk here;
  here.send(frame(text, "never handled"));
  here.socket->close(close_code::normal);
  CHECK(!here.socket->open());
  CHECK(here.next_frame().status() == 1000);
  here.send(frame(text, "nor is this") + frame(ping));
  CHECK(here.events() == "o");
  CHECK(!here.sees_end());
  here.send(close_frame(1000));
  CHECK(here.next_frame().opcode == -1);  // one close frame is enough
  CHECK(here.sees_end());
  CHECK(!here.link->lost());
  CHECK(here.events() == "c");
}

TEST_CASE("a client that does not answer a close frame is given up") {
  talk here;
  here.socket->close(close_code::normal);
  here.settle();
  CHECK(!here.sees_end());
  here.wait(6s);
  CHECK(here.link->closed());
  CHECK(here.events() == "oc");
}

TEST_CASE("pings are answered, and pongs are not") {
  talk here;
  here.send(frame(ping, "1") + frame(pong, "unasked") + frame(ping, std::string(125, 'x')));
  auto got = here.next_frame();
  CHECK(got.opcode == pong);
  CHECK(got.payload == "1");
  CHECK(here.next_frame().payload == std::string(125, 'x'));
  CHECK(here.next_frame().opcode == -1);
}

TEST_CASE("a silent client is pinged, and given up if it does not answer") {
  captured_log const log;
  talk here;
  CHECK(here.events() == "o");
  here.wait(10s);
  CHECK(here.next_frame().opcode == -1);
  here.wait(31s);
  CHECK(here.next_frame().opcode == ping);
  here.send(frame(pong));
  here.wait(1s);
  CHECK(!here.link->closed());
  // The answer came at a time of the real clock, so it is old now.
  here.wait(50s);
  CHECK(here.next_frame().opcode == ping);
  here.wait(41s);
  CHECK(here.link->closed());
  CHECK(here.events() == "c");
  CHECK(log.text().find("does not answer a ping") != std::string::npos);
}

TEST_CASE("the time between pings can be set") {
  talk here;
  here.socket->set_ping_interval(5s);
  CHECK(here.socket->ping_interval() == 5s);
  here.settle();
  here.wait(6s);
  CHECK(here.next_frame().opcode == ping);
}

TEST_CASE("a client that breaks a rule is told which") {
  struct {
    std::string bytes;
    unsigned status;
  } const cases[]{{frame(text, "\xff"), 1007}, {frame(text, "x", {.masked = false}), 1002}, {frame(3), 1002},
                  {frame(text, std::string(1001, 'x')), 1009}, {frame(binary, "x", {.length = 1ULL << 60}), 1009},
                  {frame(closing, "x"), 1002}, {close_frame(1005), 1002}};
  for (auto const& each : cases) {
    captured_log const log;
    talk here(small());
    here.send(frame(text, "before") + each.bytes);
    CHECK(here.next_frame().status() == each.status);
    CHECK(here.sees_end());
    CHECK(here.events() == "ombefore;c");
    CHECK(log.text().find("WebSocket") != std::string::npos);
  }
}

TEST_CASE("a client that reads slowly is written to later, in order") {
  talk here(small());
  CHECK(here.events() == "o");
  std::size_t written = 0;
  while (here.socket->kept() == 0) REQUIRE(here.socket->write(opcode::text, "message " + std::to_string(written++)));
  for (int i = 0; i != 20; ++i) REQUIRE(here.socket->write(opcode::text, "message " + std::to_string(written++)));
  CHECK(here.socket->kept() > 0);
  CHECK(here.events().empty());
  for (std::size_t i = 0; i != written; ++i) CHECK(here.next_frame().payload == "message " + std::to_string(i));
  CHECK(here.socket->kept() == 0);
  CHECK(here.events() == "d");
  CHECK(here.socket->write(opcode::text, "fast"));
  CHECK(here.events().empty());
}

TEST_CASE("a client that does not read loses its connection") {
  captured_log const log;
  talk here(small());
  CHECK(here.events() == "o");
  int written = 0;
  while (here.socket->write(opcode::text, std::string(100, 'x'))) REQUIRE(++written < 100);
  CHECK(written >= 50);
  CHECK(!here.socket->open());
  here.settle();
  CHECK(here.link->lost());
  CHECK(here.events() == "c");
  CHECK(log.text().find("does not read") != std::string::npos);
  // One message may be longer: it is refused only if something else waits.
  talk other(small());
  CHECK(other.socket->write(opcode::binary, std::string(20'000, 'x')));
  CHECK(other.socket->open());
}

namespace {

// Sends so much that reading stops, and handles it; returns whether all messages came, in order.
bool passes_many_messages(talk& here) {
  std::string all;
  for (int i = 0; i != 200; ++i) all += frame(text, "message " + std::to_string(i));
  std::string_view left = all;
  for (int i = 0; i != 100; ++i) {
    left.remove_prefix(here.link->send(left));
    here.settle();
  }
  CHECK(!left.empty());  // neither the server nor the network takes it
  std::string seen;
  for (int rounds = 0; !left.empty(); ++rounds) {
    REQUIRE(rounds != 10'000);
    seen += here.events();
    left.remove_prefix(here.link->send(left));
  }
  seen += here.events();
  std::string expected;
  for (int i = 0; i != 200; ++i) expected += "mmessage " + std::to_string(i) + ";";
  return seen == expected;
}

}  // namespace

TEST_CASE("reading stops while messages wait to be handled") {
  talk here(small());
  CHECK(here.next_event().what == server::websocket_event::kind::open);
  CHECK(passes_many_messages(here));
}

TEST_CASE("what the application asks for before the connection has begun takes effect, and later wishes too") {
  talk_setup chosen = small();
  std::string events = "o";
  received early;
  SUBCASE("an interval") {
    chosen.before = [](server::websocket& one) { one.set_ping_interval(5s); };
  }
  SUBCASE("a message") {
    chosen.before = [](server::websocket& one) { CHECK(one.write(opcode::text, "early")); };
    events = "od";
    early.payload = "early";
  }
  talk here(chosen);
  CHECK(here.next_frame().payload == early.payload);
  CHECK(here.events() == events);
  CHECK(passes_many_messages(here));
  here.socket->set_ping_interval(3s);
  here.settle();
  here.wait(4s);
  CHECK(here.next_frame().opcode == ping);
}

TEST_CASE("an application that closes before the connection has begun") {
  talk_setup chosen = small();
  chosen.before = [](server::websocket& one) { one.close(close_code::normal); };
  talk here(chosen);
  CHECK(here.next_frame().status() == 1000);
  here.send(close_frame(1000));
  CHECK(here.sees_end());
  CHECK(!here.link->lost());
  CHECK(here.events() == "oc");
}

TEST_CASE("a connection that is closed while reading has stopped ends with the client's close frame") {
  talk here(small());
  CHECK(here.next_event().what == server::websocket_event::kind::open);
  std::string all;
  for (int i = 0; i != 20; ++i) all += frame(text, std::string(20, 'm'));
  std::string_view left = all;
  for (int i = 0; i != 100 && !left.empty(); ++i) {
    left.remove_prefix(here.link->send(left));
    here.settle();
  }
  SUBCASE("by the application") { here.socket->close(close_code::normal); }
  SUBCASE("because a turn is dropped") { here.drop_turns(); }
  here.send(std::string(left) + close_frame(1000));
  CHECK(here.sees_end());
  CHECK(!here.link->lost());
  std::string seen = here.events();  // The turn of a message that was dropped may come first, without an event.
  seen += here.events();
  CHECK(seen == "c");
}

TEST_CASE("one event at a time, and the next one after it") {
  talk here;
  here.send(frame(text, "1") + frame(text, "2"));
  auto turn = here.take_turn();
  CHECK(turn.take().what == server::websocket_event::kind::open);
  here.send(frame(text, "3"));
  CHECK(here.turns.empty());
  turn.finish();
  CHECK(here.turns.size() == 1);
  CHECK(here.events() == "m1;m2;m3;");
}

TEST_CASE("a turn that is dropped closes the connection, and its last event follows") {
  talk here;
  here.send(frame(text, "1") + frame(text, "2"));
  here.drop_turns();
  CHECK(here.next_frame().status() == 1011);
  here.send(close_frame(1011));
  CHECK(here.events() == "oc");  // `open` had not been taken
}

TEST_CASE("when turns cannot be taken any more, none follows") {
  talk here;
  here.refuses = true;
  here.drop_turns();
  here.send(frame(text, "1"));
  here.link->reset();
  here.settle();
  CHECK(here.events().empty());
}

TEST_CASE("a server that drains lets the application say goodbye") {
  talk here;
  CHECK(here.events() == "o");
  here.http.begin_drain();
  here.settle();
  auto turn = here.take_turn();
  CHECK(turn.take().what == server::websocket_event::kind::shutdown);
  CHECK(here.socket->write(opcode::text, "goodbye"));
  turn.finish();
  CHECK(here.next_frame().payload == "goodbye");
  CHECK(here.next_frame().status() == 1001);
  here.send(close_frame(1001));
  CHECK(here.events() == "c");
  CHECK(here.http.live() == 0);
}

TEST_CASE("a server that drains closes at once if the application has nothing to say") {
  talk here(without(server::websocket_event::kind::shutdown));
  here.http.begin_drain();
  CHECK(here.next_frame().status() == 1001);
  here.send(close_frame(1001));
  CHECK(here.events() == "oc");
}

TEST_CASE("events that the handler does not want are not scheduled") {
  using kind = server::websocket_event::kind;
  talk silent(without(kind::open));
  CHECK(silent.turns.empty());
  talk deaf(without(kind::message));
  CHECK(deaf.events() == "o");
  deaf.send(frame(text, "unheard"));
  CHECK(deaf.turns.empty());
  talk careless(without(kind::close));
  CHECK(careless.events() == "o");
  careless.link->reset();
  careless.settle();
  CHECK(careless.turns.empty());
  CHECK(careless.open == 0);
}

TEST_CASE("a frame is shared by those that send it") {
  talk one(small());
  talk other(small());
  server::shared_frame const shared = server::encode_frame(opcode::text, std::string(400, 'x'));
  for (int i = 0; i != 5; ++i) {
    CHECK(one.socket->write(shared));
    CHECK(other.socket->write(shared));
  }
  CHECK(shared.use_count() > 4);
  for (int i = 0; i != 5; ++i) {
    CHECK(one.next_frame().payload.size() == 400);
    CHECK(other.next_frame().payload.size() == 400);
  }
  CHECK(shared.use_count() == 1);
}
