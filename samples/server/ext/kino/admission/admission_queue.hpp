// SPDX-License-Identifier: MIT
//
// Where requests and events of WebSockets wait when the queue is full.

#pragma once

#include "admission/work.hpp"
#include "base/options.hpp"
#include "http/exchange.hpp"
#include "net/io_thread.hpp"
#include "net/notice.hpp"

#include <atomic>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <utility>

namespace kino::server {

/// An admission_queue keeps requests, in order, until the workers' queue has room or their deadline
/// has passed. No thread waits for them.
///
/// A request that has expired in the workers' queue keeps its place there until a worker reaches it.
/// The requests behind it are not delayed by that: they wait here instead, in order and no longer.
///
/// Every request that enters is accepted by the workers' queue, expires at its deadline, or expires
/// immediately if there is no memory for it. While requests wait, an alarm is set or about to be.
///
/// Turns of WebSockets wait in a line of their own, which needs no memory, without a deadline. If both lines wait, they
/// take turns.
///
/// Threads: any.  Blocks: never; the lock is not held while a request is offered or expires.
class admission_queue {
public:
  /// The outcome of offering a request to the workers' queue.
  enum class fate { accepted, full, closed };
  /// Takes the work only if it returns `accepted`. Any thread; must not block. If it throws,
  /// a request expires, and a turn is discarded.
  using offer = std::function<fate(work&)>;
  class place;

  admission_queue(io_thread& home, clock::duration timeout, offer to_queue);

  /// Passes `reply` on to the workers' queue, or keeps it. Requests that already wait go first.
  void enter(exchange::reply&& reply) noexcept;
  /// Likewise, a turn.
  void enter(websocket_turn&& turn) noexcept;
  /// Reports that the workers' queue has become shorter. Cheap if no request waits.
  void room_again() noexcept {
    // The fence orders the change of the queue before the load of the count; `enter` counts before
    // it checks the queue again. One of the two sees the other.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (count_.load(std::memory_order_relaxed) != 0) admit();
  }
  /// Expires all waiting and later requests, and discards all waiting and later turns.
  void close() noexcept;
  /// The number of requests that wait; may be stale on return.
  [[nodiscard]] std::size_t size() const { return requests_.load(std::memory_order_relaxed); }

private:
  struct entry {
    exchange::reply reply;  // empty while it is being offered, which only the first one is
    clock::time_point until;
  };

  [[nodiscard]] fate offer_to_queue(work& any) noexcept;
  void admit() noexcept;
  [[nodiscard]] work take_first() noexcept;
  [[nodiscard]] bool put_back(work& first, fate offered) noexcept;
  void watch() noexcept;
  void expire_until(clock::time_point latest) noexcept;
  [[nodiscard]] bool take(clock::time_point latest, exchange::reply& late);
  [[nodiscard]] bool take(websocket_turn& waiting) noexcept;

  clock::duration const timeout_;
  offer const offer_;
  notice alarm_notice_;
  deadline alarm_;  // the I/O thread's
  std::mutex mutex_;
  std::deque<entry> entries_;
  websocket_line turns_;
  std::atomic<std::size_t> count_{0};     // of both
  std::atomic<std::size_t> requests_{0};  // relaxed: a number to look at
  bool turn_is_next_ = false;  // if both wait
  bool admitting_ = false;  // a thread offers; others say `again_` and leave it to that one
  bool again_ = false;
  bool offering_ = false;    // ... the first entry
  bool alarm_due_ = false;   // `watch` will be called
  bool closed_ = false;
};

/// A place is that of a request or a turn in the workers' queue. When it is taken, or dropped because it has ended, the
/// place is given up, and the admission_queue admits the next one.
///
/// Threads: one at a time.  Lifetime: must not outlive the admission_queue.
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

  /// Call after the request has left the workers' queue.
  void give_up() noexcept;
  /// Call if the workers' queue has refused the request.
  void refuse() noexcept { room_ = nullptr; }

private:
  admission_queue* room_ = nullptr;
};

}  // namespace kino::server
