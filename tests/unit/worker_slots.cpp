// SPDX-License-Identifier: MIT

#include <kino/worker_slots.hpp>

#include "../support/in_child.hpp"
#include "../support/private_access.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

KINO_TEST_REACH(mutex_of, kino::worker_slots, mutex_)

TEST_CASE("a worker gets the lowest free slot, or none if all are occupied") {
  kino::worker_slots slots{3};
  CHECK(slots.size() == 3);
  CHECK(slots.claim() == 0);
  CHECK(slots.claim() == 1);
  CHECK(slots.claim() == 2);
  CHECK(slots.claim() == kino::worker_slots::none);
  slots.vacate(1);
  slots.vacate(0);
  CHECK(slots.claim() == 0);
  CHECK(slots.claim() == 1);
}

TEST_CASE("a view shows whether a slot is occupied and how many requests are in flight") {
  kino::worker_slots slots{2};
  auto const mine = slots.claim();
  auto view = slots.view_of(mine);
  CHECK(view.index == mine);
  CHECK(view.occupied);
  CHECK(view.in_flight == 0);
  CHECK(view.served == 0);
  CHECK(view.workers == 1);
  CHECK(view.busy.count() == 0);
  CHECK(view.since.time_since_epoch().count() == 0);

  slots.began(mine);
  slots.began(mine);
  view = slots.view_of(mine);
  CHECK(view.in_flight == 2);
  CHECK(view.busy.count() >= 0);
  CHECK(view.busy < std::chrono::hours(1));
  CHECK(view.since <= std::chrono::steady_clock::now());
  CHECK(slots.view_of(mine).since == view.since);
  slots.finished(mine);
  slots.finished(mine);
  view = slots.view_of(mine);
  CHECK(view.in_flight == 0);
  CHECK(view.served == 2);
  CHECK(view.busy.count() == 0);
}

TEST_CASE("a successor continues the counts and inherits no requests in flight") {
  kino::worker_slots slots{1};
  auto const first = slots.claim();
  slots.began(first);
  slots.finished(first);
  slots.began(first);
  CHECK(slots.quarantine(slots.view_of(first).id(), true));
  slots.vacate(first);
  auto view = slots.view_of(first);
  CHECK(!view.occupied);
  CHECK(!view.quarantined);
  CHECK(view.in_flight == 0);

  CHECK(slots.claim() == first);
  view = slots.view_of(first);
  CHECK(view.occupied);
  CHECK(view.in_flight == 0);
  CHECK(view.served == 1);
  CHECK(view.workers == 2);
}

TEST_CASE("a quarantined worker keeps its slot until it leaves") {
  kino::worker_slots slots{1};
  auto const mine = slots.claim();
  kino::worker_id const id = slots.view_of(mine).id();
  CHECK(slots.quarantine(id, true));
  CHECK(slots.view_of(mine).quarantined);
  CHECK(slots.claim() == kino::worker_slots::none);
  CHECK(slots.quarantine(id, false));
  CHECK(!slots.view_of(mine).quarantined);
}

TEST_CASE("quarantining a worker that has left does not affect its successor") {
  kino::worker_slots slots{1};
  CHECK(!slots.quarantine({0, 0}, true));
  auto const mine = slots.claim();
  kino::worker_id const first = slots.view_of(mine).id();
  CHECK(first == kino::worker_id{0, 1});
  slots.vacate(mine);
  CHECK(!slots.quarantine(first, true));
  CHECK(slots.claim() == mine);
  CHECK(!slots.quarantine(first, true));
  CHECK(!slots.view_of(mine).quarantined);
  CHECK(!slots.quarantine({1, 1}, true));
  CHECK(slots.quarantine(slots.view_of(mine).id(), true));
}

TEST_CASE("a child forked during a claim can use every member") {
  kino::worker_slots slots{3};
  auto const parents = slots.claim();
  mutex_of(slots).lock();  // as if by a thread that is not in the child
  CHECK(in_child([&] {
    auto const mine = slots.claim();
    slots.began(mine);
    bool good = mine != parents && slots.quarantine(slots.view_of(mine).id(), true);
    slots.finished(mine);
    slots.vacate(mine);
    slots.vacate(parents);
    return good && slots.occupied() == 0 && slots.snapshot()[mine].served == 1;
  }));
  mutex_of(slots).unlock();
  CHECK(slots.occupied() == 1);
}

TEST_CASE("a snapshot has every slot in order") {
  kino::worker_slots slots{3};
  static_cast<void>(slots.claim());
  auto const all = slots.snapshot();
  REQUIRE(all.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) CHECK(all[i].index == i);
  CHECK(all[0].occupied);
  CHECK(!all[1].occupied);
  CHECK(kino::worker_slots{0}.snapshot().empty());
}

TEST_CASE("concurrent workers never share a slot, and all served requests are counted") {
  constexpr int threads = 4;
  constexpr int rounds = 2000;
  kino::worker_slots slots{threads};
  std::vector<std::atomic<int>> inside(threads);
  std::atomic<int> shared{0};
  std::atomic<bool> done{false};
  std::jthread observer([&] {
    while (!done) {
      for (auto const& view : slots.snapshot()) {
        if (view.in_flight > 1 || view.busy > std::chrono::hours(1)) ++shared;
      }
    }
  });
  {
    std::vector<std::jthread> workers;
    for (int t = 0; t < threads; ++t) {
      workers.emplace_back([&] {
        for (int i = 0; i < rounds; ++i) {
          auto const mine = slots.claim();
          if (inside[mine].fetch_add(1) != 0) ++shared;
          slots.began(mine);
          slots.finished(mine);
          inside[mine].fetch_sub(1);
          slots.vacate(mine);
        }
      });
    }
  }
  done = true;
  observer.join();
  CHECK(shared == 0);
  std::uint64_t served = 0;
  for (auto const& view : slots.snapshot()) served += view.served;
  CHECK(served == threads * rounds);
}
