// SPDX-License-Identifier: MIT
//
// parker: lets one thread sleep until another wakes it.

#pragma once

#include <kino/detail/atomic.hpp>
#include <kino/detail/blocking.hpp>
#include <kino/detail/deadline.hpp>

#include <chrono>
#include <memory>
#include <optional>

KINO_NAMESPACE_BEGIN

/// The reason why a sleep in a parker ended.
enum class [[nodiscard]] park_result {
  notified,     ///< `notify` was called; effects before it are visible.
  timed_out,    ///< The deadline passed.
  interrupted,  ///< `interrupt` was called.
};

/// A parker lets one thread sleep until another notifies or interrupts it, or a deadline passes.
///
/// All waits of kino are built on it, and yours can be, too: keep the condition in your own state,
/// under your own lock, and use the parker only to sleep.
///
/// Notifications and interruptions are sticky: one that arrives before `park` ends the next `park`
/// immediately, so no wake-up is lost between the check of the condition and the sleep. Several
/// notifications before a `park` count as one. A notification takes precedence over an
/// interruption, because something was handed over with it. There are no spurious wake-ups, but a
/// notification may be older than your last check: check the condition again after each.
///
/// A Ruby thread sleeps with `kino::park(held, spot)` of wait.hpp, which releases the GVL and lets
/// Ruby's interrupts call `interrupt`.
///
/// Threads: `park`, `park_for`, `clear_interruption` and `consume_notification`: the thread that
///          sleeps, one at a time; `notify` and `interrupt`: any.
/// GVL:     never needed; `park` must not be called by a thread that holds it (checked).
/// Blocks:  `park` and `park_for`; `notify` and `interrupt` hold a leaf lock for a few instructions.
/// Order:   effects before `notify` are visible after the `park` that returns `notified`.
/// Destroy: allowed as soon as the sleep has ended, even if `notify` has not returned yet; otherwise
///          once no other thread can reach it.
/// Fork:    create a new one in a child. An inherited one may be destroyed there, even if a thread
///          of the parent sleeps in it.
///
/// Example:
///
///     std::atomic<bool> done{false};
///     kino::parker spot;
///     kino::native_thread worker([&](std::stop_token) {
///       done = true;
///       spot.notify();
///     });
///     while (!done) static_cast<void>(spot.park());
///     worker.join();
///
class parker {
public:
  parker() : condition_() {}
  parker(parker const&) = delete;
  parker& operator=(parker const&) = delete;
  // Destroying a condition variable waits for its sleepers. In a forked child, the sleeper exists
  // only in the parent and would never wake.
  ~parker() {
    if (!sleeping_) std::destroy_at(&condition_);
  }

  /// Sleeps until a notification, an interruption, or `until`; without `until`, forever.
  park_result park(std::optional<std::chrono::steady_clock::time_point> until = std::nullopt) {
    detail::check_may_block();
    detail::lock guard(mutex_);
    sleeping_ = true;
    while (!notified_ && !interrupted_) {
      if (!until) {
        condition_.wait(guard);
      } else if (condition_.wait_until(guard, *until) == std::cv_status::timeout) {
        break;
      }
    }
    sleeping_ = false;
    if (notified_) {
      notified_ = false;
      return park_result::notified;
    }
    return interrupted_ ? park_result::interrupted : park_result::timed_out;
  }

  /// Sleeps until a notification or an interruption, but at most `patience`.
  template <class Rep, class Period>
  park_result park_for(std::chrono::duration<Rep, Period> patience) {
    return park(detail::deadline_after(patience));
  }

  /// Ends the current or the next sleep.
  void notify() {
    // The signal is sent under the lock: once the lock is released, the sleeper may return and
    // destroy the parker, which is often on its stack.
    detail::lock guard(mutex_);
    notified_ = true;
    if (sleeping_) condition_.notify_one();
  }

  /// Ends the current sleep and every later one, until `clear_interruption`.
  void interrupt() {
    detail::lock guard(mutex_);
    interrupted_ = true;
    if (sleeping_) condition_.notify_one();
  }

  /// Clears an interruption. Call it before an interruptible wait is announced to the threads that
  /// may interrupt it, never after: a later interruption belongs to that wait.
  void clear_interruption() {
    detail::lock guard(mutex_);
    interrupted_ = false;
  }

  /// Consumes a notification that is known to have been sent, without sleeping.
  void consume_notification() {
    detail::lock guard(mutex_);
    notified_ = false;
  }

private:
  detail::mutex mutex_;
  union {
    detail::condition_variable condition_;
  };
  bool notified_ = false;
  bool interrupted_ = false;
  bool sleeping_ = false;
};

KINO_NAMESPACE_END
