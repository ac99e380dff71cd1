// SPDX-License-Identifier: MIT
//
// parker: one thread sleeps in it until another wakes it.

#pragma once

#include <kino/detail/atomic.hpp>
#include <kino/detail/blocking.hpp>
#include <kino/detail/deadline.hpp>

#include <chrono>
#include <memory>
#include <optional>

KINO_NAMESPACE_BEGIN

/// Why a thread that slept in a parker is awake.
enum class [[nodiscard]] park_result {
  notified,     ///< By `notify`; what happened before it is visible.
  timed_out,    ///< The deadline has passed.
  interrupted,  ///< By `interrupt`.
};

/// A parker lets one thread sleep until another notifies or interrupts it, or a deadline passes.
///
/// It is the part that every wait of kino is made of, for waits of your own: keep the condition in
/// your state, under your lock, and let the parker only sleep. Both signals are sticky: one that
/// comes before `park` ends the next `park` at once, so no wake-up is lost between looking at the
/// condition and sleeping. Notifications do not add up. A notification outranks an interruption,
/// because something was handed over with it. There are no spurious wake-ups, but a notification
/// may be older than your last look: look again after each.
///
/// A Ruby thread sleeps with `kino::park(held, spot)` of wait.hpp, which releases the GVL and lets
/// Ruby's interrupts call `interrupt`.
///
/// Threads: `park`, `park_for`, `clear_interruption` and `consume_notification` by the thread that sleeps in it,
///          one at a time; `notify` and `interrupt` any.
/// GVL:     never needed; `park` must not be called by a thread that holds it (checked).
/// Blocks:  `park` and `park_for`; `notify` and `interrupt` hold a leaf lock for a few instructions.
/// Order:   what happened before `notify` is visible after the `park` that returns `notified`.
/// Destroy: as soon as the sleep has ended, even if `notify` has not returned yet; else when no other
///          thread can reach it any more.
/// Fork:    make a new one in a child. An inherited one may be destroyed there, even if a thread
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
  // Destroying a condition variable waits for its sleepers. In a forked child the sleeper stayed
  // in the parent and would never come back.
  ~parker() {
    if (!sleeping_) std::destroy_at(&condition_);
  }

  /// Sleeps until a signal, or until `until`: none is for ever.
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

  /// Sleeps until a signal, but at most `patience`.
  template <class Rep, class Period>
  park_result park_for(std::chrono::duration<Rep, Period> patience) {
    return park(detail::deadline_after(patience));
  }

  /// Ends the sleep, or the next one.
  void notify() {
    // The signal is sent under the lock: once it is released the sleeper may return and take
    // the parker, which often lives in its frame, away with it.
    detail::lock guard(mutex_);
    notified_ = true;
    if (sleeping_) condition_.notify_one();
  }

  /// Ends the sleep and every later one, until `clear_interruption`.
  void interrupt() {
    detail::lock guard(mutex_);
    interrupted_ = true;
    if (sleeping_) condition_.notify_one();
  }

  /// Forgets an interruption. Call it before the wait that may be interrupted is announced to those
  /// who interrupt, never after: what arrives later belongs to that wait.
  void clear_interruption() {
    detail::lock guard(mutex_);
    interrupted_ = false;
  }

  /// Takes a notification that is known to have been sent, without sleeping.
  void consume_notification() {
    detail::lock guard(mutex_);
    notified_ = false;
  }

private:
  detail::mutex mutex_;
  union {
    detail::condition condition_;
  };
  bool notified_ = false;
  bool interrupted_ = false;
  bool sleeping_ = false;
};

KINO_NAMESPACE_END
