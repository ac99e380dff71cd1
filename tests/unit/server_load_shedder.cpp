// SPDX-License-Identifier: MIT
//
// Load shedding, in virtual time.

#include "admission/load_shedder.hpp"

#include "../support/stress.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>

namespace server = kino::server;
using server::load_shedder;
using std::chrono::milliseconds;

namespace {

constexpr milliseconds target{50};
constexpr server::clock::time_point start{std::chrono::hours(1)};

// One worker that needs `work` for each request, and a queue; requests come every `pause`.
struct run {
  std::uint32_t served = 0;
  std::uint32_t refused = 0;
  milliseconds longest{};        // that a served request has waited ...
  milliseconds longest_late{};   // ... in the second half
};

run simulate(load_shedder& shedder, milliseconds pause, milliseconds work, std::uint32_t requests) {
  run all;
  server::clock::time_point free = start;
  for (std::uint32_t n = 0; n != requests; ++n) {
    server::clock::time_point const ready = start + n * pause;
    free = std::max(free, ready);
    auto const waited = std::chrono::duration_cast<milliseconds>(free - ready);
    if (shedder.refuses(waited, free)) {
      ++all.refused;
      continue;
    }
    ++all.served;
    all.longest = std::max(all.longest, waited);
    if (n > requests / 2) all.longest_late = std::max(all.longest_late, waited);
    free += work;
  }
  return all;
}

}  // namespace

TEST_CASE("without a target nothing is refused") {
  load_shedder none{server::clock::duration::zero()};
  CHECK(!none.enabled());
  CHECK(!none.refuses(std::chrono::hours(1), start));
}

TEST_CASE("a server that keeps up refuses nothing, nor does a burst cost anything") {
  load_shedder shedder{target};
  CHECK(simulate(shedder, milliseconds(10), milliseconds(10), 10'000).refused == 0);
  load_shedder burst{target};
  server::clock::time_point now = start;
  CHECK(!burst.refuses(milliseconds(0), now));
  for (int n = 0; n != 19; ++n) {  // shorter than an interval
    now += target;
    CHECK(!burst.refuses(milliseconds(500), now));
  }
  now += target;
  CHECK(!burst.refuses(milliseconds(10), now));
  CHECK(!burst.refuses(milliseconds(500), now + target));
}

TEST_CASE("a queue that stays long is cut, and the rest is served in time") {
  load_shedder shedder{target};
  run const overload = simulate(shedder, milliseconds(10), milliseconds(20), 20'000);
  // As many are served as the worker can.
  CHECK(overload.served > 9'900);
  CHECK(overload.served + overload.refused == 20'000);
  CHECK(overload.longest_late < 20 * target + 2 * target);
  load_shedder none{server::clock::duration::zero()};
  CHECK(simulate(none, milliseconds(10), milliseconds(20), 20'000).longest_late > std::chrono::seconds(100));
}

TEST_CASE("the first request that has waited no longer than the target ends the overload") {
  load_shedder shedder{target};
  CHECK(shedder.refuses(21 * target, start));  // longer than an interval
  CHECK(!shedder.refuses(2 * target, start + milliseconds(1)));
  CHECK(shedder.refuses(3 * target, start + milliseconds(2)));
  CHECK(!shedder.refuses(target, start + milliseconds(3)));
  CHECK(!shedder.refuses(3 * target, start + milliseconds(4)));
}

TEST_CASE("what an interval long ago has shown is forgotten") {
  load_shedder shedder{target};
  CHECK(!shedder.refuses(3 * target, start));
  CHECK(!shedder.refuses(3 * target, start + 10 * target));
  CHECK(!shedder.refuses(3 * target, start + 60 * target));
  load_shedder recent{target};
  CHECK(!recent.refuses(3 * target, start));
  CHECK(recent.refuses(3 * target, start + 21 * target));
}

TEST_CASE("a request that has waited no longer than two targets is never refused") {
  stress::dice chance{7};
  load_shedder shedder{target};
  server::clock::time_point now = start;
  std::uint32_t refused = 0;
  for (std::uint32_t n = 0; n != stress::scaled(100'000); ++n) {
    now += milliseconds(chance.below(40));
    milliseconds const waited{chance.once_in(2000) ? chance.below(50) : 60 + chance.below(400)};
    bool const no = shedder.refuses(waited, now);
    REQUIRE((!no || waited > 2 * target));
    refused += no;
  }
  CHECK(refused > 0);
}
