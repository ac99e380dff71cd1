// SPDX-License-Identifier: MIT
//
// Event streams over HTTP/2 whose clients read slowly, not at all, or reset their streams.

#include "http2/http2_protocol.hpp"

#include "websocket/channel_hub.hpp"
#include "websocket/event_stream.hpp"
#include "websocket/websocket.hpp"

#include "../support/captured_log.hpp"
#include "../support/http2_upgrade.hpp"
#include "../support/simulation.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace server = kino::server;
using namespace std::chrono_literals;
using namespace http2_test;
using http_server_test::answer;
using server::opcode;

TEST_CASE("a client that reads slowly gets everything") {
  event_stream_talk one({1000, false});
  std::string all;
  for (int i = 0; i != 3000; ++i) {
    std::string const data = std::to_string(i) + std::string(100, 'x');
    REQUIRE(one.socket->write(server::encode_event(data)));
    all += event(data);
  }
  one.here.settle();
  CHECK(one.seen().body.size() == 1000);
  CHECK(one.socket->kept() > 2000);
  CHECK(one.with.events() == "o");
  while (one.seen().body.size() != all.size()) {
    std::size_t const before = one.seen().body.size();
    one.here.peer.open_window(one.asked, 7777);
    one.here.peer.open_window(0, 7777);
    one.here.settle();
    REQUIRE(one.seen().body.size() > before);
  }
  CHECK(one.seen().body == all);
  CHECK(one.with.events() == "d");
  CHECK(one.socket->kept() == 0);
  CHECK(!one.seen().ended);
}

TEST_CASE("a client that does not read loses its stream, not its connection") {
  captured_log const log;
  server::websocket::settings chosen = of_events();
  chosen.most_kept = 10'000;
  event_stream_talk one({0, false}, chosen);
  int written = 0;
  while (one.socket->write(server::encode_event(std::string(1000, 'x')))) REQUIRE(++written < 200);
  one.here.settle();
  CHECK(one.seen().closed);
  CHECK(one.seen().error == server::http2_error::cancel);
  CHECK(one.with.events() == "oc");
  CHECK(one.with.open == 0);
  CHECK(log.text().find("does not read") != std::string::npos);
  auto const other = one.here.peer.request("GET", "/other");
  one.here.settle();
  answer(one.here.take(), "");
  one.here.settle();
  CHECK(one.here.peer.at(other).status == 200);
}

TEST_CASE("a client whose window stays closed is given up after two intervals") {
  captured_log const log;
  event_stream_talk one({0, false});
  // Nothing is lost before: no limit of responses holds for it.
  one.here.pass(41s);
  CHECK(!one.seen().closed);
  for (int i = 2; i != 6; ++i) one.here.pass(i * 41s);
  CHECK(one.seen().closed);
  CHECK(one.with.events() == "oc");
}

namespace {

// Its windows are wide open, but it takes nothing from the network once it has the head of its event stream.
struct stalled_talk : upgraded_talk {
  stalled_talk() : upgraded_talk({}, {100'000'000, false}) {
    asked = here.peer.request("GET", "/events");
    here.settle();
    server::websocket::settings chosen = of_events();
    chosen.most_kept = 1'000'000;
    socket = stream_events(here, with, chosen);
    here.settle();
    for (int written = 0; socket->kept() < 3; ++written) {
      REQUIRE(written < 1000);
      REQUIRE(write());
    }
    io();
  }

  bool write() { return socket->write(server::encode_event(std::string(10'000, 'x'))); }
  void io() {
    while (here.io()) {}
  }
  void pass(server::clock::duration later) {
    here.http().first_thread().deadlines().run(server::clock::now() + later);
    io();
  }

  captured_log log;
};

}  // namespace

TEST_CASE("a client that takes nothing from the network loses its event stream, and then its connection") {
  stalled_talk it;
  while (it.write()) {}
  it.io();
  CHECK(it.with.events() == "oc");
  CHECK(!it.here.wire().closed());
  it.pass(6s);
  CHECK(it.here.wire().closed());
  CHECK(it.here.http().connections() == 0);
}

TEST_CASE("... also one that is given up because it took nothing for two intervals") {
  stalled_talk it;
  it.pass(41s);
  CHECK(!it.here.wire().closed());
  it.pass(82s);
  CHECK(it.with.events() == "oc");
  it.pass(200s);
  CHECK(it.here.wire().closed());
}

TEST_CASE("... and one whose event stream the application has ended") {
  stalled_talk it;
  it.socket->close(server::close_code::normal);
  it.io();
  it.pass(6s);
  it.pass(20s);
  CHECK(it.here.wire().closed());
}

TEST_CASE("a client that reads is kept for as long as it likes, and gets comments") {
  event_stream_talk one;
  for (int i = 1; i != 200; ++i) one.here.pass(i * 41s);
  CHECK(!one.seen().closed);
  CHECK(one.socket->open());
  CHECK(one.seen().body.starts_with(":\n\n:\n\n:\n\n"));
}

TEST_CASE("a stream that is reset in the middle of a broadcast ends, and the others get it all") {
  turns with;
  talk here;
  std::vector<std::int32_t> asked;
  std::vector<std::shared_ptr<server::websocket>> open;
  server::channel_hub hub;
  for (int i = 0; i != 20; ++i) {
    asked.push_back(here.peer.request("GET", "/events"));
    here.settle();
    open.push_back(stream_events(here, with));
    REQUIRE(hub.subscribe(open.back(), "news", server::channel_hub::match::name));
  }
  here.settle();
  CHECK(with.events() == std::string(20, 'o'));
  CHECK(hub.publish("news", opcode::text).send("one") == 20);
  for (int i = 0; i != 10; ++i) here.peer.reset(asked[static_cast<std::size_t>(i) * 2]);
  CHECK(hub.publish("news", opcode::text).send("two") == 20);  // the server does not know yet
  here.settle();
  CHECK(hub.publish("news", opcode::text).send("three") == 10);
  here.settle();
  CHECK(with.events() == std::string(10, 'c'));
  CHECK(with.open == 10);
  for (std::size_t i = 0; i != 20; ++i) {
    CHECK(open[i]->open() == (i % 2 != 0));
    if (i % 2 != 0) CHECK(here.peer.at(asked[i]).body == event("one") + event("two") + event("three"));
  }
  // They do not count against the client.
  for (int i = 0; i != 90; ++i) static_cast<void>(here.peer.request("GET", "/"));
  here.settle();
  CHECK(here.requests.size() == 90);
  CHECK(here.peer.goaways().empty());
}

TEST_CASE("a client that leaves many event streams, which only a reset does, keeps its connection") {
  turns with;
  talk here;
  for (int i = 0; i != 500; ++i) {
    auto const asked = here.peer.request("GET", "/events");
    here.settle();
    static_cast<void>(stream_events(here, with));
    here.settle();
    here.peer.reset(asked);
    here.settle();
    CHECK(with.events() == "oc");
  }
  CHECK(with.open == 0);
  CHECK(here.peer.goaways().empty());
  CHECK(!here.wire().closed());
}

// Whatever the windows and the network do, the client gets what was written, and nothing is left.
TEST_CASE("everything arrives in order, whatever client and network do") {
  simulation_test::run_seeds(150, [](std::uint32_t seed) -> simulation_test::outcome {
    stress::dice chance(seed);
    simulation_test::trace steps;
    turns with;
    memory_test::faults const faults{chance.below(3), 2 * chance.below(3), 4 * chance.below(2), 0, 3 * chance.below(2)};
    talk here(http_server_test::patient_settings(), faults, seed, 1 + chance.below(3000), false);
    std::vector<std::int32_t> asked;
    std::vector<std::shared_ptr<server::websocket>> open;
    std::vector<std::string> sent;
    for (std::size_t i = 0, count = 1 + chance.below(4); i != count; ++i) {
      asked.push_back(here.peer.request("GET", "/events"));
      here.settle();
      open.push_back(stream_events(here, with));
      sent.emplace_back();
    }
    for (int i = 0; i != 150; ++i) {
      std::size_t const which = chance.below(static_cast<std::uint32_t>(open.size()));
      std::uint32_t const what = chance.below(5);
      steps.add(what);
      if (what < 2) {
        std::string const data(chance.below(chance.once_in(10) ? 100'000 : 500), 'x');
        if (!open[which]->write(server::encode_event(data))) return {"a write has failed", steps};
        sent[which] += event(data);
      } else if (what == 2) {
        here.peer.open_window(asked[which], static_cast<std::int32_t>(1 + chance.below(5000)));
        here.peer.open_window(0, static_cast<std::int32_t>(1 + chance.below(5000)));
      } else if (what == 3) {
        static_cast<void>(with.events());
      } else {
        here.settle();
      }
    }
    for (auto const& one : open) one->close(server::close_code::normal);
    for (std::size_t i = 0; i != open.size(); ++i) here.peer.open_window(asked[i], 100'000'000);
    here.peer.open_window(0, 1'000'000'000);
    auto const ended = [&](std::int32_t which) { return here.peer.at(which).ended; };
    // The network may do nothing for a while.
    for (int i = 0; i != 100 && !std::all_of(asked.begin(), asked.end(), ended); ++i) here.settle();
    static_cast<void>(with.events());
    for (std::size_t i = 0; i != open.size(); ++i) {
      if (here.peer.at(asked[i]).body != sent[i]) return {"something is missing", steps};
      if (!here.peer.at(asked[i]).ended || here.peer.at(asked[i]).error != 0) return {"a stream has not ended in order", steps};
    }
    if (with.open != 0) return {"a stream is not over", steps};
    return {"", steps};
  });
}
