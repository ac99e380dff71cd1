// SPDX-License-Identifier: MIT
//
// response_due: the time by which a handler must have begun its response.

#pragma once

#include "base/options.hpp"

#include <atomic>
#include <limits>

namespace kino::server {

/// A response_due is a time limit that one thread may extend while another one checks it. Once it was found to be over, it
/// stays over: exactly one of `extend` and `over` succeeds.
///
/// Threads: any; `start` and `clear` while no other thread can reach it.  Blocks: never.
class response_due {
public:
  /// The limit is at `when`.
  void start(clock::time_point when) noexcept { due_.store(when.time_since_epoch().count(), std::memory_order_relaxed); }
  /// There is no limit.
  void clear() noexcept { due_.store(none, std::memory_order_relaxed); }

  /// Moves the limit to `until`, unless it is later. Returns false if it is already over.
  bool extend(clock::time_point until) noexcept {
    clock::rep const wanted = until.time_since_epoch().count();
    // relaxed, here and below: the value is all that the threads tell each other.
    clock::rep now = due_.load(std::memory_order_relaxed);
    do {
      if (now == passed) return false;
      if (now >= wanted) return true;
    } while (!due_.compare_exchange_weak(now, wanted, std::memory_order_relaxed));
    return true;
  }
  /// Whether the limit is not later than `now`; then it can no longer be extended.
  [[nodiscard]] bool over(clock::time_point now) noexcept {
    clock::rep due = due_.load(std::memory_order_relaxed);
    do {
      if (due > now.time_since_epoch().count()) return false;
    } while (!due_.compare_exchange_weak(due, passed, std::memory_order_relaxed));
    return true;
  }
  /// The limit; clock::time_point::max() if there is none.
  [[nodiscard]] clock::time_point when() const noexcept {
    return clock::time_point(clock::duration(due_.load(std::memory_order_relaxed)));
  }

private:
  static constexpr clock::rep none = std::numeric_limits<clock::rep>::max();
  static constexpr clock::rep passed = std::numeric_limits<clock::rep>::min();

  std::atomic<clock::rep> due_{none};
};

}  // namespace kino::server
