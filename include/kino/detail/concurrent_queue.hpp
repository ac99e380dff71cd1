// SPDX-License-Identifier: MIT
//
// The only file that includes moodycamel's queue, which Debian, vcpkg and a plain checkout install
// in three different places.

#pragma once

#include <kino/detail/config.hpp>

#if __has_include(<concurrentqueue/moodycamel/concurrentqueue.h>)
#include <concurrentqueue/moodycamel/concurrentqueue.h>
#elif __has_include(<concurrentqueue/concurrentqueue.h>)
#include <concurrentqueue/concurrentqueue.h>
#elif __has_include(<moodycamel/concurrentqueue.h>)
#include <moodycamel/concurrentqueue.h>
#elif __has_include(<concurrentqueue.h>)
#include <concurrentqueue.h>
#else
#error "kino needs moodycamel's concurrentqueue.h (Debian: libconcurrentqueue-dev)"
#endif

#include <random>
#include <utility>

KINO_NAMESPACE_BEGIN
namespace detail {

// Our own traits type is hidden and versioned. Without it, the queue's templates would merge across
// two gems that contain different releases of the queue.
struct queue_traits : moodycamel::ConcurrentQueueDefaultTraits {};

/// A concurrent_queue is moodycamel's queue, in which no producer's values wait for ever.
///
/// The queue has a stream for each producer. Its own try_dequeue takes from the longest of the first
/// three streams that are not empty, so the values of a thread that pushes few wait for as long as
/// others push more than consumers take. Here one call of four, chosen at random, begins at the next
/// stream in turn instead, which is where the queue places a new consumer token.
///
/// Threads:    any.
/// Blocks:     never.
template <class T>
class concurrent_queue {
public:
  /// Moves from `value` only if it is stored; false, or std::bad_alloc: there is no memory.
  bool enqueue(T&& value) { return queue_.enqueue(std::move(value)); }
  /// May miss a value while another consumer is in the middle of a call.
  bool try_dequeue(T& out) {
    if (!turn_is_due()) return queue_.try_dequeue(out);
    moodycamel::ConsumerToken next(queue_);
    return queue_.try_dequeue(next, out);
  }

private:
  // At random: a thread that alternates between queues must not have its turns in always the same one.
  static bool turn_is_due() {
    static thread_local std::minstd_rand random;
    return random() % 4 == 0;
  }

  moodycamel::ConcurrentQueue<T, queue_traits> queue_;
};

}  // namespace detail
KINO_NAMESPACE_END
