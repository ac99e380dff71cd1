// SPDX-License-Identifier: MIT
//
// The events of WebSockets as work: one worker at a time handles those of a connection, in order.

#pragma once

#include <memory>
#include <utility>

namespace kino::server {

class websocket;
struct websocket_event;

/// A websocket_turn is the right to handle the next event of one WebSocket. There is at most one for each.
///
/// A turn that is dropped unfinished means that the event was not handled: the connection is closed with 1011, and its
/// remaining events follow.
///
/// Threads: one at a time; it moves between them.
/// Blocks:  never, except for the mutex of the websocket.
class websocket_turn {
public:
  websocket_turn() = default;
  websocket_turn(websocket_turn&& other) noexcept = default;
  websocket_turn& operator=(websocket_turn&& other) noexcept {
    websocket_turn before(std::move(*this));
    of_ = std::move(other.of_);
    return *this;
  }
  ~websocket_turn();

  [[nodiscard]] explicit operator bool() const { return of_ != nullptr; }
  [[nodiscard]] std::shared_ptr<websocket> const& of() const { return of_; }

  /// Whether `take` computes for so long that a caller should not hold a lock: the GVL.
  [[nodiscard]] bool takes_long() const noexcept;
  /// Takes the event, decompressed if it is a compressed message. Once.
  [[nodiscard]] websocket_event take() noexcept;
  /// The event has been handled. The turn is then empty.
  void finish() noexcept;
  /// No event of the WebSocket can be handled any more; it is closed. The turn is then empty.
  void discard() noexcept;

private:
  friend class websocket;
  explicit websocket_turn(std::shared_ptr<websocket> of) noexcept : of_(std::move(of)) {}

  std::shared_ptr<websocket> of_;
};

/// A websocket_scheduler lets turns be taken. It counts the WebSockets that may still have some.
///
/// Threads: any, without a lock.
/// Blocks:  it must not.
class websocket_scheduler {
public:
  virtual void schedule(websocket_turn&& turn) noexcept = 0;
  /// A WebSocket is open now.
  virtual void begun() noexcept = 0;
  /// It will schedule no further turn, and not use the scheduler again.
  virtual void over() noexcept = 0;

protected:
  ~websocket_scheduler() = default;
};

/// A websocket_line is a queue of turns, without memory of its own: adding one cannot fail.
///
/// Threads: one at a time.
class websocket_line {
public:
  websocket_line() = default;
  websocket_line(websocket_line const&) = delete;
  ~websocket_line();

  [[nodiscard]] bool empty() const { return !first_; }
  void push_back(websocket_turn&& turn) noexcept;
  void push_front(websocket_turn&& turn) noexcept;
  /// The line is not empty.
  [[nodiscard]] websocket_turn pop_front() noexcept;

private:
  websocket_turn first_;
  websocket* last_ = nullptr;
};

}  // namespace kino::server
