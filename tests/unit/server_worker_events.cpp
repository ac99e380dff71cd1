// SPDX-License-Identifier: MIT
//
// The supervisor's events: their order, their number, and their end.

#include "admission/worker_events.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <thread>

using kino::pop_result;
using kino::server::event;
using kino::server::worker_events;

namespace {

event of_unit(std::size_t number) { return {.what = event::kind::unit_due, .unit = number}; }

}  // namespace

TEST_CASE("events of several threads arrive in the order in which they happened") {
  constexpr std::size_t most = 64;
  worker_events events(most);
  for (std::size_t n = 0; n != most; ++n) {
    std::thread([&] { CHECK(events.post(of_unit(n))); }).join();
    CHECK(events.post(of_unit(++n)));
  }
  for (std::size_t n = 0; n != most; ++n) {
    event next;
    REQUIRE(events.try_pop(next) == pop_result::popped);
    CHECK(next.unit == n);
  }
}

TEST_CASE("an event for which there is no room is reported, and there is room again later") {
  worker_events events(2);
  event next;
  for (std::size_t round = 0; round != 5; ++round) {
    CHECK(events.try_pop(next) == pop_result::empty);
    CHECK(events.post(of_unit(3 * round)));
    CHECK(events.post(of_unit(3 * round + 1)));
    CHECK(!events.post(of_unit(3 * round + 2)));
    for (std::size_t n = 0; n != 2; ++n) {
      REQUIRE(events.try_pop(next) == pop_result::popped);
      CHECK(next.unit == 3 * round + n);
    }
  }
}

TEST_CASE("what was posted before the end is still handed over") {
  worker_events events(4);
  event next;
  CHECK(events.post({.what = event::kind::worker_exited, .reason = "why"}));
  events.close();
  CHECK(events.post(of_unit(1)));  // dropped
  REQUIRE(events.try_pop(next) == pop_result::popped);
  CHECK(next.reason == "why");
  CHECK(events.try_pop(next) == pop_result::closed);
}

TEST_CASE("a waiting supervisor is woken by each event and by close") {
  worker_events events(1);
  std::size_t seen = 0;
  std::thread supervisor([&] {
    for (pop_result got = pop_result::empty; got != pop_result::closed;) {
      event next;
      events.posted().wait([&] { return (got = events.try_pop(next)) != pop_result::empty; });
      seen += got == pop_result::popped;
    }
  });
  for (std::size_t n = 0; n != 1000;) n += events.post(of_unit(n));
  events.close();
  supervisor.join();
  CHECK(seen == 1000);
}
