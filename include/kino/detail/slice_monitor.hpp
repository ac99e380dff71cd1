// SPDX-License-Identifier: MIT
//
// A thread that counts clock ticks, but only while they are needed.

#pragma once

#include <kino/fork_mark.hpp>
#include <kino/parker.hpp>
#include <kino/start_thread.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

KINO_NAMESPACE_BEGIN
namespace detail {

/// A slice_monitor checks once a tick for slices that have ended, and sleeps while none can.
///
/// No call is lost: a caller publishes the work before it reads `watching_`, and the monitor checks
/// for work once more after it has cleared `watching_`.
///
/// Threads: `call`, `tick` and `wake_count`: any.
/// Blocks:  never; `call` takes a leaf mutex to wake the monitor.
/// Fork:    a child has no monitor; there the object can be destroyed.
class slice_monitor {
public:
  /// The callbacks of the monitor thread. None may block or throw.
  struct duties {
    std::function<bool()> work_waits;            ///< Whether work waits.
    std::function<bool()> wake_one;              ///< Work arrived late; returns whether to keep watching.
    std::function<void(std::uint32_t)> inspect;  ///< Called on each tick with its number.
  };

  /// Throws std::system_error if the thread cannot be started.
  slice_monitor(std::chrono::nanoseconds length, duties what)
      : length_(length), duties_(std::move(what)), thread_(start_thread([this] { watch(); })) {}
  slice_monitor(slice_monitor const&) = delete;
  slice_monitor& operator=(slice_monitor const&) = delete;
  ~slice_monitor() {
    if (born_.forked()) {
      // The thread that sleeps here exists only in the parent, and destroying a condition variable
      // waits for its sleepers: leak it. Leak the thread's handle, too: its id may be that of a
      // thread that the child has started.
      std::construct_at(&thread_);
      static_cast<void>(spot_.release());
      return;
    }
    spot_->interrupt();
    thread_.join();
  }

  /// Starts watching. Call it after the waiting work was published.
  void call() {
    // seq_cst: work was published before this load, and the monitor checks for work after it
    // stores false; one of the two sees the other.
    if (!watching_.load(std::memory_order_seq_cst) &&
        !watching_.exchange(true, std::memory_order_seq_cst)) {
      spot_->notify();
    }
  }
  /// The number of the last tick; constant while the monitor sleeps.
  [[nodiscard]] std::uint32_t tick() const {
    return tick_.load(std::memory_order_relaxed);  // a stale value costs one tick
  }
  /// Number of times it woke so far.
  [[nodiscard]] std::uint64_t wake_count() const {
    return wakes_.load(std::memory_order_relaxed);  // pairs with nothing: a statistic
  }

private:
  void watch() {
    for (;;) {
      if (spot_->park(std::nullopt) == park_result::interrupted) return;
      while (watching_.load(std::memory_order_relaxed)) {  // this thread's store, or the waking caller's
        if (spot_->park(clock::now() + length_) == park_result::interrupted) return;
        wakes_.fetch_add(1, std::memory_order_relaxed);  // pairs with nothing: a statistic
        if (duties_.work_waits()) {
          // relaxed: only this thread counts ticks; others copy the number.
          duties_.inspect(tick_.fetch_add(1, std::memory_order_relaxed) + 1);
          continue;
        }
        watching_.store(false, std::memory_order_seq_cst);  // pairs with call
        // A producer that still saw `watching_` set has not called.
        if (duties_.work_waits() && duties_.wake_one()) {
          watching_.store(true, std::memory_order_seq_cst);
        }
      }
    }
  }

  std::chrono::nanoseconds const length_;
  duties const duties_;
  atomic<bool> watching_{false};
  atomic<std::uint64_t> wakes_{0};
  alignas(cache_line) atomic<std::uint32_t> tick_{0};
  std::unique_ptr<parker> spot_ = std::make_unique<parker>();
  fork_mark const born_;
  thread thread_;
};

}  // namespace detail
KINO_NAMESPACE_END
