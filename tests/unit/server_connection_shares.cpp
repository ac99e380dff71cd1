// SPDX-License-Identifier: MIT

#include "base/connection_shares.hpp"

#include "../support/in_child.hpp"

#include <doctest/doctest.h>

namespace server = kino::server;

TEST_CASE("a process alone is never ahead") {
  server::connection_shares shares(3);
  shares.accepts(0, true);
  for (int i = 0; i != 100; ++i) shares.opened(0);
  CHECK_FALSE(shares.ahead(0));
  CHECK_FALSE(server::connection_share{}.ahead());
}

TEST_CASE("a process is ahead while another one that accepts has fewer connections, by more than an eighth") {
  server::connection_shares shares(3);
  shares.accepts(0, true);
  shares.opened(0);
  CHECK_FALSE(shares.ahead(0));
  shares.accepts(2, true);
  CHECK(shares.ahead(0));
  CHECK_FALSE(shares.ahead(2));
  for (int i = 0; i != 16; ++i) shares.opened(2);
  CHECK(shares.ahead(2));
  for (int i = 0; i != 14; ++i) shares.opened(0);
  CHECK_FALSE(shares.ahead(2));  // 16 and 15
  shares.closed(0);
  shares.closed(0);
  CHECK(shares.ahead(2));  // 16 and 13
  shares.accepts(0, false);
  CHECK_FALSE(shares.ahead(2));
}

TEST_CASE("the place of a process that has ended does not count, and can be taken again") {
  server::connection_shares shares(2);
  shares.accepts(0, true);
  shares.accepts(1, true);
  for (int i = 0; i != 5; ++i) shares.opened(1);
  shares.opened(0);
  shares.vacate(0);
  CHECK_FALSE(shares.ahead(1));
  shares.accepts(0, true);
  CHECK(shares.ahead(1));
}

TEST_CASE("forked processes see each other") {
  server::connection_shares shares(2);
  shares.accepts(0, true);
  shares.opened(0);
  CHECK(in_child([&] { shares.accepts(1, true); return true; }));
  CHECK(shares.ahead(0));
  CHECK(in_child([&] { shares.opened(1); return true; }));
  CHECK_FALSE(shares.ahead(0));
}
