// SPDX-License-Identifier: MIT
//
// How long a request may wait for a worker.

#pragma once

#include "base/options.hpp"
#include "http/exchange.hpp"
#include "net/io_thread.hpp"
#include "net/notice.hpp"

#include <asio/steady_timer.hpp>

#include <chrono>
#include <mutex>

namespace kino::server {

/// A queue_deadline expires requests that no worker begins within a fixed time, also when every worker is stuck.
///
/// It keeps the requests in a list, in the order in which they were handed over. All have the same
/// timeout, so the first one is due first and one timer serves all. It does not keep requests
/// open, and forgets those that have begun or ended when the next one comes, or after `tidy_time`.
///
/// A worker that takes a request calls `exchange::begin`: exactly one of the two gets it.
///
/// While requests are watched, an alarm is set or a notice on its way that sets one. Where there is
/// no memory for an alarm, the I/O thread looks each time it comes round.
///
/// Threads: any; requests expire on the thread of `home`. The lock is a leaf, and no request expires
///          under it.
/// Lifetime: ends after `home` has stopped.
/// Blocks:  never.  Throws: nothing: requests bring their places in the list with them.
class queue_deadline {
public:
  /// A `timeout` of zero lets requests wait for ever.
  queue_deadline(io_thread& home, clock::duration timeout);
  queue_deadline(queue_deadline const&) = delete;
  ~queue_deadline();

  /// Expires the request `timeout` from now, unless it has begun or ended by then.
  void watch(exchange::reply const& reply) noexcept;
  /// Forgets all requests; watches no more.
  void close() noexcept;

private:
  /// How long an exchange that is over stays here at most if nothing else arrives.
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
  asio::steady_timer timer_;  // the I/O thread's
  notice look_notice_;
  std::mutex mutex_;
  list watched_;
  bool alarm_due_ = false;  // `look` will be called
  bool closed_ = false;
};

}  // namespace kino::server
