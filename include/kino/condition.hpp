// SPDX-License-Identifier: MIT
//
// condition: lets any number of threads wait until something that other threads change is true.

#pragma once

#include <kino/detail/atomic.hpp>
#include <kino/detail/config.hpp>
#include <kino/detail/deadline.hpp>
#include <kino/fork_mark.hpp>
#include <kino/parker.hpp>

#include <chrono>
#include <concepts>
#include <optional>
#include <utility>

KINO_NAMESPACE_BEGIN

/// A condition lets any number of threads wait until a predicate of yours is true.
///
/// It is a condition variable for state that has its own synchronisation: a thread changes the state
/// (an atomic, or something under your own leaf lock), then calls `notify_all`, and every waiting
/// thread evaluates its predicate again. No wake-up is lost: a change that a predicate did not see
/// is notified to the thread that evaluated it. The state may become false again before a waiting
/// thread runs; it then continues to wait.
///
/// Ruby threads wait with kino::wait(held, changed, predicate) of wait.hpp, which evaluates the
/// predicate with the GVL held. To wake only one of the waiting threads, use a `channel`; if the
/// event occurs once and has a value, use a `shared_answer`.
///
/// Threads: any.
/// GVL:     never needed. `wait`, `wait_for` and `wait_until` must not be called with the GVL held
///          (checked where they block).
/// Blocks:  the waits; `notify_all` holds a leaf lock while it wakes the waiting threads.
/// Throws:  std::runtime_error from a wait that would block in a forked child; what the predicate
///          throws.
/// Order:   effects before `notify_all` are visible to the predicates that it causes to be evaluated.
/// Fork:    in a child, `notify_all` does nothing, and it can be destroyed.
///
/// Example:
///
///     std::atomic<int> open{2};
///     kino::condition changed;
///     auto close = [&](std::stop_token) {
///       --open;
///       changed.notify_all();
///     };
///     kino::native_thread one(close);
///     kino::native_thread other(close);
///     changed.wait([&] { return open == 0; });
///
class condition {
public:
  condition() = default;
  condition(condition const&) = delete;
  condition& operator=(condition const&) = delete;
  /// Every wait must have returned.
  ~condition() {
    KINO_ASSERT(!first_ || born_.forked(), "a condition must not be destroyed while threads wait for it");
  }

  /// Wakes every waiting thread. Call it after the change, never before.
  void notify_all() noexcept {
    // There, no thread waits, and locks held by the parent's threads stay locked.
    if (born_.forked()) return;
    detail::lock guard(mutex_);
    // Under the mutex: a waiter that leaves destroys its parker.
    for (waiter* each = first_; each; each = each->next_) each->spot_.notify();
  }

  /// Waits until `done()` is true.
  template <std::predicate Predicate>
  void wait(Predicate done) {
    static_cast<void>(wait_until(std::nullopt, std::move(done)));
  }
  /// Waits until `done()` is true, but at most `patience`; returns the result of the last `done()`.
  template <class Rep, class Period, std::predicate Predicate>
  [[nodiscard]] bool wait_for(std::chrono::duration<Rep, Period> patience, Predicate done) {
    return wait_until(detail::deadline_after(patience), std::move(done));
  }
  /// Waits until `done()` is true, or until `until` (none: forever); returns the result of the last
  /// `done()`.
  template <std::predicate Predicate>
  [[nodiscard]] bool wait_until(std::optional<std::chrono::steady_clock::time_point> until,
                                Predicate done) {
    if (done()) return true;
    waiter here(*this);
    return here.sleep_until(done, [until](parker& spot) { return spot.park(until); });
  }

  /// One waiting thread, registered for the lifetime of this object. For wait.hpp.
  class waiter {
  public:
    /// Throws std::runtime_error in a forked child.
    explicit waiter(condition& of) : of_(of) {
      of_.born_.expect_same_process("condition");
      detail::lock guard(of_.mutex_);
      next_ = std::exchange(of_.first_, this);
      if (next_) next_->previous_ = this;
    }
    waiter(waiter const&) = delete;
    waiter& operator=(waiter const&) = delete;
    ~waiter() {
      if (of_.born_.forked()) return;  // as in notify_all
      detail::lock guard(of_.mutex_);
      if (next_) next_->previous_ = previous_;
      (previous_ ? previous_->next_ : of_.first_) = next_;
    }

    /// Sleeps with `park(spot)` until `done()` is true or the sleep times out. The predicate is evaluated after the
    /// registration: a change that it misses is notified to this waiter.
    template <class Predicate, class Park>
    [[nodiscard]] bool sleep_until(Predicate& done, Park park) {
      while (!done()) {
        if (park(spot_) == park_result::timed_out) return done();
      }
      return true;
    }

  private:
    friend condition;
    condition& of_;
    parker spot_;
    waiter* next_ = nullptr;
    waiter* previous_ = nullptr;
  };

private:
  detail::mutex mutex_;
  waiter* first_ = nullptr;  // under the mutex
  fork_mark const born_;
};

KINO_NAMESPACE_END
