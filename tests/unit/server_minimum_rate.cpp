// SPDX-License-Identifier: MIT

#include "base/minimum_rate.hpp"

#include <doctest/doctest.h>

#include <chrono>

using kino::server::minimum_rate;
using namespace std::chrono_literals;

namespace {
kino::server::clock::time_point const start{1h};
}

TEST_CASE("a client that sends nothing has the grace period") {
  minimum_rate rate(100, 5s, 30s);
  rate.start(start);
  CHECK(rate.due() == start + 5s);
  CHECK_FALSE(rate.stopped(start + 5s));
  rate.progress(0, start + 4s);
  CHECK(rate.due() == start + 5s);
}

TEST_CASE("each byte extends the deadline by its time at the minimum rate") {
  minimum_rate rate(100, 5s, 30s);
  rate.start(start);
  rate.progress(200, start + 1s);
  CHECK(rate.due() == start + 7s);
  rate.progress(50, start + 6s);
  CHECK(rate.due() == start + 7500ms);
}

TEST_CASE("fast progress allows for no pause longer than the longest") {
  minimum_rate rate(100, 5s, 30s);
  rate.start(start);
  rate.progress(UINT64_MAX, start + 1s);
  CHECK(rate.due() == start + 31s);
  rate.progress(1, start + 2s);
  CHECK(rate.due() == start + 31s + 10ms);
  CHECK_FALSE(rate.stopped(start + 31s));
  CHECK(rate.stopped(start + 32s));
}

TEST_CASE("a client at the minimum rate may continue forever, and one below it may not") {
  for (std::uint64_t bytes : {99u, 100u, 101u}) {
    minimum_rate rate(100, 5s, 30s);
    rate.start(start);
    auto now = start;
    int seconds = 0;
    while (seconds < 10000 && rate.due() > now + 1s) {
      now += 1s;
      rate.progress(bytes, now);
      ++seconds;
    }
    CHECK((seconds == 10000) == (bytes >= 100));
  }
}

TEST_CASE("without a minimum rate, only the longest pause limits the client, from the last byte on") {
  minimum_rate rate(0, 5s, 30s);
  rate.start(start);
  CHECK(rate.due() == start + 30s);
  rate.progress(1, start + 20s);
  CHECK(rate.due() == start + 50s);
}

TEST_CASE("the grace period is at most the longest pause") {
  minimum_rate rate(100, 5s, 1s);
  rate.start(start);
  CHECK(rate.due() == start + 1s);
  CHECK(rate.stopped(start + 1s));
}
