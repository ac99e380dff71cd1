// SPDX-License-Identifier: MIT

#include "base/process_places.hpp"

#include "../support/in_child.hpp"

#include <doctest/doctest.h>

namespace server = kino::server;

TEST_CASE("a process alone is never ahead") {
  server::process_places places(3);
  places.accepts(0, true);
  for (int i = 0; i != 100; ++i) places.opened(0);
  CHECK_FALSE(places.ahead(0));
  CHECK_FALSE(server::process_place{}.ahead());
}

TEST_CASE("a process is ahead while another one that accepts has fewer connections, by more than an eighth") {
  server::process_places places(3);
  places.accepts(0, true);
  places.opened(0);
  CHECK_FALSE(places.ahead(0));
  places.accepts(2, true);
  CHECK(places.ahead(0));
  CHECK_FALSE(places.ahead(2));
  for (int i = 0; i != 16; ++i) places.opened(2);
  CHECK(places.ahead(2));
  for (int i = 0; i != 14; ++i) places.opened(0);
  CHECK_FALSE(places.ahead(2));  // 16 and 15
  places.closed(0);
  places.closed(0);
  CHECK(places.ahead(2));  // 16 and 13
  places.accepts(0, false);
  CHECK_FALSE(places.ahead(2));
}

TEST_CASE("the place of a process that has ended does not count, and can be taken again") {
  server::process_places places(2);
  places.accepts(0, true);
  places.accepts(1, true);
  for (int i = 0; i != 5; ++i) places.opened(1);
  places.opened(0);
  places.vacate(0);
  CHECK_FALSE(places.ahead(1));
  places.accepts(0, true);
  CHECK(places.ahead(1));
}

TEST_CASE("all are stuck when each that accepts is") {
  server::process_places places(300);
  CHECK_FALSE(places.all_stuck());  // There is none.
  places.accepts(1, true);
  places.accepts(299, true);
  places.stuck(1, true);
  CHECK_FALSE(places.all_stuck());
  places.stuck(299, true);
  CHECK(places.all_stuck());
  places.stuck(1, false);
  CHECK_FALSE(places.all_stuck());
  places.accepts(1, false);
  CHECK(places.all_stuck());
  places.accepts(1, true);
  places.vacate(299);
  places.stuck(1, true);
  CHECK(places.all_stuck());
  places.accepts(299, true);
  CHECK_FALSE(places.all_stuck());  // A new one.
}

TEST_CASE("forked processes see each other") {
  server::process_places places(2);
  places.accepts(0, true);
  places.opened(0);
  CHECK(in_child([&] { places.accepts(1, true); return true; }));
  CHECK(places.ahead(0));
  CHECK(in_child([&] { places.opened(1); return true; }));
  CHECK_FALSE(places.ahead(0));
}
