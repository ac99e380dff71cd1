// SPDX-License-Identifier: MIT
//
// Clients of HTTP/2 that send more frames than they need, for good reasons: those of gRPC. They keep their connection.

#include "http2/http2_protocol.hpp"

#include "../support/frozen_clock.hpp"
#include "../support/http2_talk.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <string>

using http2_test::talk;
using http_server_test::answer;
using http_server_test::streaming_settings;

namespace {

constexpr int many = 5000;  // more than any budget

}  // namespace

TEST_CASE("a client may open its windows twice, and send a ping, for each small message of a call") {
  talk here;
  for (int i = 0; i < many; ++i) {
    auto const asked = here.peer.request("POST", "/", {}, true);
    here.peer.send_body(asked, "request");
    here.peer.end_body(asked);
    here.settle();
    REQUIRE(here.requests.size() == 1);
    answer(here.take(), "response");
    here.settle();
    REQUIRE(here.peer.at(asked).body == "response");
    here.peer.open_window(0, 1);
    here.peer.open_window(0, 1);
    here.peer.ping();
    here.settle();
  }
  CHECK(here.peer.goaways().empty());
  CHECK(here.peer.pongs() == many);
}

TEST_CASE("messages do not pay for a flood of another kind, nor save up for one") {
  talk here;
  auto const asked = here.peer.request("POST", "/", {}, true);
  for (int i = 0; i < many; ++i) {
    here.peer.send_body(asked, "x");
    here.settle();
  }
  REQUIRE(here.peer.goaways().empty());
  http2_test::frozen_clock const budgets_do_not_grow;
  int sent = 0;
  for (; sent < many && here.peer.goaways().empty(); ++sent) {
    here.peer.ping();
    here.settle();
  }
  CHECK(sent < 3000);
}

TEST_CASE("a client may reset streams whose response it has") {
  talk here(streaming_settings());
  for (int i = 0; i < many / 4; ++i) {
    auto const asked = here.peer.request("POST", "/", {}, true);
    here.peer.send_body(asked, "x");
    here.settle();
    REQUIRE(here.requests.size() == 1);
    answer(here.take(), "early");
    here.settle();
    REQUIRE(here.peer.at(asked).ended);
    here.peer.reset(asked, NGHTTP2_NO_ERROR);
    here.settle();
    REQUIRE(here.peer.at(asked).closed);
  }
  CHECK(here.peer.goaways().empty());
}

TEST_CASE("a client may cancel one request in ten") {
  talk here;
  for (int i = 0; i < many / 4; ++i) {
    auto const asked = here.peer.request("GET", "/");
    here.settle();
    REQUIRE(here.requests.size() == 1);
    if (i % 10 == 9) here.peer.reset(asked);
    here.settle();
    answer(here.take(), "");
    here.settle();
  }
  CHECK(here.peer.goaways().empty());
}
