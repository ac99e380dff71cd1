// SPDX-License-Identifier: MIT
//
// Streams of HTTP/2 that carry another protocol: event streams.

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
#include <utility>
#include <vector>

namespace server = kino::server;
using namespace std::chrono_literals;
using http2_test::everything;
using http2_test::talk;
using http2_test::turns;
using http2_test::upgrade_stream;
using http_server_test::answer;
using server::exchange;
using server::opcode;

namespace {

server::websocket::settings of_events() {
  server::websocket::settings chosen;
  chosen.speaks = server::dialect::events;
  return chosen;
}

// Answers the oldest request with an event stream.
std::shared_ptr<server::websocket> stream_events(talk& here, turns& with, server::websocket::settings const& chosen = of_events()) {
  return upgrade_stream(here, with, chosen, "text/event-stream");
}

std::string event(std::string const& data) { return *server::encode_event(data); }

}  // namespace

TEST_CASE("an event stream is the body of a response, beside others") {
  turns with;
  talk here;
  auto const asked = here.peer.request("GET", "/events", {{"accept", "text/event-stream"}});
  here.settle();
  auto const events = stream_events(here, with);
  CHECK(events->write(server::encode_event("early")));
  here.settle();
  CHECK(with.events() == "od");  // What was written before it was open was kept.
  CHECK(with.open == 1);
  CHECK(here.peer.at(asked).status == 200);
  CHECK(here.peer.at(asked).value("content-type") == "text/event-stream");
  CHECK(here.peer.at(asked).value("content-length") == "");
  CHECK(here.peer.at(asked).body == event("early"));
  // The request is over for the rest of the server.
  REQUIRE(here.reports.size() == 1);
  CHECK(here.reports[0].how == server::exchange_end::complete);

  auto const other = here.peer.request("GET", "/other");
  here.settle();
  answer(here.take(), "other");
  CHECK(events->write(server::encode_event("late")));
  here.settle();
  CHECK(here.peer.at(other).body == "other");
  CHECK(here.peer.at(asked).body == event("early") + event("late"));
  CHECK(!here.peer.at(asked).ended);

  events->close(server::close_code::normal);
  CHECK(!events->write(server::encode_event("never")));
  here.settle();
  CHECK(here.peer.at(asked).ended);
  CHECK(here.peer.at(asked).error == 0);
  CHECK(with.events() == "c");
  CHECK(with.open == 0);
  CHECK(here.reports.size() == 2);
  CHECK(here.valid());
}

TEST_CASE("a client that reads slowly gets everything") {
  turns with;
  talk here(http_server_test::patient_settings(), {}, 1, 1000, false);
  auto const asked = here.peer.request("GET", "/events");
  here.settle();
  auto const events = stream_events(here, with);
  here.settle();
  std::string all;
  for (int i = 0; i != 3000; ++i) {
    std::string const data = std::to_string(i) + std::string(100, 'x');
    REQUIRE(events->write(server::encode_event(data)));
    all += event(data);
  }
  here.settle();
  CHECK(here.peer.at(asked).body.size() == 1000);
  CHECK(events->kept() > 2000);
  CHECK(with.events() == "o");
  while (here.peer.at(asked).body.size() != all.size()) {
    std::size_t const before = here.peer.at(asked).body.size();
    here.peer.open_window(asked, 7777);
    here.peer.open_window(0, 7777);
    here.settle();
    REQUIRE(here.peer.at(asked).body.size() > before);
  }
  CHECK(here.peer.at(asked).body == all);
  CHECK(with.events() == "d");
  CHECK(events->kept() == 0);
  CHECK(!here.peer.at(asked).ended);
}

TEST_CASE("a client that does not read loses its stream, not its connection") {
  captured_log const log;
  turns with;
  talk here(http_server_test::patient_settings(), {}, 1, 0, false);
  server::websocket::settings chosen = of_events();
  chosen.most_kept = 10'000;
  auto const asked = here.peer.request("GET", "/events");
  here.settle();
  auto const events = stream_events(here, with, chosen);
  here.settle();
  int written = 0;
  while (events->write(server::encode_event(std::string(1000, 'x')))) REQUIRE(++written < 200);
  here.settle();
  CHECK(here.peer.at(asked).closed);
  CHECK(here.peer.at(asked).error == server::http2_error::cancel);
  CHECK(with.events() == "oc");
  CHECK(with.open == 0);
  CHECK(log.text().find("does not read") != std::string::npos);
  auto const other = here.peer.request("GET", "/other");
  here.settle();
  answer(here.take(), "");
  here.settle();
  CHECK(here.peer.at(other).status == 200);
}

TEST_CASE("a client whose window stays closed is given up after two intervals") {
  captured_log const log;
  turns with;
  talk here(http_server_test::patient_settings(), {}, 1, 0, false);
  auto const asked = here.peer.request("GET", "/events");
  here.settle();
  auto const events = stream_events(here, with);
  here.settle();
  // Nothing is lost before: no limit of responses holds for it.
  here.pass(41s);
  CHECK(!here.peer.at(asked).closed);
  for (int i = 2; i != 6; ++i) here.pass(i * 41s);
  CHECK(here.peer.at(asked).closed);
  CHECK(with.events() == "oc");
}

TEST_CASE("a client that reads is kept for as long as it likes, and gets comments") {
  turns with;
  talk here;
  auto const asked = here.peer.request("GET", "/events");
  here.settle();
  auto const events = stream_events(here, with);
  here.settle();
  for (int i = 1; i != 200; ++i) here.pass(i * 41s);
  CHECK(!here.peer.at(asked).closed);
  CHECK(events->open());
  CHECK(here.peer.at(asked).body.starts_with(":\n\n:\n\n:\n\n"));
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

TEST_CASE("the end of the connection is the end of its streams") {
  turns with;
  auto here = std::make_unique<talk>();
  for (int i = 0; i != 3; ++i) static_cast<void>(here->peer.request("GET", "/events"));
  here->settle();
  std::vector<std::shared_ptr<server::websocket>> open;
  for (int i = 0; i != 2; ++i) open.push_back(stream_events(*here, with));
  here->settle();
  CHECK(with.events() == "oo");
  // The last one has its response, but its stream has not begun.
  open.push_back(stream_events(*here, with));
  SUBCASE("when the client leaves") {
    here->wire().end();
    here->settle();
    CHECK(here->http().connections() == 0);
  }
  SUBCASE("when the server ends it") { here.reset(); }
  for (auto const& one : open) {
    CHECK(!one->write(server::encode_event("late")));
    one->close(server::close_code::normal);
  }
  std::string const seen = with.events();
  CHECK((seen == "cc" || seen == "occc" || seen == "ccoc"));
  CHECK(with.open == 0);
}

TEST_CASE("a server that stops lets each handler say so, and ends the streams") {
  turns with;
  talk here;
  auto const asked = here.peer.request("GET", "/events");
  here.settle();
  auto const events = stream_events(here, with);
  here.settle();
  CHECK(with.events() == "o");
  here.http().begin_drain();
  here.settle();
  CHECK(events->write(server::encode_event("bye")));
  CHECK(with.events() == "sc");
  here.settle();
  CHECK(here.peer.at(asked).body == event("bye"));
  CHECK(here.peer.at(asked).ended);
  here.pass(2s);
  CHECK(here.http().live() == 0);
}

TEST_CASE("what is no part of a response cannot upgrade a stream") {
  captured_log const log;
  turns with;
  talk here;
  auto const asked = here.peer.request("GET", "/");
  here.settle();
  {
    auto const made = std::make_shared<server::websocket>(of_events(), everything(), with, nullptr);
    std::shared_ptr<server::upgrade> const next = made;
    here.take().answer({.end = true, .upgrade = &next});
  }
  here.settle();
  CHECK(here.peer.at(asked).closed);
  CHECK(here.peer.at(asked).error == server::http2_error::internal);
  CHECK(with.open == 0);
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
