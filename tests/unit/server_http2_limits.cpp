// SPDX-License-Identifier: MIT
//
// Clients of HTTP/2 that do not read, or not in time, and what their connection then does with its deadlines; and the
// sizes and forms of what is sent.

#include "http2/http2_protocol.hpp"

#include "../support/http2_talk.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace server = kino::server;
using http2_test::talk;
using http_server_test::answer;
using http_server_test::begin_answer;
using http_server_test::patient_settings;
using server::exchange;

namespace {

// A connection whose client is made to read by the test alone.
class unread {
public:
  explicit unread(server::options chosen) : here(std::move(chosen)), peer(10'000'000), wire(here.connect()) {
    here.wire().end();  // The deadlines are those of one connection.
    while (here.io()) {}
  }

  // Sends what the client has to say, without reading.
  void send() {
    for (std::string bytes = peer.output(); !bytes.empty(); bytes = peer.output()) {
      for (std::string_view rest = bytes; !rest.empty();) {
        rest.remove_prefix(wire->send(rest));
        while (here.io()) {}
      }
    }
    while (here.io()) {}
  }
  // Sends and reads until nothing more comes.
  void exchange_all() {
    for (int idle = 0; idle < 10; ++idle) {
      send();
      std::string const got = wire->receive(SIZE_MAX);
      if (!got.empty()) idle = 0;
      static_cast<void>(peer.input(got));
    }
  }
  // The time is `later` from now for all deadlines, and nothing is read.
  void pass(server::clock::duration later) {
    while (here.io()) {}
    here.http().first_thread().deadlines().run(server::clock::now() + later);
    while (here.io()) {}
  }
  // Gets responses that are complete for the server, and do not fit into the transport. Returns their streams.
  std::pair<std::int32_t, std::int32_t> fill() {
    auto const first = peer.request("GET", "/1");
    auto const second = peer.request("GET", "/2");
    send();
    REQUIRE(here.requests.size() == 2);
    answer(here.take(), std::string(60'000, 'a'));
    answer(here.take(), std::string(60'000, 'b'));
    while (here.io()) {}
    here.reports.clear();
    return {first, second};
  }

  talk here;
  http2_test::client peer;
  std::shared_ptr<memory_test::memory_link> const wire;
};

}  // namespace

TEST_CASE("a client that has still to read its last response may take the time that a response has") {
  server::options chosen = patient_settings();
  chosen.connection.header_timeout = std::chrono::seconds(10);
  unread it(chosen);
  auto const [first, second] = it.fill();
  it.pass(std::chrono::seconds(20));
  it.exchange_all();
  CHECK(it.peer.at(first).body == std::string(60'000, 'a'));
  CHECK(it.peer.at(second).body == std::string(60'000, 'b'));
}

TEST_CASE("a client that never reads its last response loses its connection") {
  unread it(patient_settings());
  it.fill();
  it.pass(std::chrono::minutes(59));
  CHECK(!it.wire->lost());
  CHECK(!it.wire->closed());
  it.pass(std::chrono::hours(2));
  CHECK(it.wire->closed());
}

TEST_CASE("an idle connection whose client does not read neither ends nor occupies the I/O thread") {
  server::options chosen = patient_settings();
  chosen.connection.keep_alive_timeout = std::chrono::seconds(65);
  unread it(chosen);
  auto const [first, second] = it.fill();
  it.pass(std::chrono::minutes(2));
  it.exchange_all();
  CHECK(it.peer.at(first).closed);
  CHECK(it.peer.at(second).body.size() == 60'000);
  CHECK(it.wire->sees_end());
}

TEST_CASE("requests that were not valid do not occupy the I/O thread of a client that does not read") {
  server::options chosen = patient_settings();
  chosen.connection.header_timeout = std::chrono::seconds(10);
  unread it(chosen);
  auto const [first, second] = it.fill();
  auto const invalid = it.peer.request("GET", "/3", {{"connection", "close"}});
  it.send();
  auto const last = it.peer.request("GET", "/4");
  it.send();
  REQUIRE(it.here.requests.size() == 1);
  it.pass(std::chrono::minutes(1));
  answer(it.here.take(), "last");
  it.exchange_all();
  CHECK(it.peer.at(first).closed);
  CHECK(it.peer.at(second).closed);
  CHECK(it.peer.at(invalid).error == NGHTTP2_PROTOCOL_ERROR);
  CHECK(it.peer.at(last).body == "last");
  auto const alone = it.peer.request("GET", "/5", {{"connection", "close"}});
  it.fill();
  it.pass(std::chrono::minutes(1));
  it.exchange_all();
  CHECK(it.peer.at(alone).error == NGHTTP2_PROTOCOL_ERROR);
  CHECK(!it.wire->sees_end());
}

TEST_CASE("what has arrived is read before a client is late: the I/O thread may not have run") {
  unread it(patient_settings());
  it.exchange_all();
  bool body = false;
  std::size_t missing = 0;
  SUBCASE("a request on an idle connection") { missing = SIZE_MAX; }
  SUBCASE("the rest of a header") { missing = 2; }
  SUBCASE("the rest of a body") {
    missing = 2;
    body = true;
  }
  auto const stream = it.peer.request(body ? "POST" : "GET", "/", {}, body);
  if (body) {
    it.peer.send_body(stream, std::string(1'000, 'b'));
    it.peer.end_body(stream);
  }
  std::string const bytes = it.peer.output();
  std::size_t const there = bytes.size() - std::min(missing, bytes.size());
  REQUIRE(it.wire->send(std::string_view(bytes).substr(0, there)) == there);
  while (it.here.io()) {}
  CHECK(it.here.requests.empty());
  REQUIRE(it.wire->send(std::string_view(bytes).substr(there)) == bytes.size() - there);
  it.here.http().first_thread().deadlines().run(server::clock::now() + std::chrono::hours(2));
  it.exchange_all();
  REQUIRE(it.here.requests.size() == 1);
  answer(it.here.take(), "in time");
  it.exchange_all();
  CHECK(it.peer.at(stream).body == "in time");
}

TEST_CASE("a client whose bytes have not all arrived in time is late, whatever came before") {
  unread it(patient_settings());
  it.exchange_all();
  static_cast<void>(it.peer.request("GET", "/"));
  std::string const bytes = it.peer.output();
  REQUIRE(it.wire->send(std::string_view(bytes).substr(0, 12)) == 12);
  while (it.here.io()) {}
  REQUIRE(it.wire->send(std::string_view(bytes).substr(12, 3)) == 3);
  it.here.http().first_thread().deadlines().run(server::clock::now() + std::chrono::hours(2));
  it.exchange_all();
  CHECK(it.here.requests.empty());
  CHECK(it.wire->closed());
}

TEST_CASE("a request that comes behind the last one that the server has announced is not handled") {
  unread it(patient_settings());
  auto const [first, second] = it.fill();
  it.here.http().begin_drain();
  it.pass(std::chrono::seconds(2));  // The client has not confirmed that it knows.
  auto const late = it.peer.request("GET", "/3");
  it.send();
  CHECK(it.here.requests.empty());
  it.exchange_all();
  CHECK(it.peer.at(first).body.size() == 60'000);
  CHECK(it.peer.at(second).body.size() == 60'000);
  CHECK(it.peer.at(late).error == NGHTTP2_REFUSED_STREAM);
  CHECK(it.wire->sees_end());
}

TEST_CASE("a response whose end alone waits for the client is ended by body_timeout, too") {
  server::options chosen = patient_settings();
  chosen.connection.body_timeout = std::chrono::seconds(30);
  talk here(chosen, {}, 1, 10, false);
  auto const asked = here.peer.request("GET", "/");
  here.settle();
  {
    auto const reply = here.take();
    auto writer = begin_answer(reply, std::nullopt);
    static_cast<void>(writer.write("0123456789"));
    static_cast<void>(writer.flush());
    here.settle();
    CHECK(here.peer.at(asked).body == "0123456789");
    static_cast<void>(writer.finish());
  }
  here.settle();
  if (!here.peer.at(asked).closed) {
    here.pass(std::chrono::minutes(2));
    CHECK(here.peer.at(asked).closed);
  }
}

TEST_CASE("what a client does not take of whole responses waits in the file, as far as that may have it") {
  server::options chosen = patient_settings();
  std::uint64_t& most = chosen.connection.max_response_temp_file;
  SUBCASE("all of it") { most = 1 << 30; }
  SUBCASE("a part") { most = 1'000'000; }
  SUBCASE("nothing") { most = 0; }
  unread it(chosen);
  it.exchange_all();
  std::vector<std::pair<std::int32_t, std::string>> sent;
  for (char each : {'a', 'b', 'c'}) sent.emplace_back(it.peer.request("GET", "/"), std::string(3'000'001, each));
  it.send();
  for (auto const& [stream, body] : sent) answer(it.here.take(), body);
  auto& file = it.here.http().first_thread().shared().exchanges.spool();
  CHECK((file.lent() != 0) == (most != 0));
  it.exchange_all();
  for (auto const& [stream, body] : sent) {
    CHECK(it.peer.at(stream).body == body);
    CHECK(it.peer.at(stream).closed);
  }
  CHECK(file.lent() == 0);
}

TEST_CASE("a client that leaves in the middle of a whole response ends it") {
  server::options chosen = patient_settings();
  chosen.connection.max_response_temp_file = 1 << 30;
  unread it(chosen);
  it.exchange_all();
  auto const stream = it.peer.request("GET", "/");
  it.send();
  it.wire->reset();
  answer(it.here.take(), std::string(3'000'000, 'a'));
  while (it.here.io()) {}
  CHECK(it.peer.at(stream).body.empty());
  CHECK(it.here.http().first_thread().shared().exchanges.spool().lent() == 0);
}

TEST_CASE("a response may have a large header") {
  talk here;
  for (std::size_t size : {10'000u, 70'000u, 110'000u}) {
    CAPTURE(size);
    auto const asked = here.peer.request("GET", "/");
    here.settle();
    {
      auto const reply = here.take();
      auto& head = exchange::of(reply).response();
      static_cast<void>(head.start(200));
      for (std::size_t i = 0; i < size; i += 10'000) static_cast<void>(head.add("x-large", std::string(10'000, 'x')));
      reply.answer({.head = &head, .end = true});
    }
    here.settle();
    CHECK(here.peer.at(asked).status == 200);
    CHECK(here.peer.at(asked).closed);
    CHECK(here.peer.at(asked).error == 0);
  }
}

TEST_CASE("a response whose header cannot be sent ends its stream with an error") {
  talk here;
  auto const asked = here.peer.request("GET", "/");
  here.settle();
  {
    auto const reply = here.take();
    auto& head = exchange::of(reply).response();
    static_cast<void>(head.start(200));
    static_cast<void>(head.add("x-large", std::string(30'000'000, 'x')));
    reply.answer({.head = &head, .end = true});
  }
  here.settle();
  CHECK(here.peer.at(asked).closed);
  CHECK(here.peer.at(asked).error == NGHTTP2_INTERNAL_ERROR);
  auto const next = here.peer.request("GET", "/");
  here.settle();
  answer(here.take(), "next");
  here.settle();
  CHECK(here.peer.at(next).body == "next");
}

TEST_CASE("space around a value is not sent: it would make the response malformed") {
  talk here;
  auto const asked = here.peer.request("GET", "/");
  here.settle();
  {
    auto const reply = here.take();
    auto& head = exchange::of(reply).response();
    static_cast<void>(head.start(200));
    static_cast<void>(head.add("x-some", " \t in the middle \t"));
    static_cast<void>(head.add("x-none", "  "));
    reply.answer({.head = &head, .end = true});
  }
  here.settle();
  CHECK(here.peer.at(asked).value("x-some") == "in the middle");
  CHECK(here.peer.at(asked).error == 0);
  CHECK(here.peer.at(asked).closed);
}
