// SPDX-License-Identifier: MIT
//
// How long a request may wait for a worker.

#pragma once

#include "exchange.hpp"
#include "options.hpp"

#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>

#include <chrono>
#include <exception>
#include <mutex>

namespace kino::server {

/// A queue_deadline expires requests that no worker begins within a fixed time, also when every worker is stuck.
///
/// It keeps the requests in a list, in the order in which they were handed over. All have the same
/// patience, so the first one is due first and one timer serves all. It does not keep requests
/// open, and forgets those that have begun or ended when the next one comes, or after `tidy_time`.
///
/// A worker that takes a request calls `exchange::begin`: exactly one of the two gets it.
///
/// Threads: any; the timer's handler runs on `context`'s thread. The lock is a leaf, and no
///          request expires under it.
/// Blocks:  never.  Throws: nothing: requests bring their places in the list with them.
class queue_deadline {
public:
  /// A `patience` of zero lets requests wait for ever.
  queue_deadline(asio::io_context& context, clock::duration patience);
  queue_deadline(queue_deadline const&) = delete;
  ~queue_deadline();

  /// Expires the request `patience` from now, unless it has begun or ended by then.
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
  void ask_for_alarm() noexcept;
  void set_alarm() noexcept;
  void no_alarm(std::exception const& why) noexcept;

  clock::duration const patience_;
  asio::steady_timer timer_;
  std::mutex mutex_;
  list watched_;
  bool alarm_set_ = false;
  bool closed_ = false;
};

}  // namespace kino::server
