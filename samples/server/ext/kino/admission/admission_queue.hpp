// SPDX-License-Identifier: MIT
//
// Where requests wait when the queue is full.

#pragma once

#include "base/options.hpp"
#include "http/exchange.hpp"
#include "net/io_thread.hpp"
#include "net/notice.hpp"

#include <asio/steady_timer.hpp>

#include <atomic>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <utility>

namespace kino::server {

/// A admission_queue keeps requests, in order, until the queue has room or they have waited too
/// long and expire. No thread waits with them.
///
/// A request that has expired in the queue keeps its place there until a worker comes to it. The
/// requests behind it lose nothing by that: they wait here instead, in order and no longer.
///
/// Every request that enters is accepted by the queue, expires at its deadline, or expires at
/// once where there is no memory for it. While requests wait, an alarm is set or on its way.
///
/// Threads: any.  Blocks: never; the lock is not held while a request is offered or expires.
class admission_queue {
public:
  /// What became of a request that was offered to the queue.
  enum class fate { accepted, full, closed };
  /// Takes the request only if it returns `accepted`. Any thread; must not block. If it throws,
  /// the request expires.
  using offer = std::function<fate(exchange::reply&)>;
  class place;

  admission_queue(io_thread& home, clock::duration timeout, offer to_queue);

  /// Lets `reply` through to the queue, or in. Requests that wait already go first.
  void enter(exchange::reply&& reply) noexcept;
  /// Says that the queue has become shorter. Cheap if nobody waits.
  void room_again() noexcept {
    // The fence orders the queue's change before the look at the count; `enter` counts before
    // it looks at the queue again. One of the two sees the other.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (count_.load(std::memory_order_relaxed) != 0) admit();
  }
  /// Expires everybody, now and later.
  void close() noexcept;
  [[nodiscard]] std::size_t size() const { return count_.load(std::memory_order_relaxed); }

private:
  struct entry {
    exchange::reply reply;  // empty while it is being offered, which only the first one is
    clock::time_point until;
  };

  [[nodiscard]] fate offer_to_queue(exchange::reply& reply) noexcept;
  void admit() noexcept;
  void watch() noexcept;
  void expire_until(clock::time_point latest) noexcept;
  [[nodiscard]] bool take(clock::time_point latest, exchange::reply& late);

  clock::duration const timeout_;
  offer const offer_;
  asio::steady_timer timer_;  // the I/O thread's
  notice alarm_notice_;
  std::mutex mutex_;
  std::deque<entry> entries_;
  std::atomic<std::size_t> count_{0};
  bool admitting_ = false;  // a thread offers; others say `again_` and leave it to that one
  bool again_ = false;
  bool offering_ = false;    // ... the first entry
  bool alarm_due_ = false;   // `watch` will be called
  bool closed_ = false;
};

/// A place is what a request has in the queue. Whoever takes the request out, or drops it because it has ended, gives the
/// place up, and the room lets the next request in.
///
/// Threads: one at a time.  Lifetime: not beyond the room's.
class admission_queue::place {
public:
  place() = default;
  explicit place(admission_queue& room) noexcept : room_(&room) {}
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
  admission_queue* room_ = nullptr;
};

}  // namespace kino::server
