// SPDX-License-Identifier: MIT
//
// run_permits: limits the number of running workers; a blocked worker gives up its slot.

#pragma once

#include <kino/detail/slice_monitor.hpp>
#include <kino/detail/slices.hpp>
#include <kino/detail/wake_throttle.hpp>
#include <kino/fork_mark.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <utility>

KINO_NAMESPACE_BEGIN

/// A run_permits lets at most `concurrency` workers run handlers, however many workers there are.
///
/// Parked workers cost nothing, running ones do: with more running workers than cores, every
/// garbage collection waits for threads that are descheduled. A worker therefore takes work only
/// with a permit.
///
/// A worker that blocks inside its handler lends its permit (`lend`), and the next worker starts
/// immediately. When the first one continues (`reclaim`), the count may exceed the limit until the
/// next `acquire` corrects it. The count may also exceed it when a worker keeps its turn while a
/// woken one is on its way.
///
/// The permit of a worker that runs longer than a slice while work waits stops counting, so one
/// slow computation per core never starves fast handlers. The more such workers there are, the
/// longer the next one may run: twice as long for every `concurrency` of them. Slow handlers alone
/// therefore do not all end up on the cores at once. Go's scheduler does the same around system
/// calls (`entersyscall`, `handoffp`) and for long-running goroutines (`sysmon`, `retake`), except
/// for the doubling: it time-slices goroutines that run too long.
///
/// A monitor thread measures slices, including that of a woken worker that has not arrived. It
/// sleeps unless work waits while a worker sleeps.
///
/// A worker loops: `acquire`; if true, look for work; if there is some, `begin`, run the handler
/// (with `lend` and `reclaim` around blocking calls) and `end`; otherwise `wait`.
///
/// Threads:    a permit's members, `lend` and `reclaim`: its worker; `work_arrived`, `stop` and
///             the observers: any.
/// GVL:        never needed. Ruby's thread events call `lend` and `reclaim` with Ruby's locks
///             held: they take only leaf locks.
/// Blocks:     `wait`.
/// Fork:       a run_permits does not survive fork. In the child `acquire`, `wait` and
///             `work_arrived` throw std::runtime_error, `release`, `lend`, `reclaim` and `stop`
///             do nothing, and it can be destroyed.
///
/// Example:
///
///     kino::channel<int> work{8};
///     kino::run_permits permits{{.workers = 2, .concurrency = 1},
///                               [&] { return work.size() != 0; }};
///     assert(work.try_push(1) == kino::push_result::pushed);
///     assert(permits.acquire(permits[0]));
///     int item = 0;
///     assert(work.try_pop(item) == kino::pop_result::popped);
///     permits.begin(permits[0]);
///     assert(!permits.acquire(permits[1]));  // the only permit is in use
///     permits.lend(permits[0]);              // its worker blocks
///     assert(permits.acquire(permits[1]));
///
class run_permits {
public:
  /// Permits at most.
  static constexpr std::size_t most_workers = detail::wake_throttle::unlimited;
  /// The longest slice that counts; a longer one is the same.
  static constexpr std::chrono::hours longest_slice = detail::slices::longest;

  /// The options of a run_permits.
  struct options {
    std::size_t workers = 1;        ///< Number of workers, each with a permit; 1 to 1,048,575.
    std::uint32_t concurrency = 1;  ///< Maximum number of running workers; 0: no limit.
    /// How long a worker may run while work waits; at least 1 ms, limited to a year.
    std::chrono::milliseconds slice{10};
  };

  /// The outcome of a `wait`.
  enum class [[nodiscard]] waited {
    granted,      ///< There may be work: `acquire` will succeed.
    stopped,      ///< `stop` was called: check for work once more, then exit.
    interrupted,  ///< The permit was interrupted.
    timed_out,    ///< The deadline passed.
  };

  /// One worker's permit: `interrupt` ends its current or next `wait`, `clear_interruption` comes
  /// before a wait is announced to Ruby.
  using permit = detail::permit;

  /// `work_waits` returns whether there is work to take. It is called from any thread and must not
  /// block or throw. Throws std::invalid_argument for an option out of range, and
  /// std::system_error if the monitor cannot be started.
  run_permits(options chosen, std::function<bool()> work_waits);
  run_permits(run_permits const&) = delete;
  run_permits& operator=(run_permits const&) = delete;
  ~run_permits();

  /// The permit of worker `index`.
  permit& operator[](std::size_t index) { return permits_[index]; }

  /// Reports that work was added; call it after the work is visible. Wakes at most one worker.
  void work_arrived() {
    born_.expect_same_process("run_permits");
    // The woken worker needs its GVL to take the work and may never get it. The monitor therefore
    // runs while a worker sleeps and work waits.
    if (wake_one()) monitor_.call();
  }

  /// Whether `mine` may look for work now. If not, the worker must `wait`, even if there is work:
  /// the maximum number of workers is running.
  [[nodiscard]] bool acquire(permit& mine);
  /// Reports that work was found and its handler begins.
  void begin(permit& mine);
  /// Reports that the handler has returned.
  void end(permit& mine) {
    mine.in_handler_.store(false, std::memory_order_relaxed);  // see thread_events.hpp
  }
  /// Gives up the permit and sleeps until it is this worker's turn, an interruption, or `until`.
  waited wait(permit& mine, detail::deadline until = std::nullopt);
  /// Gives up the permit; for a worker that exits.
  void release(permit& mine);

  /// Reports that the worker blocks inside its handler: another may run. Ignored outside a handler.
  void lend(permit& mine);
  /// Reports that the worker continues after blocking. Ignored unless it lent its permit.
  void reclaim(permit& mine);

  /// Wakes every waiting worker, and ends later waits: there will be no more work.
  void stop();

  /// Number of workers with a permit that counts.
  [[nodiscard]] std::uint32_t running() const { return throttle_.read().running; }
  /// Number of workers that sleep in `wait`.
  [[nodiscard]] std::uint32_t parked() const { return throttle_.read().parked; }
  /// Number of wake-ups of workers so far.
  [[nodiscard]] std::uint64_t wake_count() const { return throttle_.wake_count(); }
  /// Number of wake-ups of the monitor so far; constant while no work waits.
  [[nodiscard]] std::uint64_t watcher_wake_count() const { return monitor_.wake_count(); }

private:
  using state = permit::state;

  static options const& check(options const& chosen);
  // Called after a permit or search was given up: a push may have relied on it and woken no worker.
  void pass_on() {
    if (work_waits_()) work_arrived();
  }
  // Returns whether a worker sleeps or has just been woken.
  bool wake_one() {
    return throttle_.notify() != detail::wake_throttle::wake::nobody_parked;
  }
  void expired(state was);

  std::function<bool()> const work_waits_;
  std::unique_ptr<permit[]> permits_;
  detail::slices const slices_;
  detail::wake_throttle throttle_;
  detail::atomic<bool> stopped_{false};
  fork_mark const born_;
  detail::slice_monitor monitor_;  // last: its thread uses all other members
};

// --- implementation ---------------------------------------------------------

inline run_permits::options const& run_permits::check(options const& chosen) {
  if (chosen.workers == 0 || chosen.workers > most_workers) {
    throw std::invalid_argument("kino: run_permits needs 1 to 1048575 workers");
  }
  return chosen;
}

inline run_permits::run_permits(options chosen, std::function<bool()> work_waits)
    : work_waits_(std::move(work_waits)),
      permits_(std::make_unique<permit[]>(check(chosen).workers)),  // the first use of an option
      slices_({permits_.get(), chosen.workers},
              chosen.concurrency ? chosen.concurrency : chosen.workers),
      // Newest first: each running Ractor takes heap pages of its own, so fewer active Ractors
      // cause fewer collections, each of which stops all of them.
      throttle_(chosen.concurrency ? chosen.concurrency : detail::wake_throttle::unlimited,
                detail::wake_throttle::turn::newest),
      monitor_(detail::slices::tick_length(chosen.slice),
               {.work_waits = work_waits_,
                .wake_one = [this] { return wake_one(); },
                .inspect = [this](std::uint32_t tick) {
                  slices_.end_overdue(tick, [this](state was) { expired(was); });
                }}) {}

inline run_permits::~run_permits() {
  // In a forked child: the threads that sleep here exist only in the parent; see slice_monitor.
  if (born_.forked()) static_cast<void>(permits_.release());
}

inline bool run_permits::acquire(permit& mine) {
  born_.expect_same_process("run_permits");
  // relaxed: only this thread changes the state, except for the monitor, which changes running and
  // searching to expired; the compare-and-swaps below decide.
  state now = mine.state_.load(std::memory_order_relaxed);
  if (now == state::searching) return true;
  if (now == state::running) {
    if (!throttle_.over_limit()) return true;
    // Idle first: the monitor must not take away the permit that we are giving up.
    if (mine.state_.compare_exchange_strong(now, state::idle, std::memory_order_relaxed)) {
      if (throttle_.try_step_back()) return false;
      mine.state_.store(state::running, std::memory_order_release);  // as in begin_slice
      return true;
    }
  }
  if (!throttle_.try_run()) {
    mine.state_.store(state::idle, std::memory_order_relaxed);
    return false;
  }
  mine.begin_slice(state::running, monitor_.tick());
  return true;
}

inline void run_permits::begin(permit& mine) {
  // relaxed: the monitor compares it once a tick; a stale value costs one tick.
  mine.since_.store(monitor_.tick(), std::memory_order_relaxed);
  state expected = state::searching;
  if (mine.state_.load(std::memory_order_relaxed) == expected &&
      mine.state_.compare_exchange_strong(expected, state::running,
                                          std::memory_order_relaxed)) {
    throttle_.stop_searching(true);
    pass_on();
  }
  mine.in_handler_.store(true, std::memory_order_relaxed);
}

inline run_permits::waited run_permits::wait(permit& mine, detail::deadline until) {
  born_.expect_same_process("run_permits");
  // relaxed: it competes only with the monitor's compare-and-swap; atomicity decides.
  state const held = mine.state_.exchange(state::idle, std::memory_order_relaxed);
  bool const searching = held == state::searching;
  throttle_.enter(mine.place_, searching, searching || held == state::running);
  pass_on();
  // seq_cst: `stop` stores it before it wakes the wait queue.
  bool const stopped = stopped_.load(std::memory_order_seq_cst);
  auto const woken = stopped ? park_result::timed_out : mine.place_.spot.park(until);
  if (woken != park_result::notified && throttle_.leave(mine.place_)) {
    if (stopped) return waited::stopped;
    return woken == park_result::interrupted ? waited::interrupted : waited::timed_out;
  }
  if (!mine.place_.granted) return waited::stopped;
  mine.begin_slice(state::searching, monitor_.tick());
  return waited::granted;
}

inline void run_permits::release(permit& mine) {
  if (born_.forked()) return;  // as in lend
  mine.in_handler_.store(false, std::memory_order_relaxed);
  state const held = mine.state_.exchange(state::idle, std::memory_order_relaxed);
  if (held == state::searching) {
    throttle_.stop_searching(false);
  } else if (held == state::running) {
    throttle_.stop_running();
  } else {
    return;
  }
  pass_on();
}

inline void run_permits::lend(permit& mine) {
  if (!mine.in_handler_.load(std::memory_order_relaxed)) return;  // own thread's store
  // In a child forked in a handler, locks held by the parent's threads stay locked.
  if (born_.forked()) return;
  if (mine.state_.exchange(state::lent, std::memory_order_relaxed) == state::running) {
    throttle_.stop_running();
    pass_on();
  }
}

inline void run_permits::reclaim(permit& mine) {
  if (mine.state_.load(std::memory_order_relaxed) != state::lent) return;
  if (!mine.in_handler_.load(std::memory_order_relaxed) || born_.forked()) return;
  throttle_.run_anyway();
  mine.begin_slice(state::running, monitor_.tick());
}

inline void run_permits::stop() {
  if (born_.forked()) return;  // as in lend
  stopped_.store(true, std::memory_order_seq_cst);
  throttle_.release_all();
}

inline void run_permits::expired(state was) {
  if (was == state::searching) throttle_.stop_searching(false);
  if (was == state::running) throttle_.stop_running();
  static_cast<void>(wake_one());
}

KINO_NAMESPACE_END
