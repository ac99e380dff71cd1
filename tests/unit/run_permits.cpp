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

// Permits for an amount of work. By default, the slice is so long that no permit expires. The work waits only while a worker
// sleeps, so the watcher counts no ticks while none does: what expires does not depend on how fast the test goes on.
struct fixture {
  std::atomic<int> work{0};
  run_permits permits;

  fixture(std::size_t workers, std::uint32_t concurrency, std::chrono::milliseconds slice = 1h)
      : permits({.workers = workers, .concurrency = concurrency, .slice = slice},
                [this] { return work.load() > 0 && permits.parked() > 0; }) {}
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

// Measures time by the ticks of a watcher for which work always waits.
struct ticking {
  run_permits permits{{.workers = 2, .concurrency = 1, .slice = 1ms}, [] { return true; }};

  ticking() {
    REQUIRE(permits.acquire(permits[0]));
    permits.begin(permits[0]);
    static_cast<void>(permits.wait(permits[1]));
  }
  void await_ticks(std::uint64_t count) {
    auto const start = permits.watcher_wake_count();
    await([&] { return permits.watcher_wake_count() > start + count; });
  }
};

// A worker that sleeps in `wait`.
struct sleeper {
  std::optional<waited> result;
  std::thread thread;

  sleeper(fixture& place, std::size_t i) {
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

TEST_CASE("at most `concurrency` workers may run") {
  fixture place(4, 2);
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
  fixture place(100, 0);
  for (std::size_t i = 0; i < 100; ++i) CHECK(place.permits.acquire(place[i]));
  CHECK(place.permits.running() == 100);
}

TEST_CASE("a lent permit lets another worker run, and reclaiming it exceeds the limit") {
  fixture place(2, 1);
  place.start(0);
  CHECK(!place.permits.acquire(place[1]));
  place.permits.lend(place[0]);
  CHECK(place.permits.running() == 0);
  place.start(1);
  place.permits.reclaim(place[0]);
  CHECK(place.permits.running() == 2);

  // The next worker that acquires a permit restores the limit.
  place.permits.end(place[1]);
  CHECK(!place.permits.acquire(place[1]));
  CHECK(place.permits.running() == 1);
  place.permits.end(place[0]);
  CHECK(place.permits.acquire(place[0]));
  CHECK(place.permits.running() == 1);
}

TEST_CASE("a running worker keeps its permit although a woken one has not arrived") {
  fixture place(2, 1);
  place.start(0);
  place.permits.lend(place[0]);
  sleeper other(place, 1);
  place.add_work(2);
  CHECK(other.join() == waited::granted);  // and may now wait for the GVL that the first one holds
  place.permits.reclaim(place[0]);
  CHECK(place.permits.running() == 2);

  place.permits.end(place[0]);
  CHECK(place.permits.acquire(place[0]));
  // Once it has arrived, the limit is exceeded.
  place.permits.begin(place[1]);
  CHECK(!place.permits.acquire(place[0]));
  CHECK(place.permits.running() == 1);
}

TEST_CASE("lending twice and reclaiming twice counts once") {
  fixture place(2, 2);
  place.start(0);
  place.permits.lend(place[0]);
  place.permits.lend(place[0]);
  CHECK(place.permits.running() == 0);
  place.permits.reclaim(place[0]);
  place.permits.reclaim(place[0]);
  CHECK(place.permits.running() == 1);
}

TEST_CASE("lending outside a handler, and reclaiming a permit that was not lent, have no effect") {
  fixture place(2, 1);
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

TEST_CASE("release resets the counts in every state of a worker") {
  fixture place(4, 4);
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

TEST_CASE("work wakes a waiting worker and grants it a permit") {
  fixture place(1, 1);
  sleeper worker(place, 0);
  place.add_work();
  CHECK(worker.join() == waited::granted);
  CHECK(place.permits.running() == 1);
  CHECK(place.permits.acquire(place[0]));
  CHECK(place.permits.running() == 1);
  CHECK(place.permits.wake_count() == 1);
}

TEST_CASE("a wait releases the permit") {
  fixture place(2, 1);
  place.start(0);
  place.permits.end(place[0]);
  sleeper worker(place, 0);
  CHECK(place.permits.running() == 0);
  CHECK(place.permits.acquire(place[1]));
  place.permits.stop();
}

TEST_CASE("a worker does not sleep while there is work that it may take") {
  fixture place(1, 1);
  place.work = 1;  // arrived while the wait queue was empty
  CHECK(place.permits.wait(place[0]) == waited::granted);
}

TEST_CASE("several pieces of work wake one worker, which wakes the next when it begins") {
  fixture place(3, 3);
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

TEST_CASE("the most recently used worker is woken first") {
  fixture place(8, 8);
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

TEST_CASE("at the limit, work wakes no worker until one lends its permit") {
  fixture place(2, 1);
  place.start(0);
  sleeper worker(place, 1);
  place.add_work();
  CHECK(place.permits.wake_count() == 0);
  place.permits.lend(place[0]);
  CHECK(worker.join() == waited::granted);
}

TEST_CASE("at the limit, work wakes no worker until one leaves") {
  fixture place(2, 1);
  place.start(0);
  sleeper worker(place, 1);
  place.add_work();
  CHECK(place.permits.wake_count() == 0);
  place.permits.end(place[0]);
  place.permits.release(place[0]);
  CHECK(worker.join() == waited::granted);
}

TEST_CASE("a worker that waits while there is work gets it") {
  fixture place(2, 1);
  place.start(0);
  sleeper worker(place, 1);
  place.add_work();
  place.permits.end(place[0]);
  CHECK(place.permits.wait(place[0]) == waited::granted);
  CHECK(place.permits.parked() == 1);
  place.permits.release(place[0]);
  CHECK(worker.join() == waited::granted);
}

TEST_CASE("a worker that was woken although there is no work can wait again") {
  fixture place(1, 1);
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
  fixture place(2, 1);
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

TEST_CASE("stop ends all waits, including later ones") {
  fixture place(3, 1);
  sleeper first(place, 0);
  sleeper second(place, 1);
  place.permits.stop();
  CHECK(first.join() == waited::stopped);
  CHECK(second.join() == waited::stopped);
  CHECK(place.permits.wait(place[2]) == waited::stopped);
  CHECK(place.permits.parked() == 0);
  CHECK(place.permits.running() == 0);
  CHECK(place.permits.acquire(place[0]));  // to check for work once more
}

TEST_CASE("a worker that computes longer than its slice no longer counts if there is work") {
  fixture place(2, 1, 20ms);
  place.start(0);
  place.work = 1;
  // Only the watcher can end this wait.
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

TEST_CASE("each expired worker doubles the time that the next one may run") {
  fixture place(4, 1, 1ms);
  place.start(0);
  place.work = 1;
  CHECK(place.permits.wait(place[1]) == waited::granted);
  // 6 ticks for the first, 12 for the second, 24 for the third. A wake-up is counted just before its tick, so the
  // difference may lack one.
  for (std::uint64_t patience = 12, next = 2; next < 4; patience *= 2, ++next) {
    auto const before = place.permits.watcher_wake_count();
    place.permits.begin(place[next - 1]);
    CHECK(place.permits.wait(place[next]) == waited::granted);
    CHECK(place.permits.watcher_wake_count() - before >= patience - 1);
  }
  CHECK(place.permits.running() == 1);
}

TEST_CASE("an expired worker has no permit to lend, and counts again after reclaim") {
  fixture place(2, 1, 20ms);
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

TEST_CASE("an expired worker that leaves or waits does not release its permit twice") {
  for (bool leaves : {true, false}) {
    fixture place(2, 1, 1ms);
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
  fixture place(3, 1, 1ms);
  {
    sleeper worker(place, 0);
    place.add_work();
    CHECK(worker.join() == waited::granted);
  }
  // Worker 0 was woken to search but does not continue.
  CHECK(place.permits.wait(place[1]) == waited::granted);
  CHECK(place.permits.running() == 1);
  CHECK(place.permits.acquire(place[1]));
  place.permits.begin(place[1]);
  // It arrives late and works without being counted.
  place.permits.begin(place[0]);
  CHECK(place.permits.running() == 1);
  place.work = 0;
  place.permits.end(place[0]);
  place.permits.release(place[0]);
  CHECK(place.permits.running() == 1);
}

// No work arrives and no worker parks after the wake-up, so only the wake-up can start the watcher.
TEST_CASE("the only piece of work is not left to a woken worker that never arrives") {
  for (std::uint32_t concurrency : {1u, 2u}) {
    fixture place(2, concurrency, 1ms);
    sleeper first(place, 0);
    sleeper second(place, 1);
    place.add_work();
    CHECK(first.join() == waited::granted);
    CHECK(second.join() == waited::granted);
    CHECK(place.permits.running() == 1);
  }
}

TEST_CASE("no worker loses its permit while there is no work") {
  fixture place(2, 1, 1ms);
  place.start(0);
  place.permits.work_arrived();  // false alarm
  ticking().await_ticks(20);
  CHECK(!place.permits.acquire(place[1]));
  CHECK(place.permits.running() == 1);
}

TEST_CASE("the watcher sleeps while no work waits") {
  std::atomic<int> work{0};
  std::atomic<int> watcher_found_nothing{0};
  auto const test_thread = std::this_thread::get_id();
  run_permits permits({.workers = 2, .concurrency = 1, .slice = 1ms}, [&] {
    bool const waits = work.load() > 0 && permits.parked() > 0;  // as in fixture
    if (!waits && std::this_thread::get_id() != test_thread) ++watcher_found_nothing;
    return waits;
  });
  // It has not been started.
  REQUIRE(permits.acquire(permits[0]));
  permits.begin(permits[0]);
  CHECK(permits.watcher_wake_count() == 0);

  // It is started, grants a permit, and finds no more work twice: at its tick, and before it sleeps.
  work = 1;
  CHECK(permits.wait(permits[1]) == waited::granted);
  work = 0;
  await([&] { return watcher_found_nothing == 2; });
  auto const then = permits.watcher_wake_count();

  ticking().await_ticks(20);
  CHECK(permits.watcher_wake_count() == then);
  CHECK(watcher_found_nothing == 2);

  // It wakes again when it is needed.
  permits.begin(permits[1]);
  permits.release(permits[0]);
  work = 1;
  CHECK(permits.wait(permits[0]) == waited::granted);
  CHECK(permits.watcher_wake_count() > then);
}

TEST_CASE("permits can be destroyed while the watcher is awake") {
  for (int i = 0; i < 100; ++i) {
    fixture place(2, 1, 1ms);
    place.start(0);
    place.work = 1;
    static_cast<void>(place.permits.wait(place[1], kino::detail::clock::time_point::min()));
  }
}

TEST_CASE("a forked child can destroy permits for which threads of its parent wait") {
  for (int round = 0; round < 5; ++round) {
    auto place = std::make_unique<fixture>(2, 1);
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

TEST_CASE("the longest slice never expires") {
  fixture place(2, 1, std::chrono::milliseconds::max());
  place.add_work(2);
  place.start(0);
  sleeper other(place, 1);
  place.add_work();  // calls the watcher
  CHECK(place.permits.watcher_wake_count() == 0);
  place.permits.stop();
  CHECK(other.join() == waited::stopped);
}

TEST_CASE("acquiring inherited permits throws in a forked child, and releasing them is allowed") {
  fixture place(2, 1);
  sleeper asleep(place, 1);
  auto& mine = place[0];
  auto const forked = [&](auto member) {
    return in_child([&] { return throws_made_before_fork("run_permits", member); });
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
