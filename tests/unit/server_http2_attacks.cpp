// SPDX-License-Identifier: MIT
//
// Clients of HTTP/2 that do much and ask for little. Each is bounded: how often the handler is called, what waits in
// memory; and other clients are served.

#include "http2/http2_protocol.hpp"

#include "../support/http2_attack.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace server = kino::server;
using namespace http2_test;
using http_server_test::answer;
using http_server_test::patient_settings;

namespace {

std::uint32_t odd(std::uint32_t i) { return 2 * i + 1; }

}  // namespace

TEST_CASE("rapid reset: requests that are reset call the handler no more often than streams may be open") {
  server::options chosen = patient_settings();
  chosen.connection.max_concurrent_streams = 50;
  attack it(chosen);
  int const took = it.send_until_ended(100'000, [](std::uint32_t i) {
    return get_request(odd(i)) + frame(rst_stream, 0, odd(i), number(NGHTTP2_CANCEL));
  });
  CHECK(took < 1000);
  CHECK(it.here.calls <= 50);
  CHECK(it.calmed());
  CHECK(it.serves_others());
}

TEST_CASE("rapid reset: a client that lets the handler finish is bounded by its time") {
  attack it;
  int const took = it.send_until_ended(100'000, [&](std::uint32_t i) {
    it.here.requests.clear();
    return get_request(odd(i)) + frame(rst_stream, 0, odd(i), number(NGHTTP2_CANCEL));
  });
  CHECK(took < 1000);
  CHECK(it.calmed());
}

TEST_CASE("made-you-reset: errors that make the server reset its streams end the connection") {
  server::options chosen = patient_settings();
  chosen.connection.max_concurrent_streams = 50;
  attack it(chosen);
  int const took = it.send_until_ended(100'000, [](std::uint32_t i) {
    return get_request(odd(i)) + frame(window_update, 0, odd(i), number(0x7fffffff));
  });
  CHECK(took < 1000);
  CHECK(it.here.calls <= 50);
  CHECK(it.ended());
  CHECK(it.serves_others());
}

TEST_CASE("a header in endless continuations ends the connection") {
  attack it;
  it.send(frame(headers, 1, 1, get_header));
  std::string const more = std::string("\x00\x01", 2) + "a" + '\x01' + "b";  // a field that is not indexed
  int const took = it.send_until_ended(100'000, [&](std::uint32_t) { return frame(continuation, 0, 1, more); });
  CHECK(took < 1000);
  CHECK(it.here.calls == 0);
  CHECK(it.ended());
  CHECK(it.serves_others());
}

TEST_CASE("floods of frames that ask for nothing end the connection") {
  struct {
    char const* what;
    std::string frame_;
  } const all[] = {
      {"pings", frame(ping, 0, 0, "12345678")},
      {"settings", frame(settings, 0, 0)},
      {"priorities", frame(priority, 0, 3, number(0) + "\x10")},
      {"window updates", frame(window_update, 0, 0, number(1))},
      {"unfinished empty data", frame(data, 0, 1)},
      {"padding", frame(data, 8, 1, std::string(1, '\xff') + std::string(255, '\0'))},
  };
  for (auto const& each : all) {
    INFO(each.what);
    attack it;
    it.send(get_request(1, 4));
    int const took = it.send_until_ended(100'000, [&](std::uint32_t) { return each.frame_; });
    CHECK(took < 20'000);
    CHECK(it.here.calls == 0);
    CHECK(it.calmed());
    CHECK(it.serves_others());
  }
}

TEST_CASE("a client that has said that it is leaving has no more to spend than others") {
  attack it;
  it.send(get_request(1) + frame(goaway, 0, 0, number(0) + number(0)));
  int const took = it.send_until_ended(100'000, [](std::uint32_t) { return frame(ping, 0, 0, "12345678"); });
  CHECK(took < 1000);
  CHECK(it.calmed());
}

TEST_CASE("a server that is being stopped spends no more on a client than before") {
  attack it;
  it.send(get_request(1));
  it.here.http().begin_drain();
  it.send(get_request(3));
  it.goaways_end = false;
  int const took = it.send_until_ended(100'000, [](std::uint32_t) { return frame(ping, 1, 0, "12345678") + frame(settings, 0, 0); });
  CHECK(took < 1000);
  CHECK(it.calmed());
}

TEST_CASE("a client that does not read and causes much work is not waited for") {
  attack it;
  it.send(get_request(1) + get_request(3));
  it.reads = false;
  while (!it.here.requests.empty()) answer(it.here.take(), std::string(60'000, 'x'));
  it.send(get_request(5, 4));
  for (int i = 0; i < 20'000; ++i) it.send(frame(priority, 0, 3, number(0) + "\x10"));
  it.here.pass(std::chrono::seconds(10));
  CHECK(it.wire->closed());
  CHECK(it.serves_others());
}

TEST_CASE("a compressed header that becomes large is refused, and copied up to its limit only") {
  server::options chosen = patient_settings();
  attack it(chosen);
  // A field of 4,000 bytes enters the dynamic table, and is then repeated by one byte each.
  std::string bomb = get_header + '\x40' + '\x01' + 'a' + std::string("\x7f\xa1\x1e", 3) + std::string(4000, 'b');
  bomb += std::string(10'000, '\xbe');
  it.send(frame(headers, 5, 1, bomb.substr(0, 16'000)));
  it.here.settle();
  CHECK(it.here.calls == 0);
  CHECK(it.here.refusals == 1);
  CHECK(it.serves_others());
}

TEST_CASE("a client that opens no window holds a bounded amount, and loses its streams") {
  server::options chosen = patient_settings();
  chosen.connection.body_timeout = std::chrono::seconds(30);
  talk here(chosen, {}, 1, 0);
  for (int i = 0; i < 20; ++i) here.peer.request("GET", "/");
  here.settle();
  REQUIRE(here.requests.size() == 20);
  while (!here.requests.empty()) answer(here.take(), std::string(10'000, 'x'));
  here.settle();
  CHECK(here.peer.at(1).status == 200);
  CHECK(!here.peer.at(1).closed);
  here.pass(std::chrono::minutes(10));
  for (int i = 0; i < 20; ++i) {
    std::int32_t const each = 2 * i + 1;
    CHECK(here.peer.at(each).closed);
    CHECK(here.peer.at(each).error == NGHTTP2_CANCEL);
  }
  CHECK(here.serves_others());
}

TEST_CASE("a client that sends a body slowly, or not at all, gets 408") {
  server::options chosen = patient_settings();
  chosen.connection.body_timeout = std::chrono::seconds(30);
  talk here(chosen);
  auto const asked = here.peer.request("POST", "/", {}, true);
  here.peer.send_body(asked, "some");
  here.settle();
  here.pass(std::chrono::minutes(1));
  CHECK(here.peer.at(asked).status == 408);
  here.pass(std::chrono::minutes(2));
  CHECK(here.peer.at(asked).closed);
  CHECK(here.calls == 0);
}

TEST_CASE("random frames neither crash the server nor concern others") {
  char const* const given = std::getenv("SEEDS");  // more of them: a long run
  std::uint32_t const seeds = given ? static_cast<std::uint32_t>(std::strtoul(given, nullptr, 10)) : stress::scaled(500);
  for (std::uint32_t seed = 1; seed <= seeds; ++seed) {
    CAPTURE(seed);
    stress::dice chance(seed);
    attack it;
    for (int i = 0; i < 60 && !it.ended(); ++i) {
      std::string payload(chance.below(chance.once_in(4) ? 5000 : 30), '\0');
      for (char& each : payload) each = static_cast<char>(chance.below(256));
      auto const type = static_cast<frame_type>(chance.below(11));
      if (type == headers && chance.once_in(2)) payload = get_header + payload.substr(0, chance.below(5));
      it.send(frame(type, static_cast<std::uint8_t>(chance.below(64)), chance.below(8), payload));
      while (!it.here.requests.empty()) answer(it.here.take(), "x");
    }
    REQUIRE(it.serves_others());
  }
}

TEST_CASE("a preface in any number of parts begins HTTP/2, and what only resembles one does not") {
  for (std::size_t length : {1u, 3u, 14u, 23u, 24u}) {
    CAPTURE(length);
    // The client of a talk sends its preface at once; here it is sent by hand, on a connection of its own.
    server::options chosen = patient_settings();
    memory_test::faults cut;
    cut.part = 1;
    talk here(chosen, cut, static_cast<std::uint32_t>(length));
    auto const asked = here.peer.request("GET", "/");
    here.settle();
    REQUIRE(here.requests.size() == 1);
    answer(here.take(), "yes");
    here.settle();
    CHECK(here.peer.at(asked).body == "yes");
  }
  CHECK(preface.size() == 24);
}
