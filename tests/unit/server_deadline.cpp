// SPDX-License-Identifier: MIT
//
// Deadlines are called in order; they can be replaced and cleared, and their functions may change other deadlines.

#include "base/deadline.hpp"

#include "../support/stress.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <vector>

namespace server = kino::server;
using server::deadline;
using server::deadline_queue;

namespace {

server::clock::time_point at(int second) { return server::clock::time_point(std::chrono::seconds(second)); }

// A queue whose wake-ups are recorded.
struct timeline {
  std::vector<server::clock::time_point> wakes;
  deadline_queue queue{[this](server::clock::time_point when) { wakes.push_back(when); }};
};

}  // namespace

TEST_CASE("deadlines are called in order, once each, when they are due") {
  timeline time;
  std::vector<int> called;
  deadline second(time.queue, [&] { called.push_back(2); });
  deadline first(time.queue, [&] { called.push_back(1); });
  second.set(at(2));
  first.set(at(1));
  CHECK(time.queue.next() == at(1));
  time.queue.run(at(0));
  CHECK(called.empty());
  time.queue.run(at(2));
  CHECK(called == std::vector{1, 2});
  CHECK(first.due() == server::clock::time_point::max());
  CHECK(time.queue.next() == server::clock::time_point::max());
  time.queue.run(at(9));
  CHECK(called.size() == 2);
}

TEST_CASE("the thread is woken for the earliest deadline only") {
  timeline time;
  deadline one(time.queue, [] {});
  deadline other(time.queue, [] {});
  one.set(at(5));
  other.set(at(7));
  other.set(at(3));
  CHECK(time.wakes == std::vector{at(5), at(3)});
  other.set(at(8));
  CHECK(time.queue.next() == at(5));
  CHECK(time.wakes.size() == 2);
}

TEST_CASE("a function may set its own deadline again, and clear or destroy others that are due") {
  timeline time;
  int calls = 0;
  std::optional<deadline> again, cleared, destroyed;
  again.emplace(time.queue, [&] {
    ++calls;
    again->set(at(10));
    cleared->clear();
    destroyed.reset();
  });
  cleared.emplace(time.queue, [&] { calls += 100; });
  destroyed.emplace(time.queue, [&] { calls += 100; });
  again->set(at(1));
  cleared->set(at(2));
  destroyed->set(at(2));
  std::size_t const wakes = time.wakes.size();
  time.queue.run(at(3));
  CHECK(calls == 1);
  CHECK(again->due() == at(10));
  CHECK(time.wakes.size() == wakes);  // The caller of run asks for the next one.
  CHECK(time.queue.next() == at(10));
}

TEST_CASE("a function that sets a deadline for no later a time than its own is called once in a run") {
  timeline time;
  int calls = 0;
  std::optional<deadline> again, other;
  other.emplace(time.queue, [&] { calls += 100; });
  again.emplace(time.queue, [&] {
    ++calls;
    again->set(at(1));
    other->set(at(9));
  });
  again->set(at(1));
  time.queue.run(at(9));
  CHECK(calls == 101);
  CHECK(time.queue.next() > at(9));
  CHECK(time.queue.next() < at(10));
  time.queue.run(at(10));
  CHECK(calls == 102);  // Its own time is now later than that of the other.
  again->set(at(3));  // Outside a run it is what was said.
  CHECK(again->due() == at(3));
}

TEST_CASE("a deadline that is not set may outlive its queue") {
  std::unique_ptr<deadline> outlives;
  {
    timeline time;
    outlives = std::make_unique<deadline>(time.queue, [] {});
    outlives->set(at(1));
    outlives->clear();
  }
  outlives.reset();
  CHECK(!outlives);
}

TEST_CASE("random operations agree with a list of times") {
  stress::dice chance(1);
  timeline time;
  std::vector<std::unique_ptr<deadline>> all;
  std::map<std::size_t, int> expected;
  std::vector<std::size_t> called;
  for (std::size_t i = 0; i < 20; ++i) {
    all.push_back(std::make_unique<deadline>(time.queue, [&called, i] { called.push_back(i); }));
  }
  int now = 0;
  for (int step = 0; step < 20'000; ++step) {
    std::size_t const which = chance.below(20);
    switch (chance.below(4)) {
      case 0:
      case 1:
        expected[which] = now + 1 + static_cast<int>(chance.below(50));
        all[which]->set(at(expected[which]));
        break;
      case 2:
        expected.erase(which);
        all[which]->clear();
        break;
      default: {
        now += static_cast<int>(chance.below(8));
        called.clear();
        time.queue.run(at(now));
        for (std::size_t i = 1; i < called.size(); ++i) REQUIRE(expected[called[i - 1]] <= expected[called[i]]);
        for (std::size_t const one : called) {
          REQUIRE(expected.at(one) <= now);
          expected.erase(one);
        }
        for (auto const& [one, due] : expected) REQUIRE(due > now);
      }
    }
    int earliest = 0;
    for (auto const& [one, due] : expected) earliest = earliest == 0 ? due : std::min(earliest, due);
    REQUIRE(time.queue.next() == (expected.empty() ? server::clock::time_point::max() : at(earliest)));
  }
}
