// SPDX-License-Identifier: MIT
//
// permit: the state of one worker of run_permits; and slices: how long a worker may run while others wait.

#pragma once

#include <kino/detail/atomic.hpp>
#include <kino/detail/config.hpp>
#include <kino/detail/wake_throttle.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>

KINO_NAMESPACE_BEGIN

class run_permits;

namespace detail {

/// A permit belongs to one worker, which may run while it is `searching` or `running`.
///
/// Its worker changes the state. The monitor only changes `searching` and `running` to `expired`,
/// by a compare-and-swap: the permit then no longer counts.
class permit {
public:
  enum class state : std::uint8_t { idle, searching, running, lent, expired };

  /// Ends the current or next `wait` of this permit. Sticky; any thread.
  void interrupt() { place_.spot.interrupt(); }
  /// Clears an interruption. Call it before announcing a wait to Ruby.
  void clear_interruption() { place_.spot.clear_interruption(); }

private:
  friend kino::run_permits;
  friend class slices;

  // Begins a slice after `tick`; the caller has raised the count before.
  void begin_slice(state next, std::uint32_t tick) {
    since_.store(tick, std::memory_order_relaxed);
    // release: pairs with the acquire of the monitor, which must see since_ with this state.
    state_.store(next, std::memory_order_release);
  }

  waiter place_;
  alignas(cache_line) atomic<state> state_{state::idle};
  atomic<std::uint32_t> since_{0};  // the tick after which it began
  atomic<bool> in_handler_{false};
};

/// The slices of a run_permits: it ends those of workers that have run too long. The more such workers there are, the
/// longer is the slice of the next one.
///
/// Threads: the monitor's.
class slices {
public:
  // More ticks let a long computation exceed its slice by less; each tick is a wake-up.
#ifdef KINO_MODEL_CHECKER
  static constexpr std::uint32_t ticks_per_slice = 1;  // shorter schedules, more of them
#else
  static constexpr std::uint32_t ticks_per_slice = 5;
#endif

  static constexpr std::chrono::hours longest{365 * 24};

  /// The time between two ticks. Throws std::invalid_argument for a slice below 1 ms.
  static std::chrono::nanoseconds tick_length(std::chrono::milliseconds slice) {
    // Without a slice, the monitor would never sleep between two ticks.
    if (slice < std::chrono::milliseconds{1}) {
      throw std::invalid_argument("kino: run_permits needs a slice of at least 1 ms");
    }
    // The clock counts nanoseconds and cannot add the longest durations to its time.
    return std::chrono::nanoseconds(std::min<std::chrono::milliseconds>(slice, longest)) / ticks_per_slice;
  }

  slices(std::span<permit> all, std::size_t concurrency) : permits_(all), concurrency_(concurrency) {}

  /// Lets the permits expire whose slice has ended by `tick`; calls `expired(former state)` for each.
  template <class Expired>
  void end_overdue(std::uint32_t tick, Expired expired) const {
    std::size_t late = overdue();
    for (permit& other : permits_) {
      // acquire: pairs with the release of begin_slice; since_ is then at least as new.
      permit::state seen = other.state_.load(std::memory_order_acquire);
      if (seen != permit::state::running && seen != permit::state::searching) continue;
      // A searcher does not compute: a worker that replaces it slows no other.
      std::uint32_t const patience = patience_beside(seen == permit::state::searching ? 0 : late);
      if (tick - other.since_.load(std::memory_order_relaxed) < patience) continue;
      if (!other.state_.compare_exchange_strong(seen, permit::state::expired,
                                                std::memory_order_relaxed)) {
        continue;
      }
      late += seen == permit::state::running;
      expired(seen);
    }
  }

private:
  // Number of workers that run beyond their slice.
  std::size_t overdue() const {
    return static_cast<std::size_t>(std::ranges::count_if(permits_, [](permit const& each) {
      // relaxed: a count that is off by one delays a worker by at most one tick.
      return each.state_.load(std::memory_order_relaxed) == permit::state::expired &&
             each.in_handler_.load(std::memory_order_relaxed);
    }));
  }
  // Ticks after which a worker's slice ends if `late` others exceed theirs: the slice doubles for
  // every `concurrency` of them. One tick is added because the worker began between two ticks.
  std::uint32_t patience_beside(std::size_t late) const {
    return (ticks_per_slice + 1) << std::min<std::size_t>(late / concurrency_, 20);
  }

  std::span<permit> const permits_;
  std::size_t const concurrency_;
};

}  // namespace detail
KINO_NAMESPACE_END
