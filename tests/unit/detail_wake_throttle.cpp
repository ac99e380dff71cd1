// SPDX-License-Identifier: MIT

#include <kino/detail/wake_throttle.hpp>

#include <doctest/doctest.h>

#include <array>

using kino::park_result;
using kino::detail::waiter;
using kino::detail::wake_throttle;
using wake = wake_throttle::wake;

namespace {

void check_counts(wake_throttle const& line, unsigned parked, unsigned searching,
                  unsigned running) {
  auto const now = line.read();
  CHECK(now.parked == parked);
  CHECK(now.searching == searching);
  CHECK(now.running == running);
}

bool notified(waiter& place) {
  return place.spot.park(kino::detail::clock::time_point::min()) == park_result::notified;
}

}  // namespace

TEST_CASE("nobody is woken where nobody sleeps") {
  wake_throttle line;
  CHECK(line.notify() == wake::nobody_parked);
  CHECK(line.wake_count() == 0);
}

TEST_CASE("the one that parked last is woken first, if that is the order") {
  wake_throttle line{wake_throttle::unlimited, wake_throttle::turn::newest};
  std::array<waiter, 3> places;
  for (auto& place : places) line.enter(place, false, false);
  CHECK(line.notify() == wake::woke);
  CHECK(notified(places[2]));
  line.stop_searching(false);
  line.enter(places[2], false, false);
  CHECK(line.leave(places[1]));
  for (std::size_t expected : {std::size_t{2}, std::size_t{0}}) {
    CHECK(line.notify() == wake::woke);
    CHECK(notified(places[expected]));
    line.stop_searching(false);
  }
  check_counts(line, 0, 0, 0);
}

TEST_CASE("one search wakes one thread, the one that has waited longest") {
  wake_throttle line;
  std::array<waiter, 3> places;
  for (auto& place : places) line.enter(place, false, false);
  check_counts(line, 3, 0, 0);

  CHECK(line.notify() == wake::woke);
  for (int i = 0; i < 5; ++i) CHECK(line.notify() == wake::already_searching);
  check_counts(line, 2, 1, 1);
  CHECK(line.wake_count() == 1);
  CHECK(places[0].granted);
  CHECK(notified(places[0]));
  CHECK(!notified(places[1]));

  line.stop_searching(true);
  check_counts(line, 2, 0, 1);
  CHECK(line.notify() == wake::woke);
  CHECK(notified(places[1]));
  line.stop_searching(false);
  check_counts(line, 1, 0, 1);
  CHECK(line.notify() == wake::woke);
  CHECK(notified(places[2]));
  CHECK(line.wake_count() == 3);
}

TEST_CASE("nobody is woken past the limit") {
  wake_throttle line{2};
  CHECK(line.limit() == 2);
  waiter place;
  line.enter(place, false, false);
  CHECK(line.try_run());
  CHECK(line.try_run());
  CHECK(!line.try_run());
  CHECK(line.notify() == wake::at_limit);
  line.stop_running();
  CHECK(line.notify() == wake::woke);
  check_counts(line, 0, 1, 2);
}

TEST_CASE("a searcher that goes to sleep again ends its search and gives up its place") {
  wake_throttle line{1};
  waiter place;
  line.enter(place, false, false);
  CHECK(line.notify() == wake::woke);
  CHECK(notified(place));
  line.enter(place, true, true);
  check_counts(line, 1, 0, 0);
  CHECK(!place.granted);
  CHECK(line.leave(place));
  check_counts(line, 0, 0, 0);
}

TEST_CASE("a waiter leaves from any position in the line") {
  for (std::size_t gone = 0; gone < 3; ++gone) {
    CAPTURE(gone);
    wake_throttle line;
    std::array<waiter, 3> places;
    for (auto& place : places) line.enter(place, false, false);
    CHECK(line.leave(places[gone]));
    check_counts(line, 2, 0, 0);
    for (std::size_t i = 0; i < 3; ++i) {
      if (i == gone) continue;
      CHECK(line.notify() == wake::woke);
      CHECK(places[i].granted);
      line.stop_searching(false);
    }
    CHECK(!places[gone].granted);
    CHECK(line.notify() == wake::nobody_parked);
  }
}

TEST_CASE("whoever leaves after being woken learns it, and no notification stays behind") {
  wake_throttle line;
  waiter place;
  line.enter(place, false, false);
  CHECK(line.notify() == wake::woke);
  CHECK(!line.leave(place));
  CHECK(place.granted);
  CHECK(!notified(place));
  check_counts(line, 0, 1, 1);
}

TEST_CASE("a release wakes everyone and grants nothing") {
  wake_throttle line{1};
  std::array<waiter, 3> places;
  for (auto& place : places) line.enter(place, false, false);
  line.release_all();
  check_counts(line, 0, 0, 0);
  CHECK(line.wake_count() == 3);
  for (auto& place : places) {
    CHECK(!place.granted);
    CHECK(notified(place));
  }
  line.enter(places[0], false, false);
  line.release_all();
  CHECK(!line.leave(places[0]));
  CHECK(!places[0].granted);
}

TEST_CASE("a searcher takes no place from those who are there") {
  wake_throttle line{1};
  waiter other;
  line.enter(other, false, false);
  CHECK(line.notify() == wake_throttle::wake::woke);
  check_counts(line, 0, 1, 1);
  CHECK(line.try_run());
  CHECK(!line.over_limit());
  CHECK(!line.try_step_back());
  CHECK(!line.try_run());
  line.stop_searching(true);
  CHECK(line.over_limit());
  CHECK(line.try_step_back());
  check_counts(line, 0, 0, 1);
}

TEST_CASE("running past the limit is stepped back from, and not below it") {
  wake_throttle line{1};
  CHECK(line.try_run());
  CHECK(!line.over_limit());
  CHECK(!line.try_step_back());
  line.run_anyway();
  line.run_anyway();
  CHECK(line.over_limit());
  check_counts(line, 0, 0, 3);
  CHECK(line.try_step_back());
  CHECK(line.try_step_back());
  CHECK(!line.try_step_back());
  check_counts(line, 0, 0, 1);
}

TEST_CASE("a line without a limit lets a million run") {
  wake_throttle line;
  CHECK(line.limit() == wake_throttle::unlimited);
  for (int i = 0; i < 1000; ++i) CHECK(line.try_run());
  check_counts(line, 0, 0, 1000);
}
