// SPDX-License-Identifier: MIT
//
// Event streams: how events are encoded, and streams with a client in memory.

#include "websocket/event_stream.hpp"

#include "../support/captured_log.hpp"
#include "../support/websocket_talk.hpp"
#include "websocket/channel_hub.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

using namespace websocket_test;
using namespace std::chrono_literals;
using server::encode_event;
using server::event_fields;

namespace {

struct event {
  std::string type, data, id, retry;
  bool operator==(event const&) const = default;
};

// An EventSource, from the WHATWG's description: takes the whole events out of `bytes`. The id of an event stays for later ones.
std::vector<event> take_events(std::string& bytes) {
  std::vector<event> all;
  event next;
  bool has_data = false;
  for (std::size_t start = 0;;) {
    std::size_t const end = bytes.find('\n', start);
    if (end == bytes.npos) return all;
    std::string const line = bytes.substr(start, end - start);
    start = end + 1;
    if (line.empty()) {
      if (has_data) all.push_back(next);
      next = {};
      has_data = false;
      bytes.erase(0, start);
      start = 0;
      continue;
    }
    std::size_t const colon = std::min(line.find(':'), line.size());
    std::string const field = line.substr(0, colon);
    std::string value = line.substr(std::min(colon + 1, line.size()));
    if (value.starts_with(' ')) value.erase(0, 1);
    if (field == "data") next.data += (std::exchange(has_data, true) ? "\n" : "") + value;
    if (field == "event") next.type = value;
    if (field == "id") next.id = value;
    if (field == "retry") next.retry = value;
  }
}

std::vector<event> parsed(std::string_view data, event_fields const& fields = {}) {
  std::string bytes = *encode_event(data, fields);
  auto all = take_events(bytes);
  CHECK(bytes.empty());
  return all;
}

// With one kind of line break.
std::string normal(std::string_view text) {
  std::string made;
  for (std::size_t i = 0; i != text.size(); ++i) {
    if (text[i] == '\r') {
      made += '\n';
      if (i + 1 != text.size() && text[i + 1] == '\n') ++i;
    } else {
      made += text[i];
    }
  }
  return made;
}

server::request asking(std::string_view accept, std::string_view method = "GET") {
  server::request made;
  made.append_text(method);
  made.set_method(made.text());
  if (!accept.empty()) made.fields().add("Accept", accept);
  CHECK(!made.fields().finish());
  return made;
}

talk_setup streaming(std::size_t room = 1'000'000) {
  talk_setup chosen;
  chosen.settings.speaks = server::dialect::events;
  chosen.settings.most_kept = 5000;
  chosen.room = room;
  return chosen;
}

bool write(talk& to, std::string_view data) { return to.socket->write(encode_event(data)); }

}  // namespace

TEST_CASE("an event has its data line by line, and its fields") {
  CHECK(*encode_event("hello") == "data: hello\n\n");
  CHECK(*encode_event("") == "data: \n\n");
  CHECK(*encode_event("a\nb\r\nc\rd\n") == "data: a\ndata: b\ndata: c\ndata: d\ndata: \n\n");
  CHECK(*encode_event("x", {"news", "7", 1500}) == "event: news\nid: 7\nretry: 1500\ndata: x\n\n");
  CHECK(*encode_event("x", {"", ""}) == "id: \ndata: x\n\n");
  CHECK(*encode_event("data: framed\n\n") == "data: data: framed\ndata: \ndata: \n\n");
  CHECK(server::is_event_field(""));
  CHECK(!server::is_event_field("a\nb"));
  CHECK(!server::is_event_field("a\rb"));
  CHECK(!server::is_event_field({"a\0b", 3}));
}

TEST_CASE("an id of an event is one that a request can bring back") {
  for (std::string_view id : {"", "7", "a b", "a\tb", "gr\xc3\xbc\xc3\x9f" "e", ":"}) CHECK(server::is_event_id(id));
  for (std::string_view id : {"a\nb", "a\rb", "a\x01" "b", "a\x1b", "\x7f", " a", "a ", "\ta", "a\t", " "}) CHECK(!server::is_event_id(id));
  CHECK(!server::is_event_id({"a\0b", 3}));
}

TEST_CASE("whatever the data is, it arrives as one event") {
  stress::dice chance(7);
  constexpr std::string_view letters = "ab:\n\r \n\rdi";
  for (int round = 0; round != 20'000; ++round) {
    std::string data;
    for (std::size_t i = chance.below(30); i != 0; --i) data += letters[chance.below(letters.size())];
    CHECK(parsed(data) == std::vector<event>{{"", normal(data), "", ""}});
  }
}

TEST_CASE("requests that ask for an event stream, and others") {
  CHECK(server::asks_event_stream(asking("text/event-stream")));
  CHECK(server::asks_event_stream(asking("application/json, Text/Event-Stream ;q=0.5, */*")));
  CHECK(server::asks_event_stream(asking("text/event-stream; charset=utf-8; q=1")));
  for (std::string_view const other : {"", "*/*", "text/*", "text/event-streams", "text/event-stream;q=0", "text/event-stream; Q=0.00",
                                       "application/text/event-stream"}) {
    CAPTURE(other);
    CHECK(!server::asks_event_stream(asking(other)));
  }
  CHECK(!server::asks_event_stream(asking("text/event-stream", "HEAD")));
  CHECK(!server::asks_event_stream(asking("text/event-stream", "POST")));
}

TEST_CASE("a client gets events until the application closes") {
  talk here(streaming());
  CHECK(here.head.find("connection: close\r\n") != std::string::npos);
  CHECK(here.head.find("content-length") == std::string::npos);
  CHECK(here.head.find("transfer-encoding") == std::string::npos);
  CHECK(here.events() == "o");
  CHECK(write(here, "one"));
  CHECK(write(here, "two"));
  CHECK(here.take_arrived() == "data: one\n\ndata: two\n\n");
  here.socket->close(server::close_code::normal);
  CHECK(!write(here, "late"));
  CHECK(here.sees_end());
  CHECK(here.take_arrived().empty());
  CHECK(!here.link->lost());
  CHECK(here.events() == "c");
}

TEST_CASE("a client leaves: it closes, resets, or ends its direction") {
  for (int way = 0; way != 2; ++way) {
    talk here(streaming());
    CHECK(here.events() == "o");
    way == 0 ? here.link->end() : here.link->reset();
    here.settle();
    CHECK(here.link->closed());
    CHECK(here.events() == "c");
    CHECK(!here.socket->open());
  }
}

TEST_CASE("an idle stream gets comments, whatever the client says, and none while something is kept") {
  talk here(streaming());
  CHECK(here.events() == "o");
  here.wait(10s);
  CHECK(here.take_arrived().empty());
  here.wait(31s);
  for (int i = 0; i != 5; ++i) {
    CHECK(here.take_arrived() == ":\n\n");
    here.wait(41s);
  }
  CHECK(here.socket->open());
}

TEST_CASE("a client that sends more than its request loses its connection") {
  captured_log const log;
  talk here(streaming());
  here.send("GET /another HTTP/1.1\r\nHost: test.example\r\n\r\n");
  CHECK(here.socket->open());
  here.send(std::string(70'000, 'x'));
  CHECK(!here.socket->open());
  CHECK(here.link->lost());
  CHECK(here.events() == "oc");
  CHECK(log.text().find("sends more than its request") != std::string::npos);
}

TEST_CASE("a client that reads slowly gets everything, and the application learns when") {
  talk here(streaming(500));
  CHECK(here.events() == "o");
  std::string expected;
  while (here.socket->kept() < 20) {
    REQUIRE(write(here, std::string(50, 'x')));
    expected += "data: " + std::string(50, 'x') + "\n\n";
  }
  CHECK(here.events().empty());
  std::string got;
  for (int i = 0; i != 50; ++i) got += here.take_arrived();
  CHECK(got == expected);
  CHECK(here.events() == "d");
}

TEST_CASE("a client that does not read loses its connection") {
  captured_log const log;
  talk here(streaming(500));
  CHECK(here.events() == "o");
  SUBCASE("by what is kept") {
    for (int i = 0; write(here, std::string(100, 'x')); ++i) REQUIRE(i < 100);
  }
  SUBCASE("by time") {
    while (here.socket->kept() == 0) REQUIRE(write(here, std::string(100, 'x')));
    here.wait(41s);
    CHECK(here.socket->open());
    here.link->receive(10);
    here.settle();
    here.wait(41s);
    here.wait(41s);
  }
  here.settle();
  CHECK(!here.socket->open());
  CHECK(here.link->lost());
  CHECK(here.events() == "c");
  CHECK(log.text().find("the client of an event stream does not read") != std::string::npos);
}

TEST_CASE("on a transport with faults, all events arrive, once and in order, and the stream ends") {
  for (std::uint32_t seed = 1; seed != 400; ++seed) {
    CAPTURE(seed);
    stress::dice chance(seed);
    talk_setup chosen = streaming(150 + chance.below(400));
    chosen.settings.most_kept = 1'000'000;
    chosen.faults = {chance.below(3), 2 * chance.below(3), 4 * chance.below(2), 0, 3 * chance.below(2)};
    talk here(chosen, seed);
    std::string expected, got;
    std::size_t const count = chance.below(60);
    for (std::size_t i = 0; i != count; ++i) {
      std::string const data = std::to_string(i) + std::string(chance.below(90), 'x');
      REQUIRE(write(here, data));
      expected += *encode_event(data);
      if (chance.once_in(3)) got += here.take_arrived();
      if (chance.once_in(5)) static_cast<void>(here.events());
    }
    here.socket->close(server::close_code::normal);
    for (int idle = 0; idle != 2000 && !here.sees_end(); ++idle) got += here.take_arrived();
    got += here.take_arrived();
    CHECK(here.sees_end());
    CHECK(got == expected);
    here.link->end();
    std::string const last = here.events();
    CHECK(last.ends_with("c"));
  }
}

TEST_CASE("a stream that is closed while its client reads nothing ends within the grace") {
  talk here(streaming(500));
  while (here.socket->kept() == 0) REQUIRE(write(here, std::string(100, 'x')));
  here.socket->close(server::close_code::normal);
  here.settle();
  CHECK(!here.link->closed());
  here.wait(6s);
  CHECK(here.link->lost());
  CHECK(here.events() == "oc");
}

TEST_CASE("a server that drains lets the application say goodbye, and ends the stream") {
  talk here(streaming());
  CHECK(here.events() == "o");
  here.http.begin_drain();
  here.settle();
  auto turn = here.take_turn();
  CHECK(turn.take().what == server::websocket_event::kind::shutdown);
  CHECK(write(here, "goodbye"));
  turn.finish();
  CHECK(here.take_arrived() == "data: goodbye\n\n");
  CHECK(here.sees_end());
  CHECK(here.events() == "c");
  CHECK(here.http.live() == 0);
}

TEST_CASE("an application that writes or closes before the stream has begun") {
  talk_setup chosen = streaming();
  bool closes = false;
  SUBCASE("it writes") {}
  SUBCASE("it closes, too") { closes = true; }
  chosen.before = [closes](server::websocket& one) {
    CHECK(one.write(encode_event("early")));
    if (closes) one.close(server::close_code::normal);
  };
  talk here(chosen);
  CHECK(here.take_arrived() == "data: early\n\n");
  CHECK(here.sees_end() == closes);
}

TEST_CASE("what is published reaches streams and WebSockets, each in its form; streams get no binary") {
  server::channel_hub hub;
  talk stream(streaming());
  talk socket;
  CHECK(hub.subscribe(stream.socket, "news", server::channel_hub::match::name));
  CHECK(hub.subscribe(socket.socket, "news", server::channel_hub::match::name));
  CHECK(hub.publish("news", server::opcode::text).send("a\nb") == 2);
  CHECK(stream.take_arrived() == "data: a\ndata: b\n\n");
  CHECK(socket.next_frame().payload == "a\nb");
  CHECK(hub.publish("news", server::opcode::binary).send("x") == 1);
  CHECK(stream.take_arrived().empty());
  CHECK(socket.next_frame().payload == "x");
}
