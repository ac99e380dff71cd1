// SPDX-License-Identifier: MIT

#include <kino/parker.hpp>

#include "../support/await.hpp"
#include "../support/in_child.hpp"
#include "../support/private_access.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <limits>
#include <memory>
#include <thread>

using steady = kino::detail::clock;
using kino::park_result;
using kino::parker;

KINO_TEST_REACH(sleeping, parker, sleeping_)
KINO_TEST_REACH(mutex_of, parker, mutex_)

namespace {

void await_sleep(parker& spot) {
  await([&] {
    kino::detail::lock guard(mutex_of(spot));
    return sleeping(spot);
  });
}

}  // namespace

TEST_CASE("a notification ends a sleep") {
  parker spot;
  park_result result = park_result::timed_out;
  std::thread sleeper([&] { result = spot.park(std::nullopt); });
  await_sleep(spot);
  spot.notify();
  sleeper.join();
  CHECK(result == park_result::notified);
}

TEST_CASE("an interruption ends a sleep") {
  parker spot;
  park_result result = park_result::timed_out;
  std::thread sleeper([&] { result = spot.park(std::nullopt); });
  await_sleep(spot);
  spot.interrupt();
  sleeper.join();
  CHECK(result == park_result::interrupted);
}

TEST_CASE("a park ends at its deadline, immediately if it has passed") {
  parker spot;
  CHECK(spot.park(steady::now() + std::chrono::milliseconds(1)) == park_result::timed_out);
  CHECK(spot.park(steady::now() - std::chrono::hours(1)) == park_result::timed_out);
  CHECK(spot.park(steady::time_point::min()) == park_result::timed_out);
}

TEST_CASE("a park ends after its timeout, and the longest timeout never expires") {
  parker spot;
  CHECK(spot.park_for(std::chrono::milliseconds(1)) == park_result::timed_out);
  CHECK(spot.park_for(std::chrono::hours(-1)) == park_result::timed_out);
  spot.notify();
  CHECK(spot.park_for(std::chrono::nanoseconds::max()) == park_result::notified);
  park_result result = park_result::timed_out;
  std::thread sleeper([&] { result = spot.park_for(std::chrono::nanoseconds::max()); });
  await_sleep(spot);
  spot.notify();
  sleeper.join();
  CHECK(result == park_result::notified);
}

TEST_CASE("an earlier notification ends the next park, once") {
  parker spot;
  spot.notify();
  spot.notify();
  CHECK(spot.park(std::nullopt) == park_result::notified);
  CHECK(spot.park(steady::now()) == park_result::timed_out);
}

TEST_CASE("an earlier interruption ends every park until it is cleared") {
  parker spot;
  spot.interrupt();
  CHECK(spot.park(std::nullopt) == park_result::interrupted);
  CHECK(spot.park(std::nullopt) == park_result::interrupted);
  spot.clear_interruption();
  CHECK(spot.park(steady::now()) == park_result::timed_out);
}

TEST_CASE("a notification takes precedence over an interruption, which remains") {
  parker spot;
  spot.interrupt();
  spot.notify();
  CHECK(spot.park(std::nullopt) == park_result::notified);
  CHECK(spot.park(std::nullopt) == park_result::interrupted);
}

TEST_CASE("every timeout becomes a deadline or none") {
  using seconds = std::chrono::duration<double>;
  using kino::detail::deadline_after;
  using limits = std::numeric_limits<double>;
  auto const now = kino::detail::clock::now();
  for (seconds patience : {seconds(limits::quiet_NaN()), seconds(-1), seconds(-limits::infinity())}) {
    auto const until = deadline_after(patience);
    REQUIRE(until);
    CHECK(*until >= now);
    CHECK(*until <= kino::detail::clock::now());
  }
  CHECK(!deadline_after(seconds(limits::infinity())));
  CHECK(!deadline_after(std::chrono::years::max()));
  CHECK(!deadline_after(std::chrono::nanoseconds::max()));
  CHECK(deadline_after(std::chrono::years::min()));
}

TEST_CASE("a notification or interruption takes precedence over an expired deadline") {
  parker spot;
  spot.notify();
  CHECK(spot.park(steady::time_point::min()) == park_result::notified);
  spot.interrupt();
  CHECK(spot.park(steady::time_point::min()) == park_result::interrupted);
}

TEST_CASE("a consumed notification ends no park") {
  parker spot;
  spot.notify();
  spot.consume_notification();
  CHECK(spot.park(steady::now()) == park_result::timed_out);
}

TEST_CASE("a forked child can destroy a parker in which a thread of its parent sleeps") {
  auto spot = std::make_unique<parker>();
  std::thread sleeper([&] { static_cast<void>(spot->park()); });
  await_sleep(*spot);
  CHECK(in_child([&] {
    spot.reset();
    return true;
  }));
  spot->notify();
  sleeper.join();
}

TEST_CASE("a parker may be destroyed as soon as its park has returned") {
  for (int i = 0; i < 2000; ++i) {
    auto spot = std::make_unique<parker>();
    parker& seen = *spot;
    std::thread waker([&seen] { seen.notify(); });
    CHECK(spot->park(std::nullopt) == park_result::notified);
    spot.reset();
    waker.join();
  }
}
