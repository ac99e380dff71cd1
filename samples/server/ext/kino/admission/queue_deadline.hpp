// SPDX-License-Identifier: MIT
//
// queue_deadline: limits the time that a request waits for a worker.

#pragma once

#include "base/deadline.hpp"
#include "http/exchange.hpp"
#include "net/io_thread.hpp"
#include "net/notice.hpp"

#include <chrono>
#include <mutex>

namespace kino::server {

/// A queue_deadline expires requests that no worker begins within a fixed time, even if every worker
/// is stuck.
///
/// It keeps the requests in a list, in the order in which they were handed over. All have the same
/// timeout, so the first one is due first and one timer serves all. It does not keep requests open,
/// and drops those that have begun or ended when the next one arrives, or after `tidy_time`.
///
/// A worker that takes a request calls `exchange::begin`: exactly one of the two gets it.
///
/// While requests are watched, an alarm is set, or a notice that sets one has been sent.
///
/// Threads: any; requests expire on the thread of `home`. The lock is a leaf lock, and no request
///          expires under it.
/// Lifetime: destroyed after `home` has stopped.
/// Blocks:  never.  Throws: nothing, because the list links are part of the requests.
class queue_deadline {
public:
  /// A `timeout` of zero lets requests wait forever.
  queue_deadline(io_thread& home, clock::duration timeout);
  queue_deadline(queue_deadline const&) = delete;
  ~queue_deadline();

  /// Expires the request after `timeout`, unless it has begun or ended by then.
  void watch(exchange::reply const& reply) noexcept;
  /// Drops all requests and stops watching.
  void close() noexcept;

private:
  /// The maximum time that an ended exchange stays in the list if no other arrives.
  static constexpr std::chrono::seconds tidy_time{1};

  struct list {
    exchange* first = nullptr;
    exchange* last = nullptr;

    void push(exchange& one) noexcept;
    exchange& pop() noexcept;
    void forget_all() noexcept;
  };

  void take_finished(list& into) noexcept;
  void take_late(list& into, clock::time_point now) noexcept;
  void look() noexcept;
  void set_alarm() noexcept;

  clock::duration const timeout_;
  notice look_notice_;
  deadline alarm_;  // the I/O thread's
  std::mutex mutex_;
  list watched_;
  bool alarm_due_ = false;  // `look` will be called
  bool closed_ = false;
};

}  // namespace kino::server
