// SPDX-License-Identifier: MIT
//
// Which workers are put aside, and when, without Ruby, sockets or threads.

#include "admission/quarantine.hpp"

#include "../support/http_server_test.hpp"
#include "../support/stress.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <set>
#include <utility>
#include <vector>

namespace server = kino::server;
using namespace http_server_test;
using std::chrono::minutes;
using std::chrono::seconds;

namespace {

constexpr minutes limit{10};

// The workers of a server whose I/O thread is the test, and whose time is, too.
class ward final : public server::request_handler {
public:
  ward(std::size_t slots, std::size_t most, server::clock::duration timeout = limit)
      : workers(slots),
        http_(patient_settings(), *this),
        quarantine(http_.first_thread(), {timeout, most}, workers,
                   {.mark =
                        [this](kino::worker_id who, bool on) {
                          if (before_mark) std::exchange(before_mark, nullptr)();
                          return workers.quarantine(who, on);
                        },
                    .put_aside = [this](kino::worker_slots::view const& stuck, std::size_t) { aside.push_back(stuck.id()); },
                    .full = [this](kino::worker_slots::view const&) { ++full; },
                    .none_left = [this](bool now) { none_left.push_back(now); }}) {
  }

  std::size_t join() {
    std::size_t const slot = workers.claim();
    REQUIRE(slot != kino::worker_slots::none);
    return slot;
  }
  std::size_t busy() {
    std::size_t const slot = join();
    workers.began(slot);
    return slot;
  }
  void leave(std::size_t slot) {
    workers.vacate(slot);
    quarantine.left();
  }
  // The real time stands still in comparison, and every call begins with it.
  void pass(server::clock::duration later) { reach(server::clock::now() + later); }
  // The limit of its request is a moment away.
  void nearly_stuck(std::size_t slot) { reach(workers.view_of(slot).since + limit - std::chrono::nanoseconds(1)); }

  kino::worker_slots workers;
  std::vector<kino::worker_id> aside;
  int full = 0;
  std::vector<bool> none_left;
  std::function<void()> before_mark;

private:
  void reach(server::clock::time_point when) {
    quarantine.start();
    io();
    http_.first_thread().deadlines().run(when);
    io();
  }
  void io() {
    while (http_.first_thread().context().poll_one() != 0) {}
    http_.first_thread().context().restart();
  }
  void handle(server::exchange::reply&&) noexcept override {}

  server::http_server http_;

public:
  server::quarantine quarantine;
};

using ids = std::vector<kino::worker_id>;

}  // namespace

TEST_CASE("a worker is put aside when its request is as old as the limit, and not before") {
  ward all(2, 1);
  static_cast<void>(all.join());
  std::size_t const stuck = all.busy();
  all.nearly_stuck(stuck);
  CHECK(all.aside.empty());
  all.pass(limit + seconds(5));
  CHECK(all.aside == ids{{stuck, 1}});
  CHECK(all.workers.view_of(stuck).quarantined);
  CHECK(all.quarantine.size() == 1);
  all.pass(3 * limit);
  CHECK(all.aside.size() == 1);
  CHECK(all.quarantine.total() == 1);
  CHECK(all.full == 0);
}

TEST_CASE("without a limit no worker is put aside") {
  ward all(1, 1, server::clock::duration::zero());
  static_cast<void>(all.busy());
  all.pass(std::chrono::hours(24));
  CHECK(all.aside.empty());
  CHECK(!all.quarantine.exhausted());
}

TEST_CASE("an idle worker is never put aside, nor one that begins a new request each time") {
  ward all(2, 2);
  static_cast<void>(all.join());
  std::size_t const diligent = all.busy();
  for (int n = 0; n != 5; ++n) {
    all.nearly_stuck(diligent);
    all.workers.finished(diligent);
    all.workers.began(diligent);
  }
  CHECK(all.aside.empty());
}

TEST_CASE("no more than the maximum are put aside, which is said once; when one returns, the next one is") {
  ward all(4, 2);
  for (int n = 0; n != 4; ++n) static_cast<void>(all.busy());
  all.pass(limit + seconds(5));
  CHECK(all.aside.size() == 2);
  CHECK(all.full == 1);
  all.pass(3 * limit);
  CHECK(all.aside.size() == 2);
  CHECK(all.full == 1);
  all.leave(0);
  all.pass(limit + seconds(5));
  CHECK(all.aside == ids{{0, 1}, {1, 1}, {2, 1}});
  CHECK(all.full == 1);
  CHECK(all.quarantine.size() == 2);
  all.leave(1);
  all.leave(2);
  all.pass(limit + seconds(5));
  CHECK(all.aside.size() == 4);
  // All are gone but one; the next time is another time.
  for (int n = 0; n != 3; ++n) static_cast<void>(all.busy());
  all.pass(limit + seconds(5));
  CHECK(all.full == 2);
}

TEST_CASE("the older one of two requests is due first, although both began within a millisecond") {
  // Whatever their ages are, in whole milliseconds.
  for (std::uint32_t seed = 0; seed != stress::scaled(2000); ++seed) {
    CAPTURE(seed);
    stress::dice chance{seed};
    ward all(3, 2);
    for (int n = 0; n != 3; ++n) {
      static_cast<void>(all.busy());
      auto const next = server::clock::now() + std::chrono::microseconds(chance.below(150));
      while (server::clock::now() < next) {}
    }
    all.pass(limit + seconds(5));
    REQUIRE(all.aside == ids{{0, 1}, {1, 1}});
  }
}

TEST_CASE("a mark does not hit the successor of a worker that leaves at that moment") {
  ward all(1, 1);
  std::size_t const slot = all.busy();
  all.before_mark = [&] {
    all.workers.vacate(slot);
    static_cast<void>(all.busy());
  };
  all.pass(limit + seconds(5));
  CHECK(all.aside.empty());
  CHECK(!all.workers.view_of(slot).quarantined);
}

TEST_CASE("a worker that returns at the moment of the mark is not put aside") {
  ward all(1, 1);
  std::size_t const slot = all.busy();
  all.before_mark = [&] { all.workers.finished(slot); };
  all.pass(limit + seconds(5));
  CHECK(all.aside.empty());
  CHECK(!all.workers.view_of(slot).quarantined);
  CHECK(all.quarantine.total() == 0);
}

TEST_CASE("the workers are exhausted when the maximum is put aside and all others are stuck") {
  // This looks at real time.
  ward all(3, 1, std::chrono::milliseconds(1));
  CHECK(!all.quarantine.exhausted());
  for (int n = 0; n != 2; ++n) static_cast<void>(all.busy());
  std::size_t const idle = all.join();
  all.pass(seconds(1));
  CHECK(all.quarantine.size() == 1);
  CHECK(!all.quarantine.exhausted());
  all.workers.began(idle);
  while (all.workers.view_of(idle).busy < std::chrono::milliseconds(2)) {}
  CHECK(all.quarantine.exhausted());
  all.pass(seconds(1));
  CHECK(all.none_left == std::vector{true});
  all.workers.finished(idle);
  CHECK(!all.quarantine.exhausted());
  all.pass(seconds(1));
  CHECK(all.none_left == std::vector{true, false});
}

TEST_CASE("whatever workers do, only those that are stuck are put aside, each once, and no more than the maximum") {
  std::size_t hit = 0;
  for (std::uint32_t seed = 0; seed != stress::scaled(60); ++seed) {
    CAPTURE(seed);
    stress::dice chance{seed};
    constexpr std::size_t slots = 6;
    std::size_t const most = 1 + chance.below(3);
    ward all(slots, most);
    std::set<std::pair<std::size_t, std::uint64_t>> seen;
    for (int step = 0; step != 200; ++step) {
      std::size_t const slot = chance.below(slots);
      auto const now = all.workers.view_of(slot);
      if (!now.occupied) {
        if (all.workers.occupied() < slots) static_cast<void>(all.join());
      } else if (now.quarantined || chance.once_in(8)) {
        if (chance.once_in(3)) all.leave(slot);
      } else if (now.in_flight == 0) {
        all.workers.began(slot);
      } else if (chance.once_in(2)) {
        all.workers.finished(slot);
      }
      if (!chance.once_in(10)) continue;
      std::size_t const before = all.aside.size();
      std::vector<kino::worker_slots::view> const views = all.workers.snapshot();
      all.pass(limit + seconds(5));  // All that are busy are stuck.
      for (std::size_t i = before; i != all.aside.size(); ++i) {
        kino::worker_id const who = all.aside[i];
        REQUIRE(views[who.index].id() == who);
        REQUIRE(views[who.index].in_flight == 1);
        REQUIRE(seen.insert({who.index, who.generation}).second);
        ++hit;
      }
      REQUIRE(all.quarantine.size() <= most);
      bool const busy_left = std::any_of(views.begin(), views.end(), [&](auto const& view) {
        return view.in_flight != 0 && !all.workers.view_of(view.index).quarantined;
      });
      REQUIRE((!busy_left || all.quarantine.size() == most));
    }
  }
  CHECK(hit > 50);
}
