// SPDX-License-Identifier: MIT
//
// handshake_deadline: limits the time that a TLS handshake may take.

#pragma once

#include "base/deadline.hpp"
#include "base/options.hpp"

#include <list>
#include <memory>
#include <mutex>

namespace kino::server {

/// A handshake_deadline ends connections whose handshake is not complete within a fixed time, however it is fragmented.
///
/// It keeps them in the order in which they were accepted. All have the same timeout, so the first one is due first
/// and one alarm serves all. It ends a connection by shutting its socket down, which its I/O thread sees as the end of
/// the stream. If that thread has not read what has arrived, because it was busy or the process did not run, it gets a second
/// to do so, once.
///
/// Threads: the thread of `alarms`, except for handshakes.
/// Lifetime: destroyed before `alarms`, and stopped before that if it has watched; handshakes may outlive it.
class handshake_deadline {
public:
  /// One handshake; any thread. It is finished at the latest when the last pointer that `watch` returned is gone, which
  /// must be before its socket is closed.
  class handshake {
  public:
    explicit handshake(int socket) noexcept : socket_(socket) {}
    handshake(handshake const&) = delete;

    /// It is complete.
    void finished() noexcept;
    /// Whether it took too long.
    [[nodiscard]] bool expired() const noexcept;

  private:
    friend class handshake_deadline;
    [[nodiscard]] bool over() const noexcept;
    [[nodiscard]] bool unread() const noexcept;
    void expire() noexcept;

    std::mutex mutable mutex_;
    int socket_;  // -1: finished
    bool expired_ = false;
  };

  handshake_deadline(deadline_queue& alarms, clock::duration timeout)
      : timeout_(timeout), alarm_(alarms, [this] { look(); }) {}
  handshake_deadline(handshake_deadline const&) = delete;

  /// Begins to watch. Throws std::bad_alloc.
  [[nodiscard]] std::shared_ptr<handshake> watch(int socket);
  /// Watches no longer.
  void stop() noexcept;

private:
  struct watched {
    std::shared_ptr<handshake> of;
    clock::time_point due;
  };

  void look() noexcept;
  void set_alarm() noexcept;

  clock::duration const timeout_;
  deadline alarm_;
  clock::time_point alarm_at_{};
  std::list<watched> watched_;
  std::list<watched> unread_;  // those that were due and get their second
};

}  // namespace kino::server
