// SPDX-License-Identifier: MIT
//
// Streams of HTTP/2 that carry another protocol, an event stream: how they begin and end.

#include "http2/http2_protocol.hpp"

#include "websocket/event_stream.hpp"
#include "websocket/websocket.hpp"

#include "../support/captured_log.hpp"
#include "../support/http2_upgrade.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace server = kino::server;
using namespace std::chrono_literals;
using namespace http2_test;
using http_server_test::answer;

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
  event_stream_talk one;
  CHECK(one.with.events() == "o");
  one.here.http().begin_drain();
  one.here.settle();
  CHECK(one.socket->write(server::encode_event("bye")));
  CHECK(one.with.events() == "sc");
  one.here.settle();
  CHECK(one.seen().body == event("bye"));
  CHECK(one.seen().ended);
  one.here.pass(2s);
  CHECK(one.here.http().live() == 0);
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
