// SPDX-License-Identifier: MIT
//
// dispatch_core<Request>: what brings a dispatcher's queue and its workers together, and ends every request.

#pragma once

#include <kino/channel.hpp>
#include <kino/detail/atomic.hpp>
#include <kino/detail/request_queue.hpp>
#include <kino/detail/ruby/worker_pool.hpp>
#include <kino/gvl.hpp>
#include <kino/responder.hpp>
#include <kino/run_permits.hpp>

#include <atomic>
#include <cstddef>

KINO_NAMESPACE_BEGIN
namespace detail {

/// A dispatch_core lets native threads submit requests and workers take them. Requests that no worker will take are
/// abandoned, by the thread that causes this or by the one that submits them.
///
/// Threads: any, for `submit` and `close`; the Ruby thread that joined, for `take`.
/// Blocks:  `take`; `submit` if its push does.
/// Fork:    `submit` and `take` throw in a child; `close` does nothing.
template <class Request>
class dispatch_core {
public:
  dispatch_core(std::size_t capacity, bool permits, bool refuse_without_workers,
                run_permits::options const& chosen)
      : refuse_without_workers_(refuse_without_workers),
        queue_(capacity),
        pool_(permits, chosen, [this] { return queue_.channel().size() != 0; },
              [this] { discard_if_unattended(); }) {}
  dispatch_core(dispatch_core const&) = delete;
  dispatch_core& operator=(dispatch_core const&) = delete;

  [[nodiscard]] request_queue<Request> const& queue() const { return queue_; }
  [[nodiscard]] worker_pool& pool() { return pool_; }
  [[nodiscard]] worker_pool const& pool() const { return pool_; }
  [[nodiscard]] bool closed() const { return queue_.channel().closed(); }

  /// Calls `push(channel)`, unless the workers have left and requests are then refused.
  template <class Push>
  push_result submit(Push push) {
    pool_.check_process();
    try {
      if (refuse_without_workers_ && pool_.deserted() && !closed()) return push_result::no_workers;
      push_result const result = push(queue_.channel());
      if (result == push_result::pushed) {
        pool_.work_arrived();
        if (unattended()) discard_if_unattended();
      }
      return result;
    } catch (...) {
      stop_if_drained();  // `close` may have waited for the push that failed.
      throw;
    }
  }

  /// Refuses further requests; `discard` abandons the queued ones, even if there are workers. Returns how many were
  /// abandoned.
  std::size_t close(bool discard) {
    if (pool_.forked()) return 0;
    if (discard) discarding_.store(true, std::memory_order_seq_cst);  // as in unattended
    queue_.channel().close();
    return discard_if_unattended();
  }

  /// Waits for a request, and takes up to `most`; sets `count`. Returns false if there will be none, or none for `self`.
  template <class Output>
  [[nodiscard]] bool take(gvl const& held, pool_member& self, Output out, std::size_t most, std::size_t& count);

private:
  void stop_if_drained() {
    if (queue_.channel().drained()) pool_.stop();
  }
  // Whether no worker will take the queued requests. seq_cst throughout: it is checked after a
  // request is published and after every change that makes it true; one of the two threads sees
  // the other and discards.
  [[nodiscard]] bool unattended() const {
    if (discarding_.load(std::memory_order_seq_cst)) return true;
    return closed() ? pool_.empty() : refuse_without_workers_ && pool_.deserted();
  }
  std::size_t discard_if_unattended() noexcept {
    // Checked again for each: a worker may have joined.
    std::size_t const discarded = queue_.discard_while([this] { return unattended(); });
    stop_if_drained();
    return discarded;
  }

  bool const refuse_without_workers_;
  request_queue<Request> queue_;
  atomic<bool> discarding_{false};
  worker_pool pool_;
};

template <class Request>
template <class Output>
bool dispatch_core<Request>::take(gvl const& held, pool_member& self, Output out, std::size_t most,
                                  std::size_t& count) {
  count = 0;
  pool_.check_process();
  pool_.expect_member(self);
  pool_.finish(self);
  pool_.share_gvl(held, self);
  for (;;) {
    if (pool_.dismissed(self)) {
      pool_.retire(self);
      return false;
    }
    bool const may_run = pool_.may_run(self);
    // A drained queue concerns every worker, with or without a permit.
    if (!may_run && !queue_.channel().drained()) {
      pool_.wait_for_turn(held, self);
      continue;
    }
    while (count < most) {
      pop_result const popped = queue_.take(*out);
      if (popped == pop_result::closed && count == 0) {
        pool_.retire(self);
        pool_.stop();
        return false;
      }
      if (popped != pop_result::popped) break;
      pool_.took(self, out->reply.weak());
      ++count;
      ++out;
    }
    if (count != 0) {
      pool_.begin(self);
      stop_if_drained();
      return true;
    }
    pool_.wait_for_turn(held, self);
  }
}

}  // namespace detail
KINO_NAMESPACE_END
