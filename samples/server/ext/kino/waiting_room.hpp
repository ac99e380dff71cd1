// SPDX-License-Identifier: MIT
//
// Where requests wait when the queue is full.

#pragma once

#include "exchange.hpp"
#include "options.hpp"

#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>

#include <atomic>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <utility>

namespace kino::server {

/// A waiting_room keeps requests, in order, until the queue has room or they have waited too
/// long and expire. No thread waits with them.
///
/// A request that has expired in the queue keeps its place there until a worker comes to it. The
/// requests behind it lose nothing by that: they wait here instead, in order and no longer.
///
/// Threads: any.  Blocks: never; the lock is not held while a request is offered or expires.
class waiting_room {
public:
  /// What became of a request that was offered to the queue.
  enum class fate { accepted, full, closed };
  /// Takes the request only if it returns `accepted`. Any thread; must not block.
  using offer = std::function<fate(exchange::reply&)>;
  class place;

  waiting_room(asio::io_context& context, clock::duration patience, offer to_queue);

  /// Lets `reply` through to the queue, or in. Requests that wait already go first.
  void enter(exchange::reply&& reply);
  /// Says that the queue has become shorter. Cheap if nobody waits.
  void room_again() {
    // The fence orders the queue's change before the look at the count; `enter` counts before
    // it looks at the queue again. One of the two sees the other.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (count_.load(std::memory_order_relaxed) != 0) let_in();
  }
  /// Expires everybody, now and later.
  void close();

private:
  struct guest {
    exchange::reply reply;
    clock::time_point until;
  };

  void let_in();
  void expire_late();
  void set_alarm(clock::time_point when);

  clock::duration const patience_;
  offer const offer_;
  asio::steady_timer timer_;
  std::mutex mutex_;
  std::deque<guest> guests_;
  std::atomic<std::size_t> count_{0};
  bool letting_in_ = false;
  bool again_ = false;
  bool alarm_set_ = false;
  bool closed_ = false;
};

/// A place is what a request has in the queue. Whoever takes the request out, or drops it because it has ended, gives the
/// place up, and the room lets the next request in.
///
/// Threads: one at a time.  Lifetime: not beyond the room's.
class waiting_room::place {
public:
  place() = default;
  explicit place(waiting_room& room) noexcept : room_(&room) {}
  place(place&& other) noexcept : room_(std::exchange(other.room_, nullptr)) {}
  place& operator=(place&& other) noexcept {
    give_up();
    room_ = std::exchange(other.room_, nullptr);
    return *this;
  }
  ~place() { give_up(); }

  /// After the request has left the queue.
  void give_up() noexcept;
  /// Says that the queue had none.
  void refuse() noexcept { room_ = nullptr; }

private:
  waiting_room* room_ = nullptr;
};

}  // namespace kino::server
