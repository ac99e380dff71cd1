// SPDX-License-Identifier: MIT

#include <kino/run_permits.hpp>

#include "../support/await.hpp"
#include "../support/in_child.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <thread>

using namespace std::chrono_literals;
using kino::run_permits;
using waited = run_permits::waited;

namespace {

// Permits over work that is a number; a slice so long that nothing expires, unless asked for.
struct office {
  std::atomic<int> work{0};
  run_permits permits;

  office(std::size_t workers, std::uint32_t concurrency, std::chrono::milliseconds slice = 1h)
      : permits({.workers = workers, .concurrency = concurrency, .slice = slice},
                [this] { return work.load() > 0; }) {}
  run_permits::permit& operator[](std::size_t i) { return permits[i]; }
  void add_work(int more = 1) {
    work += more;
    permits.work_arrived();
  }
  // Acquires and starts on one piece of work.
  void start(std::size_t i) {
    REQUIRE(permits.acquire(permits[i]));
    permits.begin(permits[i]);
  }
};

// A worker that sleeps in `wait`.
struct sleeper {
  std::optional<waited> result;
  std::thread thread;

  sleeper(office& place, std::size_t i) {
    auto const before = place.permits.parked();
    thread = std::thread([&place, i, this] { result = place.permits.wait(place[i]); });
    await([&] { return place.permits.parked() == before + 1; });
  }
  ~sleeper() { static_cast<void>(join()); }
  waited join() {
    if (thread.joinable()) thread.join();
    return *result;
  }
};

}  // namespace

TEST_CASE("as many workers may run as the concurrency says") {
  office place(4, 2);
  CHECK(place.permits.acquire(place[0]));
  CHECK(place.permits.acquire(place[1]));
  CHECK(!place.permits.acquire(place[2]));
  CHECK(place.permits.running() == 2);
  CHECK(place.permits.acquire(place[0]));  // has one already
  CHECK(place.permits.running() == 2);
  place.permits.release(place[0]);
  CHECK(place.permits.acquire(place[2]));
  CHECK(place.permits.running() == 2);
}

TEST_CASE("a concurrency of 0 lets every worker run") {
  office place(100, 0);
  for (std::size_t i = 0; i < 100; ++i) CHECK(place.permits.acquire(place[i]));
  CHECK(place.permits.running() == 100);
}

TEST_CASE("whoever lends lets another one run, and comes back past the limit") {
  office place(2, 1);
  place.start(0);
  CHECK(!place.permits.acquire(place[1]));
  place.permits.lend(place[0]);
  CHECK(place.permits.running() == 0);
  place.start(1);
  place.permits.reclaim(place[0]);
  CHECK(place.permits.running() == 2);

  // Whoever asks first evens it out.
  place.permits.end(place[1]);
  CHECK(!place.permits.acquire(place[1]));
  CHECK(place.permits.running() == 1);
  place.permits.end(place[0]);
  CHECK(place.permits.acquire(place[0]));
  CHECK(place.permits.running() == 1);
}

TEST_CASE("a worker that is there makes no room for one that is on its way") {
  office place(2, 1);
  place.start(0);
  place.permits.lend(place[0]);
  sleeper other(place, 1);
  place.add_work(2);
  CHECK(other.join() == waited::granted);  // ... and may now wait for the GVL of the first
  place.permits.reclaim(place[0]);
  CHECK(place.permits.running() == 2);

  place.permits.end(place[0]);
  CHECK(place.permits.acquire(place[0]));
  // Once it has arrived, there is one too many.
  place.permits.begin(place[1]);
  CHECK(!place.permits.acquire(place[0]));
  CHECK(place.permits.running() == 1);
}

TEST_CASE("lending twice and reclaiming twice counts once") {
  office place(2, 2);
  place.start(0);
  place.permits.lend(place[0]);
  place.permits.lend(place[0]);
  CHECK(place.permits.running() == 0);
  place.permits.reclaim(place[0]);
  place.permits.reclaim(place[0]);
  CHECK(place.permits.running() == 1);
}

TEST_CASE("lending outside a handler and reclaiming what was not lent are ignored") {
  office place(2, 1);
  place.permits.lend(place[0]);
  place.permits.reclaim(place[0]);
  CHECK(place.permits.running() == 0);
  CHECK(place.permits.acquire(place[0]));
  place.permits.lend(place[0]);
  CHECK(place.permits.running() == 1);
  place.permits.begin(place[0]);
  place.permits.reclaim(place[0]);
  CHECK(place.permits.running() == 1);
  place.permits.end(place[0]);
  place.permits.lend(place[0]);
  CHECK(place.permits.running() == 1);
}

TEST_CASE("a worker that leaves in whatever state leaves no count behind") {
  office place(4, 4);
  place.permits.release(place[0]);  // idle
  place.start(1);                   // running
  place.permits.release(place[1]);
  place.start(2);  // lent
  place.permits.lend(place[2]);
  place.permits.release(place[2]);
  place.permits.reclaim(place[2]);  // too late
  {
    sleeper worker(place, 3);  // searching
    place.permits.work_arrived();
    CHECK(worker.join() == waited::granted);
    CHECK(place.permits.running() == 1);
    place.permits.release(place[3]);
  }
  CHECK(place.permits.running() == 0);
  CHECK(place.permits.parked() == 0);
}

TEST_CASE("work wakes a waiting worker, which may run then") {
  office place(1, 1);
  sleeper worker(place, 0);
  place.add_work();
  CHECK(worker.join() == waited::granted);
  CHECK(place.permits.running() == 1);
  CHECK(place.permits.acquire(place[0]));
  CHECK(place.permits.running() == 1);
  CHECK(place.permits.wake_count() == 1);
}

TEST_CASE("a wait gives the permit up") {
  office place(2, 1);
  place.start(0);
  place.permits.end(place[0]);
  sleeper worker(place, 0);
  CHECK(place.permits.running() == 0);
  CHECK(place.permits.acquire(place[1]));
  place.permits.stop();
}

TEST_CASE("a worker does not sleep on work that it may take") {
  office place(1, 1);
  place.work = 1;  // arrived while the wait queue was empty
  CHECK(place.permits.wait(place[0]) == waited::granted);
}

TEST_CASE("several pieces of work wake one worker, and it wakes the next when it begins") {
  office place(3, 3);
  sleeper first(place, 0);
  sleeper second(place, 1);
  sleeper third(place, 2);
  for (int i = 0; i < 5; ++i) place.add_work();
  CHECK(third.join() == waited::granted);
  CHECK(place.permits.wake_count() == 1);
  CHECK(place.permits.parked() == 2);
  place.permits.begin(place[2]);
  CHECK(second.join() == waited::granted);
  CHECK(place.permits.wake_count() == 2);
  place.work = 0;
  place.permits.begin(place[1]);  // no more work: no worker is woken
  CHECK(place.permits.wake_count() == 2);
  CHECK(place.permits.parked() == 1);
  place.permits.stop();
  CHECK(first.join() == waited::stopped);
}

TEST_CASE("the worker that is still warm goes on: only as many take turns as are needed") {
  office place(8, 8);
  std::deque<sleeper> others;
  for (std::size_t i = 0; i < 7; ++i) others.emplace_back(place, i);
  for (int i = 0; i < 100; ++i) {
    sleeper warm(place, 7);
    place.add_work();
    CHECK(warm.join() == waited::granted);
    --place.work;
    place.permits.begin(place[7]);
    place.permits.end(place[7]);
  }
  CHECK(place.permits.parked() == 7);
  place.permits.stop();
}

TEST_CASE("at the limit work wakes nobody, until somebody lends") {
  office place(2, 1);
  place.start(0);
  sleeper worker(place, 1);
  place.add_work();
  CHECK(place.permits.wake_count() == 0);
  place.permits.lend(place[0]);
  CHECK(worker.join() == waited::granted);
}

TEST_CASE("at the limit work wakes nobody, until somebody leaves") {
  office place(2, 1);
  place.start(0);
  sleeper worker(place, 1);
  place.add_work();
  CHECK(place.permits.wake_count() == 0);
  place.permits.end(place[0]);
  place.permits.release(place[0]);
  CHECK(worker.join() == waited::granted);
}

TEST_CASE("whoever waits while there is work gets it") {
  office place(2, 1);
  place.start(0);
  sleeper worker(place, 1);
  place.add_work();
  place.permits.end(place[0]);
  CHECK(place.permits.wait(place[0]) == waited::granted);
  CHECK(place.permits.parked() == 1);
  place.permits.release(place[0]);
  CHECK(worker.join() == waited::granted);
}

TEST_CASE("a worker that was woken for nothing waits again without a trace") {
  office place(1, 1);
  {
    sleeper worker(place, 0);
    place.permits.work_arrived();
    CHECK(worker.join() == waited::granted);
  }
  CHECK(place.permits.running() == 1);
  sleeper again(place, 0);
  CHECK(place.permits.running() == 0);
  place.add_work();
  CHECK(again.join() == waited::granted);
}

TEST_CASE("a deadline and an interruption end a wait without a permit") {
  office place(2, 1);
  CHECK(place.permits.wait(place[0], kino::detail::clock::now() + 1ms) == waited::timed_out);
  place[0].interrupt();
  CHECK(place.permits.wait(place[0]) == waited::interrupted);
  CHECK(place.permits.wait(place[0]) == waited::interrupted);
  place[0].clear_interruption();
  {
    sleeper worker(place, 0);
    place[0].interrupt();
    CHECK(worker.join() == waited::interrupted);
  }
  CHECK(place.permits.parked() == 0);
  CHECK(place.permits.running() == 0);
}

TEST_CASE("stop ends every wait, now and later") {
  office place(3, 1);
  sleeper first(place, 0);
  sleeper second(place, 1);
  place.permits.stop();
  CHECK(first.join() == waited::stopped);
  CHECK(second.join() == waited::stopped);
  CHECK(place.permits.wait(place[2]) == waited::stopped);
  CHECK(place.permits.parked() == 0);
  CHECK(place.permits.running() == 0);
  CHECK(place.permits.acquire(place[0]));  // may look for work once more
}

TEST_CASE("one that computes longer than a slice while work waits stops counting") {
  office place(2, 1, 20ms);
  place.start(0);
  place.work = 1;
  // Nothing but the watcher can end this wait.
  CHECK(place.permits.wait(place[1]) == waited::granted);
  CHECK(place.permits.running() == 1);
  CHECK(place.permits.watcher_wake_count() > 0);

  place.work = 0;
  place.permits.begin(place[1]);
  place.permits.end(place[0]);
  CHECK(!place.permits.acquire(place[0]));
  place.permits.release(place[1]);
  CHECK(place.permits.acquire(place[0]));
  CHECK(place.permits.running() == 1);
}

TEST_CASE("the more compute too long, the longer may the next one") {
  office place(4, 1, 1ms);
  place.start(0);
  place.work = 1;
  CHECK(place.permits.wait(place[1]) == waited::granted);
  // Patience is 6 ticks for the first, 12 for the second, 24 for the third. A wake-up is counted
  // just before its tick, so that one may be missing from the difference.
  for (std::uint64_t patience = 12, next = 2; next < 4; patience *= 2, ++next) {
    auto const before = place.permits.watcher_wake_count();
    place.permits.begin(place[next - 1]);
    CHECK(place.permits.wait(place[next]) == waited::granted);
    CHECK(place.permits.watcher_wake_count() - before >= patience - 1);
  }
  CHECK(place.permits.running() == 1);
}

TEST_CASE("an expired worker lends nothing, and counts again when it comes back") {
  office place(2, 1, 20ms);
  place.start(0);
  place.work = 1;
  CHECK(place.permits.wait(place[1]) == waited::granted);
  place.work = 0;
  place.permits.begin(place[1]);
  place.permits.lend(place[0]);
  CHECK(place.permits.running() == 1);
  place.permits.reclaim(place[0]);
  CHECK(place.permits.running() == 2);
  place.permits.end(place[0]);
  CHECK(!place.permits.acquire(place[0]));
  CHECK(place.permits.running() == 1);
}

TEST_CASE("an expired worker that leaves or waits gives nothing up twice") {
  for (bool leaves : {true, false}) {
    office place(2, 1, 1ms);
    place.start(0);
    place.work = 1;
    CHECK(place.permits.wait(place[1]) == waited::granted);
    place.work = 0;
    place.permits.end(place[0]);
    if (leaves) {
      place.permits.release(place[0]);
    } else {
      CHECK(place.permits.wait(place[0], kino::detail::clock::time_point::min()) ==
            waited::timed_out);
    }
    CHECK(place.permits.running() == 1);
  }
}

TEST_CASE("a woken worker that never arrives does not block the others") {
  office place(3, 1, 1ms);
  {
    sleeper worker(place, 0);
    place.add_work();
    CHECK(worker.join() == waited::granted);
  }
  // Worker 0 searches and gets no further.
  CHECK(place.permits.wait(place[1]) == waited::granted);
  CHECK(place.permits.running() == 1);
  CHECK(place.permits.acquire(place[1]));
  place.permits.begin(place[1]);
  // It arrives late, works uncounted, and takes nothing away by that.
  place.permits.begin(place[0]);
  CHECK(place.permits.running() == 1);
  place.work = 0;
  place.permits.end(place[0]);
  place.permits.release(place[0]);
  CHECK(place.permits.running() == 1);
}

// Nothing is pushed and no worker goes to sleep after the wake-up: only the wake-up can call the watcher.
TEST_CASE("a woken worker that never arrives does not keep the one piece of work") {
  for (std::uint32_t concurrency : {1u, 2u}) {
    office place(2, concurrency, 1ms);
    sleeper first(place, 0);
    sleeper second(place, 1);
    place.add_work();
    CHECK(first.join() == waited::granted);
    CHECK(second.join() == waited::granted);
    CHECK(place.permits.running() == 1);
  }
}

TEST_CASE("nobody loses a permit while no work waits") {
  office clock(2, 1, 1ms);  // its watcher ticks: time, counted in events
  clock.work = 1;
  clock.start(0);
  office place(2, 1, 1ms);
  place.start(0);
  place.permits.work_arrived();  // false alarm
  static_cast<void>(clock.permits.wait(clock[1]));
  auto const start = clock.permits.watcher_wake_count();
  await([&] { return clock.permits.watcher_wake_count() > start + 20; });
  CHECK(!place.permits.acquire(place[1]));
  CHECK(place.permits.running() == 1);
}

TEST_CASE("the watcher sleeps while no work waits") {
  std::atomic<int> work{0};
  std::atomic<int> watcher_found_nothing{0};
  auto const test_thread = std::this_thread::get_id();
  run_permits permits({.workers = 2, .concurrency = 1, .slice = 1ms}, [&] {
    bool const waits = work.load() > 0;
    if (!waits && std::this_thread::get_id() != test_thread) ++watcher_found_nothing;
    return waits;
  });
  // It has never been called.
  REQUIRE(permits.acquire(permits[0]));
  permits.begin(permits[0]);
  CHECK(permits.watcher_wake_count() == 0);

  // It is called, serves, and finds nothing more: once by its tick, once before it sleeps.
  work = 1;
  CHECK(permits.wait(permits[1]) == waited::granted);
  work = 0;
  await([&] { return watcher_found_nothing == 2; });
  auto const then = permits.watcher_wake_count();

  // Another one's ticks stand for time that passes.
  office clock(2, 1, 1ms);
  clock.start(0);
  clock.work = 1;
  static_cast<void>(clock.permits.wait(clock[1]));
  auto const start = clock.permits.watcher_wake_count();
  await([&] { return clock.permits.watcher_wake_count() > start + 20; });
  CHECK(permits.watcher_wake_count() == then);
  CHECK(watcher_found_nothing == 2);

  // And it wakes again when it is needed.
  permits.begin(permits[1]);
  permits.release(permits[0]);
  work = 1;
  CHECK(permits.wait(permits[0]) == waited::granted);
  CHECK(permits.watcher_wake_count() > then);
}

TEST_CASE("permits are destroyed while the watcher watches") {
  for (int i = 0; i < 100; ++i) {
    office place(2, 1, 1ms);
    place.start(0);
    place.work = 1;
    static_cast<void>(place.permits.wait(place[1], kino::detail::clock::time_point::min()));
  }
}

TEST_CASE("a forked child can destroy permits on which others sleep in the parent") {
  for (int round = 0; round < 5; ++round) {
    auto place = std::make_unique<office>(2, 1);
    sleeper worker(*place, 0);
    CHECK(in_child([&] {
      place.reset();
      return true;
    }));
    place->permits.stop();
    CHECK(worker.join() == waited::stopped);
  }
}

TEST_CASE("an option out of its range is refused") {
  auto const make = [](run_permits::options chosen) { run_permits{chosen, [] { return false; }}; };
  for (auto slice : {0ms, -1ms, std::chrono::milliseconds::min()}) {
    CAPTURE(slice.count());
    CHECK_THROWS_WITH_AS(make({.slice = slice}),
                         "kino: run_permits needs a slice of at least 1 ms",
                         std::invalid_argument);
  }
  for (std::size_t workers : {std::size_t{0}, std::size_t{1} << 20, ~std::size_t{0}}) {
    CAPTURE(workers);
    CHECK_THROWS_AS(make({.workers = workers}), std::invalid_argument);
  }
}

TEST_CASE("the longest slice that a duration can say is endless") {
  office place(2, 1, std::chrono::milliseconds::max());
  place.add_work(2);
  place.start(0);
  sleeper other(place, 1);
  place.add_work();  // calls the watcher
  CHECK(place.permits.watcher_wake_count() == 0);
  place.permits.stop();
  CHECK(other.join() == waited::stopped);
}

TEST_CASE("a forked child is told that permits are its parent's, and can end what it inherited") {
  office place(2, 1);
  sleeper asleep(place, 1);
  auto& mine = place[0];
  auto const forked = [&](auto member) {
    return in_child([&] { return says_forked("run_permits", member); });
  };
  CHECK(forked([&] { static_cast<void>(place.permits.acquire(mine)); }));
  CHECK(forked([&] { static_cast<void>(place.permits.wait(mine)); }));
  CHECK(forked([&] { static_cast<void>(place.permits.wait(mine, kino::detail::clock::now())); }));
  CHECK(forked([&] { place.permits.work_arrived(); }));
  CHECK(in_child([&] {
    place.permits.release(mine);
    place.permits.lend(mine);
    place.permits.reclaim(mine);
    place.permits.stop();
    return true;
  }));
  place.permits.stop();
  CHECK(asleep.join() == waited::stopped);
}
