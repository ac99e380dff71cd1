// SPDX-License-Identifier: MIT

#include <kino/condition.hpp>

#include "../support/await.hpp"
#include "../support/in_child.hpp"
#include "../support/private_access.hpp"
#include "../support/waiting_threads.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

KINO_TEST_REACH(spot_of, waiter_of_condition, spot_)

TEST_CASE("notify_all wakes every thread whose predicate is true, and the others continue to wait") {
  kino::condition changed;
  std::atomic<int> stage{0};
  std::atomic<int> past{0};
  std::vector<std::thread> threads;
  for (int wanted : {1, 1, 2}) {
    threads.emplace_back([&, wanted] {
      changed.wait([&] { return stage >= wanted; });
      ++past;
    });
  }
  await([&] { return waiting(changed) == 3; });
  changed.notify_all();  // nothing has changed
  stage = 1;
  changed.notify_all();
  await([&] { return past == 2 && waiting(changed) == 1; });
  stage = 2;
  changed.notify_all();
  for (auto& thread : threads) thread.join();
  CHECK(past == 3);
  CHECK(waiting(changed) == 0);
}

TEST_CASE("a predicate that is true is not waited for") {
  kino::condition changed;
  changed.wait([] { return true; });
  CHECK(changed.wait_for(std::chrono::hours(1), [] { return true; }));
}

TEST_CASE("a timeout returns the result of the last evaluation") {
  kino::condition changed;
  CHECK_FALSE(changed.wait_for(std::chrono::milliseconds(1), [] { return false; }));
  CHECK_FALSE(changed.wait_until(std::chrono::steady_clock::time_point::min(), [] { return false; }));
  // True without a notification.
  int evaluated = 0;
  CHECK(changed.wait_until(std::chrono::steady_clock::time_point::min(), [&] { return ++evaluated == 3; }));
  CHECK(waiting(changed) == 0);
}

TEST_CASE("a thread that leaves is not notified, wherever it stands in the list") {
  kino::condition changed;
  std::optional<waiter_of_condition> first(std::in_place, changed);
  std::optional<waiter_of_condition> second(std::in_place, changed);
  std::optional<waiter_of_condition> third(std::in_place, changed);
  second.reset();
  CHECK(waiting(changed) == 2);
  first.reset();
  CHECK(waiting(changed) == 1);
  changed.notify_all();
  CHECK(spot_of(*third).park() == kino::park_result::notified);
  third.reset();
  CHECK(waiting(changed) == 0);
}

TEST_CASE("what a predicate throws ends the wait") {
  kino::condition changed;
  int evaluated = 0;
  auto throws = [&]() -> bool {
    if (++evaluated == 2) throw std::logic_error("in the predicate");
    return false;
  };
  CHECK_THROWS_AS(changed.wait(throws), std::logic_error);
  CHECK(waiting(changed) == 0);
}

TEST_CASE("in a forked child, a wait throws, and a notification has no effect") {
  kino::condition changed;
  std::optional<waiter_of_condition> waits(std::in_place, changed);
  kino::detail::lock changing(mutex_of(changed));
  CHECK(in_child([&] {
    changed.notify_all();
    waits.reset();
    changed.wait([] { return true; });
    return throws_made_before_fork("condition", [&] { changed.wait([] { return false; }); });
  }));
  changing.unlock();
}

TEST_CASE("no change is missed, whenever a thread begins to wait") {
  for (int round = 0; round < 2000; ++round) {
    kino::condition changed;
    std::atomic<bool> done{false};
    auto wait = [&] { changed.wait([&] { return done.load(); }); };
    std::thread one(wait);
    std::thread other(wait);
    done = true;
    changed.notify_all();
    one.join();
    other.join();
  }
}
