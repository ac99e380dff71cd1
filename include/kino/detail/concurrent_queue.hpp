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

KINO_NAMESPACE_BEGIN
namespace detail {

// Our own traits type is hidden and versioned. Without it, the queue's templates would merge across
// two gems that contain different releases of the queue.
struct queue_traits : moodycamel::ConcurrentQueueDefaultTraits {};

template <class T>
using concurrent_queue = moodycamel::ConcurrentQueue<T, queue_traits>;

}  // namespace detail
KINO_NAMESPACE_END
