// SPDX-License-Identifier: MIT
//
// One Ruby thread that works for a dispatcher, and the release of its slot when the thread ends.

#pragma once

#include <kino/detail/atomic.hpp>
#include <kino/detail/in_flight.hpp>
#include <kino/detail/ruby/headers.hpp>
#include <kino/detail/ruby/thread_events.hpp>
#include <kino/fork_mark.hpp>
#include <kino/run_permits.hpp>
#include <kino/worker_slots.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <utility>

#include <pthread.h>

KINO_NAMESPACE_BEGIN
namespace detail {

class worker_pool;

/// A pool_member is one joined Ruby thread. Its address is fixed, whether it is joined or not.
class pool_member {
public:
  /// Its slot, below the number of slots; its successor gets the same one.
  [[nodiscard]] std::size_t index() const { return index_; }
  /// Its id in the supervision functions. Only its own thread may call this; others get the id
  /// from `worker_slots::view_of`.
  [[nodiscard]] worker_id id() const { return {index_, generation_}; }

private:
  friend class worker_pool;
  friend class memberships;
  run_permits::permit& permit() const { return *permit_.permit; }

  // Whether the calling thread is the one that has joined and not left. This is asked for every request: comparing
  // native threads is cheaper than asking Ruby, where a Ruby thread keeps its native one.
  bool is_current() const noexcept {
    VALUE const joined = thread_.load(std::memory_order_relaxed);
    if (joined == 0) return false;
    if constexpr (!permits_belong_to_ruby_threads) {
      return pthread_equal(native_thread_.load(std::memory_order_relaxed), pthread_self()) != 0;
    }
    return holds_gvl() && joined == rb_thread_current();  // in this order: a native thread has no Ruby thread
  }

  std::size_t index_ = 0;
  mutex tenancy_;                 // keeps a successor from joining while another thread empties in_flight_
  std::uint64_t generation_ = 0;  // written by its thread, under the mutex
  thread_permit permit_;
  in_flight in_flight_;
  std::chrono::steady_clock::time_point has_gvl_since_;  // an upper bound; only without permits
  // The Ruby thread that has joined, 0: none. Only compared, so it need not be marked. relaxed
  // everywhere: a thread looks only for itself, and finds only what it has written itself.
  atomic<VALUE> thread_{0};
  atomic<pthread_t> native_thread_{};  // that of thread_, and meaningless without one; relaxed like it
  worker_pool* of_ = nullptr;
  pool_member* next_ = nullptr;  // of memberships
};

/// The memberships of the calling native thread; they end with that thread at the latest. A Ruby
/// thread that ends without `leave` must not keep its slot or leave its client waiting.
///
/// Before Ruby 3.3, a native thread survives its Ruby thread for some seconds and may serve the
/// next one. On 3.3, the Ruby threads of Ractors change native threads, so nothing is recorded.
class memberships {
public:
  static memberships& of_this_thread() {
    static thread_local memberships mine;
    return mine;
  }
  memberships() = default;
  memberships(memberships const&) = delete;
  ~memberships() {
    forget_parent();
    while (first_) end(*first_);
  }

  void add(pool_member& member) noexcept {
    if constexpr (permits_belong_to_ruby_threads) return;
    forget_parent();
    member.next_ = std::exchange(first_, &member);
  }
  void remove(pool_member& member) noexcept {
    forget_parent();
    for (pool_member** at = &first_; *at; at = &(*at)->next_) {
      if (*at != &member) continue;
      *at = std::exchange(member.next_, nullptr);
      return;
    }
  }
  /// Ends the memberships of Ruby threads that ran on this native thread before `current`.
  void end_former(VALUE current) noexcept {
    forget_parent();
    for (pool_member* each = first_; each;) {
      pool_member& member = *std::exchange(each, each->next_);
      if (member.thread_.load(std::memory_order_relaxed) != current) end(member);
    }
  }

private:
  static void end(pool_member& member) noexcept;
  // In a forked child, the parent's memberships are meaningless and may be dangling.
  void forget_parent() noexcept {
    // relaxed: only a child's first thread changes the count.
    std::uint32_t const now = fork_count().load(std::memory_order_relaxed);
    if (std::exchange(forks_, now) != now) first_ = nullptr;
  }

  pool_member* first_ = nullptr;
  std::uint32_t forks_ = fork_count().load(std::memory_order_relaxed);
};

}  // namespace detail
KINO_NAMESPACE_END
