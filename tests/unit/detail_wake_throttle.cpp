// SPDX-License-Identifier: MIT

#include <kino/detail/wake_throttle.hpp>

#include <doctest/doctest.h>

#include <array>

using kino::park_result;
using kino::detail::waiter;
using kino::detail::wake_throttle;
using wake = wake_throttle::wake;

namespace {

void check_counts(wake_throttle const& throttle, unsigned parked, unsigned searching,
                  unsigned running) {
  auto const now = throttle.read();
  CHECK(now.parked == parked);
  CHECK(now.searching == searching);
  CHECK(now.running == running);
}

bool notified(waiter& place) {
  return place.spot.park(kino::detail::clock::time_point::min()) == park_result::notified;
}

}  // namespace

TEST_CASE("without a parked thread, notify wakes none") {
  wake_throttle throttle;
  CHECK(throttle.notify() == wake::nobody_parked);
  CHECK(throttle.wake_count() == 0);
}

TEST_CASE("with the order newest, the thread that parked last is woken first") {
  wake_throttle throttle{wake_throttle::unlimited, wake_throttle::turn::newest};
  std::array<waiter, 3> places;
  for (auto& place : places) throttle.enter(place, false, false);
  CHECK(throttle.notify() == wake::woke);
  CHECK(notified(places[2]));
  throttle.stop_searching(false);
  throttle.enter(places[2], false, false);
  CHECK(throttle.leave(places[1]));
  for (std::size_t expected : {std::size_t{2}, std::size_t{0}}) {
    CHECK(throttle.notify() == wake::woke);
    CHECK(notified(places[expected]));
    throttle.stop_searching(false);
  }
  check_counts(throttle, 0, 0, 0);
}

TEST_CASE("only one thread is woken to search, the one that has waited longest") {
  wake_throttle throttle;
  std::array<waiter, 3> places;
  for (auto& place : places) throttle.enter(place, false, false);
  check_counts(throttle, 3, 0, 0);

  CHECK(throttle.notify() == wake::woke);
  for (int i = 0; i < 5; ++i) CHECK(throttle.notify() == wake::already_searching);
  check_counts(throttle, 2, 1, 1);
  CHECK(throttle.wake_count() == 1);
  CHECK(places[0].granted);
  CHECK(notified(places[0]));
  CHECK(!notified(places[1]));

  throttle.stop_searching(true);
  check_counts(throttle, 2, 0, 1);
  CHECK(throttle.notify() == wake::woke);
  CHECK(notified(places[1]));
  throttle.stop_searching(false);
  check_counts(throttle, 1, 0, 1);
  CHECK(throttle.notify() == wake::woke);
  CHECK(notified(places[2]));
  CHECK(throttle.wake_count() == 3);
}

TEST_CASE("at the limit, notify wakes no thread") {
  wake_throttle throttle{2};
  CHECK(throttle.limit() == 2);
  waiter place;
  throttle.enter(place, false, false);
  CHECK(throttle.try_run());
  CHECK(throttle.try_run());
  CHECK(!throttle.try_run());
  CHECK(throttle.notify() == wake::at_limit);
  throttle.stop_running();
  CHECK(throttle.notify() == wake::woke);
  check_counts(throttle, 0, 1, 2);
}

TEST_CASE("a searcher that parks again ends its search and stops running") {
  wake_throttle throttle{1};
  waiter place;
  throttle.enter(place, false, false);
  CHECK(throttle.notify() == wake::woke);
  CHECK(notified(place));
  throttle.enter(place, true, true);
  check_counts(throttle, 1, 0, 0);
  CHECK(!place.granted);
  CHECK(throttle.leave(place));
  check_counts(throttle, 0, 0, 0);
}

TEST_CASE("a waiter can leave from any position in the queue") {
  for (std::size_t gone = 0; gone < 3; ++gone) {
    CAPTURE(gone);
    wake_throttle throttle;
    std::array<waiter, 3> places;
    for (auto& place : places) throttle.enter(place, false, false);
    CHECK(throttle.leave(places[gone]));
    check_counts(throttle, 2, 0, 0);
    for (std::size_t i = 0; i < 3; ++i) {
      if (i == gone) continue;
      CHECK(throttle.notify() == wake::woke);
      CHECK(places[i].granted);
      throttle.stop_searching(false);
    }
    CHECK(!places[gone].granted);
    CHECK(throttle.notify() == wake::nobody_parked);
  }
}

TEST_CASE("leave reports a wake-up that came before it, and no notification remains") {
  wake_throttle throttle;
  waiter place;
  throttle.enter(place, false, false);
  CHECK(throttle.notify() == wake::woke);
  CHECK(!throttle.leave(place));
  CHECK(place.granted);
  CHECK(!notified(place));
  check_counts(throttle, 0, 1, 1);
}

TEST_CASE("release_all wakes every thread without a grant") {
  wake_throttle throttle{1};
  std::array<waiter, 3> places;
  for (auto& place : places) throttle.enter(place, false, false);
  throttle.release_all();
  check_counts(throttle, 0, 0, 0);
  CHECK(throttle.wake_count() == 3);
  for (auto& place : places) {
    CHECK(!place.granted);
    CHECK(notified(place));
  }
  throttle.enter(places[0], false, false);
  throttle.release_all();
  CHECK(!throttle.leave(places[0]));
  CHECK(!places[0].granted);
}

TEST_CASE("a searcher that has not arrived does not displace a running thread") {
  wake_throttle throttle{1};
  waiter other;
  throttle.enter(other, false, false);
  CHECK(throttle.notify() == wake_throttle::wake::woke);
  check_counts(throttle, 0, 1, 1);
  CHECK(throttle.try_run());
  CHECK(!throttle.over_limit());
  CHECK(!throttle.try_step_back());
  CHECK(!throttle.try_run());
  throttle.stop_searching(true);
  CHECK(throttle.over_limit());
  CHECK(throttle.try_step_back());
  check_counts(throttle, 0, 0, 1);
}

TEST_CASE("threads over the limit step back until the limit is reached") {
  wake_throttle throttle{1};
  CHECK(throttle.try_run());
  CHECK(!throttle.over_limit());
  CHECK(!throttle.try_step_back());
  throttle.run_anyway();
  throttle.run_anyway();
  CHECK(throttle.over_limit());
  check_counts(throttle, 0, 0, 3);
  CHECK(throttle.try_step_back());
  CHECK(throttle.try_step_back());
  CHECK(!throttle.try_step_back());
  check_counts(throttle, 0, 0, 1);
}

TEST_CASE("without a limit, every thread may run") {
  wake_throttle throttle;
  CHECK(throttle.limit() == wake_throttle::unlimited);
  for (int i = 0; i < 1000; ++i) CHECK(throttle.try_run());
  check_counts(throttle, 0, 0, 1000);
}
