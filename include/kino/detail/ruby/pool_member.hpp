// SPDX-License-Identifier: MIT
//
// One Ruby thread that works for a dispatcher.

#pragma once

#include <kino/detail/atomic.hpp>
#include <kino/detail/in_flight.hpp>
#include <kino/detail/ruby/headers.hpp>
#include <kino/ruby_features.hpp>
#include <kino/run_permits.hpp>
#include <kino/worker_slots.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>

#include <pthread.h>

KINO_NAMESPACE_BEGIN
namespace detail {

class worker_pool;

/// Whether Ruby moves its threads between native threads, without a way to pin them (3.3). What belongs to a Ruby
/// thread is then kept in Ruby's storage of that thread; otherwise in the native thread, which is cheaper to read.
inline constexpr bool threads_change_native_threads = !ruby_pins_threads && ruby_has_thread_storage;

/// A thread_permit is the permit that a thread works under.
struct thread_permit {
  run_permits* permits = nullptr;
  run_permits::permit* permit = nullptr;
};

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
    if constexpr (!threads_change_native_threads) {
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
  // Set by a supervisor under the mutex, with the generation that it means; its worker reads it without. relaxed: a
  // worker that sleeps is interrupted after it is set, and the parker's mutex orders the two.
  atomic<bool> dismissed_{false};
  worker_pool* of_ = nullptr;
  pool_member* next_ = nullptr;  // of memberships
};

}  // namespace detail
KINO_NAMESPACE_END
