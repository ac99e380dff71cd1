// SPDX-License-Identifier: MIT
//
// deadline: calls a function once a point in time has passed.

#pragma once

#include "base/options.hpp"

#include <functional>
#include <map>

namespace kino::server {

class deadline;

/// A deadline_queue holds the deadlines of one thread, which calls `run` when the earliest is due.
///
/// Threads: one.
/// Lifetime: longer than any deadline in it is set.
class deadline_queue {
public:
  /// `wake_by(when)` must lead to a call of `run` at `when`. It is called when a deadline becomes the earliest one, except
  /// from within `run`, and must not throw.
  explicit deadline_queue(std::function<void(clock::time_point)> wake_by) : wake_by_(std::move(wake_by)) {}
  deadline_queue(deadline_queue const&) = delete;

  /// Calls the functions of all deadlines that are due at `now`, the earliest first. A deadline that is called is no
  /// longer set; its function may set it again, may set, clear and destroy others, and may destroy it as its last
  /// action. What a function sets for a time that is not later than that of its own deadline is due in the next run.
  void run(clock::time_point now) noexcept;
  /// The earliest deadline; clock::time_point::max() if there is none.
  [[nodiscard]] clock::time_point next() const {
    return set_.empty() ? clock::time_point::max() : set_.begin()->first;
  }

private:
  friend class deadline;
  using ordered = std::multimap<clock::time_point, deadline*>;

  std::function<void(clock::time_point)> const wake_by_;
  ordered set_;
  clock::time_point now_{};      // of the run
  clock::time_point reached_{};  // in it: the time of the deadline that is called
  bool running_ = false;
};

/// A deadline calls its function once when its time has passed. Setting it again replaces the time; clearing it cancels
/// the call.
///
/// Its memory is allocated with it, so setting it cannot fail.
///
/// Threads: the queue's, except for the constructor, and for the destructor of one that is not set.
/// Errors:  the function must not throw. The constructor throws std::bad_alloc.
class deadline {
public:
  deadline(deadline_queue& in, std::function<void()> then);
  deadline(deadline const&) = delete;
  ~deadline() { clear(); }

  void set(clock::time_point when) noexcept;
  void clear() noexcept;
  /// The time for which it is set; clock::time_point::max() if it is not.
  [[nodiscard]] clock::time_point due() const { return place_ ? clock::time_point::max() : at_->first; }

private:
  friend class deadline_queue;

  deadline_queue& queue_;
  std::function<void()> const then_;
  deadline_queue::ordered::node_type place_;      // while it is not set ...
  deadline_queue::ordered::iterator at_;          // ... and while it is
};

}  // namespace kino::server
