// SPDX-License-Identifier: MIT
//
// Time limits that are extended while they are checked.

#include "http/response_due.hpp"

#include "../support/stress.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <thread>

namespace server = kino::server;
using std::chrono::seconds;

TEST_CASE("a limit moves to later times only, until it is over") {
  server::response_due due;
  server::clock::time_point const start{seconds(100)};
  CHECK(due.when() == server::clock::time_point::max());
  CHECK(!due.over(start + seconds(1000)));
  CHECK(due.extend(start));  // there is none
  due.start(start + seconds(10));
  CHECK(!due.over(start));
  CHECK(due.extend(start + seconds(5)));
  CHECK(due.when() == start + seconds(10));
  CHECK(due.extend(start + seconds(20)));
  CHECK(!due.over(start + seconds(19)));
  CHECK(due.over(start + seconds(20)));
  CHECK(!due.extend(start + seconds(1000)));
  due.clear();
  CHECK(due.extend(start));
  CHECK(!due.over(start));
}

TEST_CASE("a limit is extended or over, never both") {
  server::clock::time_point const start{seconds(100)};
  std::uint32_t const rounds = stress::scaled(20'000);
  for (std::uint32_t round = 0; round < rounds; ++round) {
    server::response_due due;
    due.start(start);
    bool extended = false;
    bool over = false;
    std::thread handler([&] { extended = due.extend(start + seconds(1)); });
    std::thread watch([&] { over = due.over(start); });
    handler.join();
    watch.join();
    REQUIRE(extended != over);
  }
}
