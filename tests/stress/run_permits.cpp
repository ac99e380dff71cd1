// SPDX-License-Identifier: MIT
//
// Many workers, few permits and one store, combined as in dispatcher.hpp: handlers lend and reclaim permits at random,
// exceed their slice, leave and rejoin, and are interrupted.

#include <kino/run_permits.hpp>

#include <kino/detail/bounded_store.hpp>

#include "../support/stress.hpp"

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using kino::run_permits;
using kino::detail::bounded_store;
using kino::detail::store_pop;
using kino::detail::store_push;
using stress::item;

namespace {

constexpr std::uint32_t producers = 2;

struct store_with_permits {
  bounded_store<item> store;
  run_permits permits;

  store_with_permits(std::size_t capacity, run_permits::options chosen)
      : store(capacity), permits(chosen, [this] { return store.has_ready(); }) {}

  void close() {
    store.close();
    if (store.finished()) permits.stop();
  }

  // dispatcher::take without Ruby; false once the store is closed and empty.
  bool take(run_permits::permit& mine, item& out) {
    permits.end(mine);
    for (;;) {
      bool const may_run = permits.acquire(mine);
      if (may_run || store.finished()) {
        store_pop const popped = store.try_pop(out);
        if (popped == store_pop::finished) {
          permits.release(mine);
          permits.stop();
          return false;
        }
        if (popped == store_pop::popped) {
          permits.begin(mine);
          if (store.finished()) permits.stop();
          return true;
        }
      }
      if (permits.wait(mine) == run_permits::waited::interrupted) mine.clear_interruption();
    }
  }
};

void handle(store_with_permits& where, run_permits::permit& mine, stress::dice& dice) {
  if (dice.once_in(4)) {  // blocks
    where.permits.lend(mine);
    if (dice.once_in(4)) std::this_thread::yield();
    where.permits.reclaim(mine);
  }
  if (dice.once_in(5000)) {  // computes past its slice
    auto const until = kino::detail::clock::now() + 4ms;
    while (kino::detail::clock::now() < until) {
    }
  }
  if (dice.once_in(1000)) {  // leaves, perhaps while its permit is lent, and comes back
    if (dice.once_in(2)) where.permits.lend(mine);
    where.permits.release(mine);
  }
}

void check_all_handled(std::size_t workers, std::uint32_t concurrency, std::uint32_t each) {
  store_with_permits place(64, {.workers = workers, .concurrency = concurrency, .slice = 1ms});
  auto& permits = place.permits;
  stress::arrivals arrived(producers, each);
  std::atomic<std::uint64_t> pushed{0};
  std::atomic<std::uint32_t> producing{producers};
  std::atomic<bool> done{false};
  stress::watchdog watchdog([&] { return pushed + arrived.total(); }, [&] {
    return "pushed " + std::to_string(pushed) + ", handled " + std::to_string(arrived.total()) +
           ", ready " + std::to_string(place.store.size()) + ", running " +
           std::to_string(permits.running()) + ", parked " + std::to_string(permits.parked()) +
           ", ticks " + std::to_string(permits.watcher_wake_count());
  });

  std::jthread killer([&] {
    stress::dice dice(7);
    while (!done) {
      permits[dice.below(static_cast<std::uint32_t>(workers))].interrupt();
      for (int i = 0; i < 50; ++i) std::this_thread::yield();
    }
  });
  {
    std::vector<std::jthread> all;
    for (std::uint32_t p = 0; p < producers; ++p) {
      all.emplace_back([&, p] {
        for (std::uint32_t i = 0; i < each;) {
          if (place.store.try_push({p, i}) == store_push::pushed) {
            permits.work_arrived();
            pushed.fetch_add(1, std::memory_order_relaxed);
            ++i;
          } else {
            std::this_thread::yield();
          }
        }
        if (--producing == 0) place.close();
      });
    }
    for (std::size_t w = 0; w < workers; ++w) {
      all.emplace_back([&, w] {
        stress::dice dice(static_cast<std::uint32_t>(w) + 1);
        item work;
        while (place.take(permits[w], work)) {
          arrived.note(work);
          handle(place, permits[w], dice);
        }
      });
    }
  }
  done = true;
  killer.join();
  CHECK(arrived.total() == std::uint64_t{producers} * each);
  CHECK(arrived.wrong() == 0);
  CHECK(permits.running() == 0);
  CHECK(permits.parked() == 0);
}

}  // namespace

TEST_CASE("every item is handled once by many workers with one permit") {
  check_all_handled(4, 1, stress::scaled(200'000));
}

TEST_CASE("every item is handled once by many workers with two permits") {
  check_all_handled(16, 2, stress::scaled(400'000));
}

TEST_CASE("every item is handled once by workers without a limit") {
  check_all_handled(4, 0, stress::scaled(200'000));
}

TEST_CASE("permits and stores are destroyed after few items") {
  std::uint32_t const rounds = stress::scaled(1000);
  for (std::uint32_t i = 0; i < rounds; ++i) check_all_handled(3, 1 + i % 2, i % 8);
}
