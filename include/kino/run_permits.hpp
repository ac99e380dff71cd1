// SPDX-License-Identifier: MIT
//
// run_permits: which of many workers may compute now.

#pragma once

#include <kino/detail/slice_watcher.hpp>
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

/// A run_permits lets at most `concurrency` workers run handlers, however many there are.
///
/// Parked workers cost nothing, computing ones do: with more of them than cores every garbage
/// collection waits for threads that the kernel has put aside. So a worker takes work only with
/// a permit. One that blocks inside its handler lends the permit (`lend`), and the next worker
/// starts at once; when it comes back (`reclaim`) the count may exceed the limit until the next
/// `acquire` evens it out; so it may when a worker goes on while another one, woken, is on its
/// way. One that computes longer than a slice while work waits stops counting, so that a slow
/// computation per core never starves fast handlers. The more of those there are, the longer may
/// the next one compute: twice as long for every `concurrency` of them. So slow handlers alone
/// do not end up all at once on the cores. It is what Go's scheduler does around system calls
/// (`entersyscall`, `handoffp`) and long-running goroutines (`sysmon`, `retake`), but for the
/// doubling: goroutines that run too long take turns.
///
/// A watcher thread measures slices, also that of a worker that was woken and does not arrive.
/// It sleeps unless work waits beside a worker that sleeps.
///
/// The life of a worker: `acquire`; if true look for work; if there is some, `begin`, run the
/// handler (`lend` and `reclaim` around what blocks), `end`, and again; else `wait`.
///
/// Threads:    a permit's members by its worker, `lend` and `reclaim` too; `work_arrived`,
///             `stop` and the observers by anyone.
/// GVL:        never needed. `lend` and `reclaim` are called by Ruby's thread events, with
///             locks of Ruby held: they take leaf locks only.
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
///     assert(!permits.acquire(permits[1]));  // one core, and it computes
///     permits.lend(permits[0]);              // ... now it sleeps
///     assert(permits.acquire(permits[1]));
///
class run_permits {
public:
  /// What the permits are made with.
  struct options {
    std::size_t workers = 1;      ///< How many permits there are, one per worker; 1 to 1,048,575.
    std::uint32_t concurrency = 1;  ///< How many of them may run at a time; 0: all of them.
    /// How long one may compute while work waits; at least 1 ms, and a year is the longest.
    std::chrono::milliseconds slice{10};
  };

  /// What ended a `wait`.
  enum class [[nodiscard]] waited {
    granted,      ///< There may be work for you: `acquire` will succeed.
    stopped,      ///< `stop` was called: look for work once more, then go.
    interrupted,  ///< Somebody interrupted the permit.
    timed_out,    ///< The deadline passed.
  };

  /// One worker's permit.
  class permit {
  public:
    /// Ends the current or next `wait` of this permit. Sticky; any thread.
    void interrupt() { place_.spot.interrupt(); }
    /// Forgets an interruption; before a wait is announced to Ruby.
    void clear_interruption() { place_.spot.clear_interruption(); }

  private:
    friend run_permits;
    enum class state : std::uint8_t { idle, searching, running, lent, expired };

    detail::waiter place_;
    alignas(detail::cache_line) detail::atomic<state> state_{state::idle};
    detail::atomic<std::uint32_t> since_{0};  // the tick after which it began
    detail::atomic<bool> in_handler_{false};
  };

  /// `work_waits` says whether there is work to take; it is called from any thread and must
  /// not block or throw. Throws std::invalid_argument for an option out of its range,
  /// std::system_error if the watcher cannot be started.
  run_permits(options chosen, std::function<bool()> work_waits);
  run_permits(run_permits const&) = delete;
  run_permits& operator=(run_permits const&) = delete;
  ~run_permits();

  /// The permit of worker `index`.
  permit& operator[](std::size_t index) { return permits_[index]; }

  /// Says that work was added, after it is visible. Wakes at most one worker.
  void work_arrived() {
    born_.expect_same_process("run_permits");
    // Whoever was woken has to have its GVL before it can take the work, and may never get it:
    // as long as anybody sleeps beside work, somebody watches.
    if (wake_one()) watcher_.call();
  }

  /// Whether `mine` may look for work now. If not, the worker has to `wait`, even if there is
  /// work: as many as may run do.
  [[nodiscard]] bool acquire(permit& mine);
  /// Says that work was found and its handler begins.
  void begin(permit& mine);
  /// Says that the handler is done.
  void end(permit& mine) {
    mine.in_handler_.store(false, std::memory_order_relaxed);  // see permit_events
  }
  /// Gives up the permit and sleeps until it is this worker's turn, an interruption or `until`.
  waited wait(permit& mine, detail::deadline until = std::nullopt);
  /// Gives up the permit: the worker leaves.
  void release(permit& mine);

  /// The worker blocks inside its handler: somebody else may run. Ignored outside a handler.
  void lend(permit& mine);
  /// The worker goes on after blocking. Ignored unless it lent.
  void reclaim(permit& mine);

  /// Wakes every waiting worker, now and later: there will be no more work.
  void stop();

  /// How many workers hold a permit that counts.
  [[nodiscard]] std::uint32_t running() const { return throttle_.read().running; }
  /// How many workers sleep in `wait`.
  [[nodiscard]] std::uint32_t parked() const { return throttle_.read().parked; }
  /// How many workers were woken so far.
  [[nodiscard]] std::uint64_t wake_count() const { return throttle_.wake_count(); }
  /// How many times the watcher woke so far; it stands still while no work waits.
  [[nodiscard]] std::uint64_t watcher_wake_count() const { return watcher_.wake_count(); }

private:
  using state = permit::state;

  // The more, the less over its slice does a long computation get; each is a wake-up.
#ifdef KINO_MODEL_CHECKER
  static constexpr std::uint32_t ticks_per_slice = 1;  // shorter schedules, more of them
#else
  static constexpr std::uint32_t ticks_per_slice = 5;
#endif

  static options const& check(options& chosen);
  // After something was given up: a push may have counted on it and woken nobody.
  void pass_on() {
    if (work_waits_()) work_arrived();
  }
  // Whether somebody sleeps, or has just been woken.
  bool wake_one() {
    return throttle_.notify() != detail::wake_throttle::wake::nobody_parked;
  }
  void expire_long_runners(std::uint32_t tick);
  // How many compute beside those that count.
  std::size_t overdue() const;
  // After how many ticks one has computed too long beside so many: twice as many for every full
  // set of them. One more than a slice has, because it began between two ticks.
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
  detail::slice_watcher watcher_;  // the last: its thread uses all the others
};

// --- implementation ---------------------------------------------------------

inline run_permits::options const& run_permits::check(options& chosen) {
  if (chosen.workers == 0 || chosen.workers > detail::wake_throttle::unlimited) {
    throw std::invalid_argument("kino: run_permits needs 1 to 1048575 workers");
  }
  // With no slice the watcher would never sleep between two ticks.
  if (chosen.slice < std::chrono::milliseconds{1}) {
    throw std::invalid_argument("kino: run_permits needs a slice of at least 1 ms");
  }
  // The clock counts nanoseconds and cannot add the longest durations to its time.
  chosen.slice = std::min<std::chrono::milliseconds>(chosen.slice, std::chrono::hours{365 * 24});
  return chosen;
}

inline run_permits::run_permits(options chosen, std::function<bool()> work_waits)
    : work_waits_(std::move(work_waits)),
      count_(check(chosen).workers),  // the first use of an option
      concurrency_(chosen.concurrency ? chosen.concurrency : chosen.workers),
      permits_(std::make_unique<permit[]>(chosen.workers)),
      // The newest: each Ractor that runs takes heap pages of its own, so the fewer take turns,
      // the fewer collections stop them all.
      throttle_(chosen.concurrency ? chosen.concurrency : detail::wake_throttle::unlimited,
                detail::wake_throttle::turn::newest),
      watcher_(std::chrono::nanoseconds(chosen.slice) / ticks_per_slice,
               {.work_waits = work_waits_,
                .wake_one = [this] { return wake_one(); },
                .inspect = [this](std::uint32_t tick) { expire_long_runners(tick); }}) {}

inline run_permits::~run_permits() {
  // In a forked child the threads that sleep here stayed in the parent; see slice_watcher.
  if (born_.forked()) static_cast<void>(permits_.release());
}

inline bool run_permits::acquire(permit& mine) {
  born_.expect_same_process("run_permits");
  // relaxed: only this thread moves its permit from these states, but for the watcher, which
  // moves running and searching to expired by the compare-and-swaps that decide below.
  state now = mine.state_.load(std::memory_order_relaxed);
  if (now == state::searching) return true;
  if (now == state::running) {
    if (!throttle_.over_limit()) return true;
    // Idle first, so that the watcher cannot take away the place that we are giving up.
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
  // release: pairs with the acquire of the watcher, which must not see this state without the
  // slice; the count was taken before.
  mine.since_.store(watcher_.tick(), std::memory_order_relaxed);
  mine.state_.store(state::running, std::memory_order_release);
  return true;
}

inline void run_permits::begin(permit& mine) {
  // relaxed: the watcher compares with it once a tick; a late view costs one tick.
  mine.since_.store(watcher_.tick(), std::memory_order_relaxed);
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
  // relaxed: against the watcher's compare-and-swap only, atomicity decides.
  state const held = mine.state_.exchange(state::idle, std::memory_order_relaxed);
  bool const searching = held == state::searching;
  throttle_.enter(mine.place_, searching, searching || held == state::running);
  pass_on();
  // seq_cst: `stop` stores it before it wakes those in line.
  bool const stopped = stopped_.load(std::memory_order_seq_cst);
  auto const woken = stopped ? park_result::timed_out : mine.place_.spot.park(until);
  if (woken != park_result::notified && throttle_.leave(mine.place_)) {
    if (stopped) return waited::stopped;
    return woken == park_result::interrupted ? waited::interrupted : waited::timed_out;
  }
  if (!mine.place_.granted) return waited::stopped;
  mine.since_.store(watcher_.tick(), std::memory_order_relaxed);
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
  // A child that was forked in a handler: what the parent's threads had locked stays locked.
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
  mine.since_.store(watcher_.tick(), std::memory_order_relaxed);
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
    // relaxed: one that is counted too early or too late is worth a tick of somebody's time.
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
    // A searcher computes nothing: whoever stands in for it makes nobody slower.
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
