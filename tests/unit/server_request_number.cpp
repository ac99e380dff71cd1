// SPDX-License-Identifier: MIT
//
// Numbers of requests: each is found while its request is current, and never again.

#include "rack/request_number.hpp"

#include "rack/request_number.cpp"  // the file is Ruby's layer, but needs no Ruby

#include <doctest/doctest.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <set>

namespace kino::server {
struct worker_context {
  request_number number{*this};
};
}  // namespace kino::server

namespace server = kino::server;
using server::request_number;

TEST_CASE("a number is found while its request is current") {
  server::worker_context one;
  server::worker_context other;
  CHECK(request_number::find(0) == nullptr);
  CHECK(request_number::find(one.number.value()) == nullptr);
  one.number.next();
  other.number.next();
  std::uint64_t const first = one.number.value();
  CHECK(request_number::find(first) == &one);
  CHECK(request_number::find(other.number.value()) == &other);
  one.number.end();
  CHECK(request_number::find(first) == nullptr);
  one.number.next();
  CHECK(request_number::find(first) == nullptr);
  CHECK(request_number::find(one.number.value()) == &one);
  CHECK(request_number::find(UINT64_MAX) == nullptr);
}

TEST_CASE("numbers of workers that have gone are never used again, and their places are") {
  std::set<std::uint64_t> seen;
  for (int round = 0; round != 50; ++round) {
    std::deque<server::worker_context> workers(100);
    for (server::worker_context& each : workers) {
      each.number.next();
      CHECK(seen.insert(each.number.value()).second);
    }
  }
  for (std::uint64_t number : seen) REQUIRE(request_number::find(number) == nullptr);
  std::set<std::uint64_t> places;
  for (std::uint64_t number : seen) places.insert(number % (1 << 20));
  CHECK(places.size() == 100);
}
