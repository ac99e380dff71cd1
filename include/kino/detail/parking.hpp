// SPDX-License-Identifier: MIT
//
// Sleep and wake for one thread. It knows nothing of Ruby; Ruby's unblock functions call
// `interrupt`.

#pragma once

#include <kino/detail/atomic.hpp>

#include <chrono>
#include <optional>

KINO_NAMESPACE_BEGIN
namespace detail {

using clock = std::chrono::steady_clock;
using deadline = std::optional<clock::time_point>;  // none: for ever

// A century and more is for ever: callers say so with the largest duration they have, and the
// clock could not count that far.
template <class Rep, class Period>
deadline deadline_after(std::chrono::duration<Rep, Period> patience) {
  if (patience > std::chrono::hours(24 * 36525)) return std::nullopt;
  if (patience <= patience.zero()) return clock::now();
  return clock::now() + std::chrono::duration_cast<clock::duration>(patience);
}

enum class [[nodiscard]] park_result { notified, timed_out, interrupted };

/// A parker lets one thread sleep until another notifies or interrupts it, or a deadline passes.
///
/// Both signals are sticky: one that comes before `park` ends the next `park` at once, so there
/// is no window in which a wake-up is lost and nothing ever polls. A notification outranks an
/// interruption, because something was handed over with it.
///
/// Threads:  `park` and `clear_interruption` by the owner, the others by anyone.
/// Blocks:   `park` only; `notify` and `interrupt` hold a leaf lock for a few instructions.
///
/// Fork:     may be destroyed in a child whose parent's thread sleeps in it.
class parker {
public:
  parker() : condition_() {}
  parker(parker const&) = delete;
  parker& operator=(parker const&) = delete;
  // Destroying a condition variable waits for its sleepers. Nobody sleeps here in the process of
  // the owner; in a forked child the sleeper stayed in the parent and would never come back.
  ~parker() {
    if (!sleeping_) condition_.~condition();
  }

  park_result park(deadline until) {
    lock guard(mutex_);
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

  void notify() {
    // The signal is sent under the lock: once it is released the sleeper may return and take
    // the parker, which often lives in its frame, away with it.
    lock guard(mutex_);
    notified_ = true;
    if (sleeping_) condition_.notify_one();
  }

  void interrupt() {
    lock guard(mutex_);
    interrupted_ = true;
    if (sleeping_) condition_.notify_one();
  }

  /// Forgets an interruption. Call it before the wait that may be interrupted is announced to
  /// Ruby, never after: what arrives later belongs to that wait.
  void clear_interruption() {
    lock guard(mutex_);
    interrupted_ = false;
  }

  /// Takes a notification that is known to have been sent, without sleeping.
  void consume_notification() {
    lock guard(mutex_);
    notified_ = false;
  }

private:
  mutex mutex_;
  union {
    condition condition_;
  };
  bool notified_ = false;
  bool interrupted_ = false;
  bool sleeping_ = false;
};

}  // namespace detail
KINO_NAMESPACE_END
