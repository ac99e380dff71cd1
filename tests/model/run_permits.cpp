// SPDX-License-Identifier: MIT
//
// run_permits: for every interleaving of lending, expiring, leaving and sleeping, work does not wait while a worker sleeps
// and a permit is free, and the counts are balanced at the end.
//
// The monitor is the real one. Its sleeps may end at any moment, so a slice can have any length.

#include "model.hpp"

#include <kino/run_permits.hpp>

#include <kino/detail/bounded_store.hpp>

#include "../support/private_access.hpp"

using kino::run_permits;
using kino::detail::bounded_store;
using kino::detail::store_pop;
using kino::detail::store_push;
using waited = run_permits::waited;

KINO_TEST_REACH(monitor_of, run_permits, monitor_)
KINO_TEST_REACH(sleep_of, kino::detail::slice_monitor, spot_)

namespace {

// Workers as in dispatcher::take, one pusher, and the monitor in a thread of relacy.
template <class Scenario, unsigned workers, unsigned items, std::uint32_t concurrency = 1>
struct store_with_permits : rl::test_suite<Scenario, static_cast<rl::thread_id_t>(workers + 2)> {
  bounded_store<int> store{items};
  run_permits permits{{.workers = workers, .concurrency = concurrency},
                      [this] { return store.has_ready(); }};
  unsigned handled = 0;
  unsigned present = workers + 1;  // plain: relacy's threads are fibers of one thread

  void thread(unsigned index) {
    if (index == workers + 1) {
      kino::detail::thread::run();
      return;
    }
    if (index == workers) {
      for (unsigned i = 0; i < items; ++i) {
        RL_ASSERT(store.try_push(1) == store_push::pushed);
        permits.work_arrived();
      }
      store.close();
      if (store.finished()) permits.stop();
    } else {
      auto& mine = permits[index];
      int item = 0;
      while (take(mine, item)) {
        ++handled;
        static_cast<Scenario*>(this)->handle(mine, index);
      }
    }
    if (--present == 0) sleep_of(monitor_of(permits))->interrupt();
  }

  bool take(run_permits::permit& mine, int& item) {
    permits.end(mine);
    for (;;) {
      bool const may_run = permits.acquire(mine);
      if (may_run || store.finished()) {
        store_pop const popped = store.try_pop(item);
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
      wait(mine);
    }
  }

  // Only work, stop and an interruption end a sleep: a deadline would hide a lost wake-up.
  void wait(run_permits::permit& mine) {
    if (permits.wait(mine) == waited::interrupted) mine.clear_interruption();
  }

  void after() {
    RL_ASSERT(handled == items);
    RL_ASSERT(permits.running() == 0);
    RL_ASSERT(permits.parked() == 0);
  }
};

struct computing : store_with_permits<computing, 2, 2> {
  void handle(run_permits::permit&, unsigned) {}
};

struct blocking : store_with_permits<blocking, 2, 2> {
  void handle(run_permits::permit& mine, unsigned) {
    permits.lend(mine);
    permits.reclaim(mine);
  }
};

struct leaving : store_with_permits<leaving, 2, 2> {
  void handle(run_permits::permit& mine, unsigned index) {
    if (index == 0) permits.lend(mine);
    permits.release(mine);
  }
};

struct interrupting : store_with_permits<interrupting, 2, 2> {
  void handle(run_permits::permit&, unsigned index) { permits[1 - index].interrupt(); }
};

struct two_permits : store_with_permits<two_permits, 3, 3, 2> {
  void handle(run_permits::permit& mine, unsigned index) {
    if (index == 0) {
      permits.lend(mine);
      permits.reclaim(mine);
    }
  }
};

// One worker stops until another one has handled the waiting item. Where it stops determines which mechanism must start
// the other one.
enum class stop_at {
  handler,  // it computes: the monitor revokes its permit
  search,   // it was woken and never arrives: the monitor
  lent,     // it blocks: `lend` passes the permit on
  left,     // it leaves: `release`
  asleep,   // it sleeps until it is interrupted: `wait`
  woken,    // it was woken after the other one had gone to sleep: the monitor
  alarmed,  // it computes after a false alarm of the monitor: the monitor
};

template <class Scenario, stop_at where>
struct stopping : rl::test_suite<Scenario, 4> {
  static constexpr bool watched =
      where == stop_at::handler || where == stop_at::search || where == stop_at::alarmed ||
      where == stop_at::woken;

  bounded_store<int> store{2};
  run_permits permits{{.workers = 2, .concurrency = 1}, [this] { return store.has_ready(); }};
  kino::parker other_done;
  unsigned present = 3;

  void before() {
    if (where == stop_at::woken) return;
    if (where == stop_at::search) {
      push();
      RL_ASSERT(permits.wait(permits[0]) == waited::granted);
    } else {
      RL_ASSERT(permits.acquire(permits[0]));
      permits.begin(permits[0]);
    }
  }
  void push() {
    RL_ASSERT(store.try_push(1) == store_push::pushed);
    permits.work_arrived();
  }
  void await_other() {
    if (where == stop_at::lent) permits.lend(permits[0]);
    if (where == stop_at::left) permits.release(permits[0]);
    if (where == stop_at::asleep) {
      permits.end(permits[0]);
      if (permits.wait(permits[0]) == waited::interrupted) return;
      // It was woken, and passes the wake-up on so the other worker takes the work.
      permits.release(permits[0]);
    }
    if (where == stop_at::woken && permits.wait(permits[0]) == waited::interrupted) return;
    static_cast<void>(other_done.park(std::nullopt));
  }
  void thread(unsigned index) {
    if (index == 0) {
      await_other();
      // Too late; must not affect the counts.
      permits.begin(permits[0]);
      permits.lend(permits[0]);
      permits.reclaim(permits[0]);
      permits.end(permits[0]);
      permits.release(permits[0]);
    } else if (index == 1) {
      int item = 0;
      // A worker that asks for a permit gets one despite the searcher; a sleeping one must be woken instead.
      if (where == stop_at::search) static_cast<void>(permits.wait(permits[1]));
      while (!permits.acquire(permits[1]) || store.try_pop(item) != store_pop::popped) {
        static_cast<void>(permits.wait(permits[1]));
      }
      permits.begin(permits[1]);
      permits.end(permits[1]);
      permits.release(permits[1]);
      permits[0].interrupt();
      other_done.notify();
    } else if (index == 2) {
      if (where == stop_at::alarmed) permits.work_arrived();
      if (where != stop_at::search) push();
    } else {
      if (watched) kino::detail::thread::run();
      return;
    }
    if (--present == 0) sleep_of(monitor_of(permits))->interrupt();
  }
  void after() {
    RL_ASSERT(permits.running() == 0);
    RL_ASSERT(permits.parked() == 0);
  }
};

struct in_handler : stopping<in_handler, stop_at::handler> {};
struct in_search : stopping<in_search, stop_at::search> {};
struct lent : stopping<lent, stop_at::lent> {};
struct left : stopping<left, stop_at::left> {};
struct asleep : stopping<asleep, stop_at::asleep> {};
struct woken : stopping<woken, stop_at::woken> {};
struct alarmed : stopping<alarmed, stop_at::alarmed> {};

// Two items, two permits, two sleepers, and handlers that end only together. The second push relies on the woken worker to
// wake the other one.
struct together : rl::test_suite<together, 3> {
  bounded_store<int> store{2};
  run_permits permits{{.workers = 2, .concurrency = 2}, [this] { return store.has_ready(); }};
  kino::parker met[2];

  void thread(unsigned index) {
    if (index == 2) {
      for (int i = 0; i < 2; ++i) {
        RL_ASSERT(store.try_push(1) == store_push::pushed);
        permits.work_arrived();
      }
      return;
    }
    auto& mine = permits[index];
    int item = 0;
    while (!permits.acquire(mine) || store.try_pop(item) != store_pop::popped) {
      static_cast<void>(permits.wait(mine));
    }
    permits.begin(mine);
    met[1 - index].notify();
    static_cast<void>(met[index].park(std::nullopt));
    permits.end(mine);
    permits.release(mine);
  }
  void after() {
    RL_ASSERT(permits.running() == 0);
    RL_ASSERT(permits.parked() == 0);
  }
};

// A worker that goes to sleep while `stop` wakes the others.
struct stopped : rl::test_suite<stopped, 2> {
  run_permits permits{{.workers = 1}, [] { return false; }};

  void thread(unsigned index) {
    if (index == 0) {
      RL_ASSERT(permits.wait(permits[0]) == waited::stopped);
    } else {
      permits.stop();
    }
  }
};

}  // namespace

int main() {
  return model::verdict(model::holds<lent>("another goes on while one has lent", 20'000) &&
                        model::holds<left>("another goes on while one has left", 20'000) &&
                        model::holds<asleep>("another goes on while one sleeps", 20'000) &&
                        model::holds<together>("two begin together", 20'000) &&
                        model::holds<in_handler>("a handler that never ends", 20'000) &&
                        model::holds<in_search>("a searcher that never arrives", 20'000) &&
                        model::holds<woken>("a wake-up that comes to nothing", 20'000) &&
                        model::holds<alarmed>("a false alarm before", 20'000) &&
                        model::holds<stopped>("stop", 20'000) &&
                        model::holds<computing>("handlers that compute", 20'000) &&
                        model::holds<blocking>("handlers that lend", 20'000) &&
                        model::holds<leaving>("workers that leave", 20'000) &&
                        model::holds<interrupting>("workers that are interrupted", 20'000) &&
                        model::holds<two_permits>("two permits for three", 20'000));
}
