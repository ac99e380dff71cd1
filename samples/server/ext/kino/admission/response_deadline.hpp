// SPDX-License-Identifier: MIT
//
// response_deadline: limits the time that a worker may take to begin its response.

#pragma once

#include "base/deadline.hpp"
#include "http/exchange.hpp"
#include "net/io_thread.hpp"
#include "net/notice.hpp"

#include <cstddef>
#include <mutex>
#include <vector>

namespace kino::server {

/// A response_deadline expires requests whose worker has not begun the response a fixed time after it took the request.
/// The client then has its answer, and what the worker responds later is dropped. The worker itself is not disturbed. It may
/// extend the time with `exchange::due`.
///
/// There is at most one request for each worker, so a table of them suffices. A request expires at most once, and not if its
/// response has begun.
///
/// Threads: any, one at a time for each worker; requests expire on the thread of `home`. The lock is a leaf lock, and no
///          request expires under it.
/// Lifetime: destroyed after `home` has stopped.
/// Blocks:  never.  Throws: std::bad_alloc, from the constructor.
class response_deadline {
public:
  /// For workers with the numbers 0 to `workers` - 1. A `timeout` of zero: they may take any time.
  response_deadline(io_thread& home, clock::duration timeout, std::size_t workers);
  response_deadline(response_deadline const&) = delete;
  ~response_deadline();

  /// The worker has taken this request.
  void watch(std::size_t worker, exchange& request) noexcept;
  /// The worker has nothing more to do with its request.
  void forget(std::size_t worker) noexcept;
  /// Forgets all requests.
  void close() noexcept;

private:
  [[nodiscard]] bool limited() const { return timeout_ != clock::duration::zero(); }
  void look() noexcept;
  [[nodiscard]] exchange* take_late(clock::time_point now, clock::time_point& next) noexcept;

  clock::duration const timeout_;
  notice look_notice_;
  deadline alarm_;  // the I/O thread's, as is the next one
  clock::time_point alarm_at_{};
  std::mutex mutex_;
  std::vector<exchange*> requests_;  // one weak reference each; null: none
  bool alarm_due_ = false;  // `look` will be called
};

}  // namespace kino::server
