// SPDX-License-Identifier: MIT
//
// request_queue<Request>: the queued requests of a dispatcher, each of which ends in any case.

#pragma once

#include <kino/channel.hpp>
#include <kino/detail/atomic.hpp>
#include <kino/detail/config.hpp>

#include <cstddef>
#include <cstdint>
#include <utility>

KINO_NAMESPACE_BEGIN
namespace detail {

/// A request_queue is a channel of requests: it takes only those that have not ended, and abandons
/// those that no worker will take.
///
/// Threads: any.
/// Blocks:  never; a push that waits uses `channel()`.
template <class Request>
class request_queue {
public:
  explicit request_queue(std::size_t capacity) : queue_(capacity) {}

  /// Where requests are pushed, with or without waiting.
  [[nodiscard]] kino::channel<Request>& channel() { return queue_; }
  [[nodiscard]] kino::channel<Request> const& channel() const { return queue_; }

  /// Moves the next request that has not ended into `out`.
  pop_result take(Request& out) {
    for (;;) {
      pop_result const popped = queue_.try_pop(out);
      if (popped != pop_result::popped || !out.reply || !out.reply.ended()) return popped;
      dropped_.fetch_add(1, std::memory_order_relaxed);  // pairs with nothing: a statistic
      out = Request();
    }
  }

  /// Abandons queued requests while `unattended()`; returns how many.
  template <class Unattended>
  std::size_t discard_while(Unattended unattended) noexcept {
    std::size_t discarded = 0;
    Request request;
    while (unattended() && queue_.try_pop(request) == pop_result::popped) {
      // A one-way message has no client; it is discarded as well.
      discarded += !request.reply || request.reply.weak().abandon();
      request = Request();
    }
    return discarded;
  }

  /// Number of requests that had ended before `take`.
  [[nodiscard]] std::uint64_t dropped() const {
    return dropped_.load(std::memory_order_relaxed);  // pairs with nothing: a statistic
  }

private:
  kino::channel<Request> queue_;
  atomic<std::uint64_t> dropped_{0};
};

}  // namespace detail
KINO_NAMESPACE_END
