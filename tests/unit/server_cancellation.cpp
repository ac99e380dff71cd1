// SPDX-License-Identifier: MIT
//
// Cancellations: a request is cancelled or finished, never both, and every thread that waits for that learns of it.

#include "http/cancellation.hpp"

#include "../support/stress.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace server = kino::server;

TEST_CASE("a cancellation is settled once") {
  server::cancellation request;
  CHECK(!request.settled());
  CHECK(request.cancel());
  CHECK(!request.finish());
  CHECK(!request.cancel());
  CHECK(request.cancelled());
  request.reset();
  CHECK(!request.settled());
  CHECK(request.finish());
  CHECK(!request.cancel());
  CHECK(request.settled());
  CHECK(!request.cancelled());
}

TEST_CASE("threads that wait learn of the one thing that has happened") {
  std::uint32_t const rounds = stress::scaled(20'000);
  server::cancellation request;
  for (std::uint32_t round = 0; round < rounds; ++round) {
    std::atomic<int> settled{0};
    std::atomic<int> told{0};
    std::vector<std::thread> threads;
    threads.emplace_back([&] { settled += request.cancel(); });
    threads.emplace_back([&] { settled += request.finish(); });
    threads.emplace_back([&] {
      request.changes().wait([&] { return request.settled(); });
      ++told;
    });
    for (std::thread& each : threads) each.join();
    REQUIRE(settled == 1);
    REQUIRE(told == 1);
    request.reset();
  }
}
