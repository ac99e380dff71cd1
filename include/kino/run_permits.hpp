// SPDX-License-Identifier: MIT
//
// run_permits: limits the number of running workers; a blocked worker gives up its slot.

#pragma once

#include <kino/detail/slice_monitor.hpp>
#include <kino/detail/wake_throttle.hpp>
#include <kino/fork_mark.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <thread>

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
  static constexpr std::chrono::hours longest_slice{365 * 24};

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

  /// One worker's permit.
  class permit {
  public:
    /// Ends the current or next `wait` of this permit. Sticky; any thread.
    void interrupt() { place_.spot.interrupt(); }
    /// Clears an interruption. Call it before announcing a wait to Ruby.
    void clear_interruption() { place_.spot.clear_interruption(); }

  private:
    friend run_permits;
    enum class state : std::uint8_t { idle, searching, running, lent, expired };

    detail::waiter place_;
    alignas(detail::cache_line) detail::atomic<state> state_{state::idle};
    detail::atomic<std::uint32_t> since_{0};  // the tick after which it began
    detail::atomic<bool> in_handler_{false};
  };

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
    mine.in_handler_.store(false, std::memory_order_relaxed);  // see permit_events
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

  // More ticks let a long computation exceed its slice by less; each tick is a wake-up.
#ifdef KINO_MODEL_CHECKER
  static constexpr std::uint32_t ticks_per_slice = 1;  // shorter schedules, more of them
#else
  static constexpr std::uint32_t ticks_per_slice = 5;
#endif

  static options const& check(options& chosen);
  // Called after a permit or search was given up: a push may have relied on it and woken no worker.
  void pass_on() {
    if (work_waits_()) work_arrived();
  }
  // Returns whether a worker sleeps or has just been woken.
  bool wake_one() {
    return throttle_.notify() != detail::wake_throttle::wake::nobody_parked;
  }
  void expire_long_runners(std::uint32_t tick);
  // Number of workers that run beyond their slice.
  std::size_t overdue() const;
  // Ticks after which a worker's slice ends if `late` others exceed theirs: the slice doubles for
  // every `concurrency` of them. One tick is added because the worker began between two ticks.
  std::uint32_t patience_beside(std::size_t late) const {
    return (ticks_per_slice + 1) << std::min<std::size_t>(late / concurrency_, 20);
  }

  std::function<bool()> const work_waits_;
  std::size_t const count_;
  std::size_t const concurrency_;
  std::unique_ptr<permit[]> permits_;
  detail::wake_throttle throttle_;
  detail::atomic<bool> stopped_{false};
  fork_mark const born_;
  detail::slice_monitor monitor_;  // last: its thread uses all other members
};

// --- implementation ---------------------------------------------------------

inline run_permits::options const& run_permits::check(options& chosen) {
  if (chosen.workers == 0 || chosen.workers > most_workers) {
    throw std::invalid_argument("kino: run_permits needs 1 to 1048575 workers");
  }
  // Without a slice, the monitor would never sleep between two ticks.
  if (chosen.slice < std::chrono::milliseconds{1}) {
    throw std::invalid_argument("kino: run_permits needs a slice of at least 1 ms");
  }
  // The clock counts nanoseconds and cannot add the longest durations to its time.
  chosen.slice = std::min<std::chrono::milliseconds>(chosen.slice, longest_slice);
  return chosen;
}

inline run_permits::run_permits(options chosen, std::function<bool()> work_waits)
    : work_waits_(std::move(work_waits)),
      count_(check(chosen).workers),  // the first use of an option
      concurrency_(chosen.concurrency ? chosen.concurrency : chosen.workers),
      permits_(std::make_unique<permit[]>(chosen.workers)),
      // Newest first: each running Ractor takes heap pages of its own, so fewer active Ractors
      // cause fewer collections, each of which stops all of them.
      throttle_(chosen.concurrency ? chosen.concurrency : detail::wake_throttle::unlimited,
                detail::wake_throttle::turn::newest),
      monitor_(std::chrono::nanoseconds(chosen.slice) / ticks_per_slice,
               {.work_waits = work_waits_,
                .wake_one = [this] { return wake_one(); },
                .inspect = [this](std::uint32_t tick) { expire_long_runners(tick); }}) {}

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
      mine.state_.store(state::running, std::memory_order_release);  // as below
      return true;
    }
  }
  if (!throttle_.try_run()) {
    mine.state_.store(state::idle, std::memory_order_relaxed);
    return false;
  }
  // release: pairs with the acquire of the monitor, which must see since_ with this state; the
  // count was raised before.
  mine.since_.store(monitor_.tick(), std::memory_order_relaxed);
  mine.state_.store(state::running, std::memory_order_release);
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
  mine.since_.store(monitor_.tick(), std::memory_order_relaxed);
  mine.state_.store(state::searching, std::memory_order_release);  // as in acquire
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
  mine.since_.store(monitor_.tick(), std::memory_order_relaxed);
  mine.state_.store(state::running, std::memory_order_release);  // as in acquire
}

inline void run_permits::stop() {
  if (born_.forked()) return;  // as in lend
  stopped_.store(true, std::memory_order_seq_cst);
  throttle_.release_all();
}

inline std::size_t run_permits::overdue() const {
  std::size_t count = 0;
  for (std::size_t i = 0; i < count_; ++i) {
    // relaxed: a count that is off by one delays a worker by at most one tick.
    count += permits_[i].state_.load(std::memory_order_relaxed) == state::expired &&
             permits_[i].in_handler_.load(std::memory_order_relaxed);
  }
  return count;
}

inline void run_permits::expire_long_runners(std::uint32_t tick) {
  std::size_t late = overdue();
  for (std::size_t i = 0; i < count_; ++i) {
    permit& other = permits_[i];
    // acquire: pairs with the releases that set the state; since_ is then at least as new.
    state seen = other.state_.load(std::memory_order_acquire);
    if (seen != state::running && seen != state::searching) continue;
    // A searcher does not compute: a worker that replaces it slows no other.
    std::uint32_t const patience = patience_beside(seen == state::searching ? 0 : late);
    if (tick - other.since_.load(std::memory_order_relaxed) < patience) continue;
    if (!other.state_.compare_exchange_strong(seen, state::expired,
                                              std::memory_order_relaxed)) {
      continue;
    }
    if (seen == state::searching) {
      throttle_.stop_searching(false);
    } else {
      throttle_.stop_running();
      ++late;
    }
    static_cast<void>(wake_one());
  }
}

KINO_NAMESPACE_END
