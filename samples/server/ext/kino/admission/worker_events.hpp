// SPDX-License-Identifier: MIT
//
// worker_events: what has happened to workers, for their supervisor, in the order in which it happened.

#pragma once

#include <kino/channel.hpp>
#include <kino/condition.hpp>
#include <kino/leaf_mutex.hpp>
#include <kino/worker_slots.hpp>

#include <cstddef>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace kino::server {

/// An event for the supervisor.
struct event {
  enum class kind { none, worker_joined, worker_exited, worker_stuck, room_asked, unit_due };
  kind what = kind::none;
  kino::worker_id worker{};  // of the first three; of an exit without a join, no generation
  std::size_t unit = 0;      // see worker_recycler
  std::string reason{};      // of an exit; empty: a normal exit
  bool dismissed = false;    // an exit as planned: it had been dismissed
};

/// worker_events hands events to the supervisor in one order for all threads that post them.
///
/// A channel orders the events of one thread only, but several threads report about one worker: an I/O thread that it is stuck,
/// the worker itself that it has joined or ends. In another order, that end would be a death.
///
/// Threads: any; one supervisor.
/// Blocks:  never; a leaf lock is held for a few instructions.
/// Throws:  std::bad_alloc, from the constructor.
class worker_events {
public:
  explicit worker_events(std::size_t capacity) : places_(capacity) {}
  worker_events(worker_events const&) = delete;

  /// Adds an event; returns false if there is no room for it. After `close`, it is dropped.
  [[nodiscard]] bool post(event&& happened) noexcept {
    {
      std::lock_guard guard(mutex_);
      if (closed_) return true;
      if (size_ == places_.size()) return false;
      places_[(first_ + size_++) % places_.size()] = std::move(happened);
    }
    posted_.notify_all();
    return true;
  }

  /// Moves the oldest event into `next`; `closed` only if none is left.
  pop_result try_pop(event& next) noexcept {
    std::lock_guard guard(mutex_);
    if (size_ == 0) return closed_ ? pop_result::closed : pop_result::empty;
    next = std::move(places_[first_]);
    first_ = (first_ + 1) % places_.size();
    --size_;
    return pop_result::popped;
  }

  /// There will be no more events.
  void close() noexcept {
    {
      std::lock_guard guard(mutex_);
      closed_ = true;
    }
    posted_.notify_all();
  }

  /// Notified of each event and of `close`.
  [[nodiscard]] kino::condition& posted() noexcept { return posted_; }

private:
  std::vector<event> places_;  // a ring
  kino::leaf_mutex mutex_;     // guards all but the condition
  std::size_t first_ = 0;
  std::size_t size_ = 0;
  bool closed_ = false;
  kino::condition posted_;
};

}  // namespace kino::server
