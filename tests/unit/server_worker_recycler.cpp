// SPDX-License-Identifier: MIT
//
// When units are due, and when their workers are dismissed.

#include "admission/worker_recycler.hpp"

#include "../support/stress.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

using kino::server::worker_recycler;

namespace {

// Workers of a server, as its slots see them.
struct crew {
  explicit crew(worker_recycler& of, std::size_t slots) : recycler(of), generations(slots), present(slots) {}

  void join(std::size_t slot, std::size_t unit) {
    recycler.joined({slot, ++generations[slot]}, unit);
    present[slot] = true;
  }
  void leave(std::size_t slot) {
    recycler.left({slot, generations[slot]});
    present[slot] = false;
  }
  // A worker asks for a request and gets one, unless it is dismissed.
  worker_recycler::advice serve(std::size_t slot) {
    auto advice = recycler.take(slot);
    recycler.took(slot);
    return advice;
  }

  worker_recycler& recycler;
  std::vector<std::uint64_t> generations;
  std::vector<bool> present;
};

}  // namespace

TEST_CASE("without a limit no unit is ever due") {
  worker_recycler none({}, 1, 1);
  CHECK(!none.enabled());
  crew workers(none, 1);
  workers.join(0, 0);
  for (int n = 0; n != 1000; ++n) CHECK(!workers.serve(0).due);
}

TEST_CASE("a unit is due once, and dismissed when all workers of its successor serve") {
  worker_recycler recycler({.max_requests = 4}, 5, 2);
  crew workers(recycler, 5);
  workers.join(0, 0);
  workers.join(1, 0);
  for (int n = 0; n != 2; ++n) {
    CHECK(!workers.serve(0).due);
    CHECK(!workers.serve(1).due);
  }
  CHECK(workers.serve(1).due == 0);  // the two have taken 4 together
  CHECK(!workers.serve(0).due);
  recycler.replace(0, 1, 2);
  workers.join(2, 1);
  CHECK(workers.serve(2).to_be_dismissed.empty());
  CHECK(workers.serve(2).to_be_dismissed.empty());
  workers.join(3, 1);
  CHECK(workers.serve(3).to_be_dismissed == std::vector<kino::worker_id>{{0, 1}, {1, 1}});
  CHECK(workers.serve(3).to_be_dismissed.empty());
  // The successor is due when the former unit has left.
  workers.leave(0);
  CHECK(!workers.serve(2).due);
  CHECK(!workers.serve(0).due);
  workers.leave(1);
  CHECK(workers.serve(2).due == 1);
}

TEST_CASE("one unit is replaced after the other") {
  worker_recycler recycler({.max_requests = 1}, 3, 3);
  crew workers(recycler, 3);
  workers.join(0, 0);
  workers.join(1, 1);
  CHECK(!workers.serve(0).due);
  CHECK(!workers.serve(1).due);
  CHECK(workers.serve(1).due == 1);
  CHECK(!workers.serve(0).due);
  recycler.replace(1, 2, 1);
  workers.join(2, 2);
  CHECK(workers.serve(2).to_be_dismissed == std::vector<kino::worker_id>{{1, 1}});
  CHECK(!workers.serve(0).due);
  CHECK(!workers.serve(1).due);  // Its successor serves, but it has not left.
  workers.leave(1);
  CHECK(workers.serve(0).due == 0);
}

TEST_CASE("a unit whose workers have died is a new one, and its replacement dismisses no worker") {
  worker_recycler recycler({.max_requests = 2}, 2, 2);
  crew workers(recycler, 2);
  workers.join(0, 0);
  static_cast<void>(workers.serve(0));
  workers.leave(0);
  workers.join(0, 0);
  CHECK(!workers.serve(0).due);
  CHECK(!workers.serve(0).due);
  CHECK(workers.serve(0).due == 0);
  recycler.replace(0, 1, 1);
  workers.leave(0);  // It dies before its successor is there, in the same slot.
  workers.join(0, 1);
  CHECK(workers.serve(0).to_be_dismissed.empty());
  CHECK(!workers.serve(0).due);
  CHECK(workers.serve(0).due == 1);
}

TEST_CASE("the only unit counts on when its workers have died, and is due once") {
  worker_recycler recycler({.max_requests = 3}, 2, 1);
  crew workers(recycler, 2);
  workers.join(0, 0);
  CHECK(!workers.serve(0).due);
  CHECK(!workers.serve(0).due);
  workers.leave(0);
  workers.join(1, 0);
  CHECK(!workers.serve(1).due);
  CHECK(workers.serve(1).due == 0);
  workers.leave(1);
  workers.join(0, 0);
  for (int n = 0; n != 10; ++n) CHECK(!workers.serve(0).due);
}

TEST_CASE("there is no unit of a number out of range") {
  worker_recycler recycler({.max_requests = 2}, 2, 2);
  recycler.expect(1);
  CHECK_THROWS_AS(recycler.expect(2), std::invalid_argument);
}

TEST_CASE("the jitter is added to the limit of each unit") {
  constexpr std::uint64_t most = 10;
  constexpr std::size_t units = 64;
  worker_recycler recycler({.max_requests = 5, .jitter = most}, units, units, 1);
  crew workers(recycler, units);
  std::vector<bool> seen(most + 1);
  for (std::size_t unit = 0; unit != units; ++unit) {
    workers.join(unit, unit);
    std::uint64_t taken = 0;
    while (!workers.serve(unit).due) ++taken;
    REQUIRE(taken >= 5);
    REQUIRE(taken <= 5 + most);
    seen[taken - 5] = true;
    workers.leave(unit);
    // Only this one is due, so nothing else ends the plan.
    recycler.replace(unit, (unit + 1) % units, 0);
    workers.join(unit, unit);
    workers.leave(unit);
  }
  CHECK(std::count(seen.begin(), seen.end(), true) > 5);
}

// A server of 4 units with up to 2 workers each, whose workers serve, die, are replaced and dismissed in any order.
TEST_CASE("in any order of events, at most one unit is replaced at a time and none serves on after its successor") {
  constexpr std::size_t wanted = 4;
  std::uint64_t recycled = 0;
  for (std::uint32_t seed = 0; seed != stress::scaled(300); ++seed) {
    CAPTURE(seed);
    stress::dice chance{seed};
    std::size_t const threads = 1 + chance.below(2);
    std::size_t const slots = (wanted + 1) * threads + 1;
    worker_recycler recycler({.max_requests = 3, .jitter = chance.below(4)}, slots, wanted + 1, seed);
    crew workers(recycler, slots);
    std::vector<std::size_t> unit_of(slots);
    std::vector<bool> dismissed(slots);
    std::vector<std::size_t> vacant;  // units that want one more worker
    std::vector<std::size_t> current;
    for (std::size_t unit = 0; unit != wanted; ++unit) {
      current.push_back(unit);
      vacant.insert(vacant.end(), threads, unit);
    }
    std::size_t spare = wanted;
    auto const count = [&](std::size_t unit) {
      std::size_t found = 0;
      for (std::size_t slot = 0; slot != slots; ++slot) found += workers.present[slot] && unit_of[slot] == unit;
      return found;
    };
    for (int step = 0; step != 400; ++step) {
      std::size_t const slot = chance.below(static_cast<std::uint32_t>(slots));
      if (!workers.present[slot]) {
        if (vacant.empty()) continue;
        unit_of[slot] = vacant.back();
        vacant.pop_back();
        dismissed[slot] = false;
        workers.join(slot, unit_of[slot]);
        continue;
      }
      bool const dies = chance.once_in(20);
      if (dies || dismissed[slot]) {
        workers.leave(slot);
        bool const retired = std::find(current.begin(), current.end(), unit_of[slot]) == current.end();
        if (!retired) vacant.push_back(unit_of[slot]);
        if (retired && count(unit_of[slot]) == 0) {
          spare = unit_of[slot];
          ++recycled;
        }
        continue;
      }
      auto const advice = workers.serve(slot);
      for (kino::worker_id const former : advice.to_be_dismissed) {
        REQUIRE(workers.generations[former.index] == former.generation);
        REQUIRE(workers.present[former.index]);
        REQUIRE(std::find(current.begin(), current.end(), unit_of[former.index]) == current.end());
        dismissed[former.index] = true;
      }
      if (!advice.due) continue;
      REQUIRE(std::find(current.begin(), current.end(), *advice.due) != current.end());
      REQUIRE(count(spare) == 0);
      recycler.replace(*advice.due, spare, threads);
      std::replace(current.begin(), current.end(), *advice.due, spare);
      std::erase(vacant, *advice.due);
      vacant.insert(vacant.begin(), threads, spare);
      spare = *advice.due;
    }
  }
  CHECK(recycled > 100);
}
