// SPDX-License-Identifier: MIT
//
// Queues under one interface: `push` and `pop` wait, `try_push` and `try_pop` do not.

#pragma once

#include <kino/channel.hpp>

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <thread>

#if __has_include(<concurrentqueue/blockingconcurrentqueue.h>)
#include <concurrentqueue/blockingconcurrentqueue.h>
#else
#include <concurrentqueue/moodycamel/blockingconcurrentqueue.h>
#endif
#if __has_include(<boost/lockfree/queue.hpp>)
#include <boost/lockfree/queue.hpp>
#define MICRO_HAS_BOOST 1
#endif
#if __has_include(<tbb/concurrent_queue.h>)
#include <tbb/concurrent_queue.h>
#define MICRO_HAS_TBB 1
#endif

namespace micro {

inline constexpr std::size_t capacity = 1024;

struct kino_store {
  static constexpr char const* name = "kino::channel";
  bool try_push(int value) { return queue.try_push(int{value}) == kino::push_result::pushed; }
  bool try_pop(int& value) { return queue.try_pop(value) == kino::pop_result::popped; }
  void push(int value) { static_cast<void>(queue.push(int{value})); }
  void pop(int& value) { static_cast<void>(queue.pop(value)); }
  kino::channel<int> queue{capacity};
};

// The simplest implementation.
struct mutex_store {
  static constexpr char const* name = "deque, mutex, 2 condition variables";
  bool try_push(int value) {
    std::lock_guard guard(mutex);
    if (queue.size() == capacity) return false;
    queue.push_back(value);
    filled.notify_one();
    return true;
  }
  bool try_pop(int& value) {
    std::lock_guard guard(mutex);
    return take(value);
  }
  void push(int value) {
    std::unique_lock guard(mutex);
    emptied.wait(guard, [&] { return queue.size() < capacity; });
    queue.push_back(value);
    filled.notify_one();
  }
  void pop(int& value) {
    std::unique_lock guard(mutex);
    filled.wait(guard, [&] { return !queue.empty(); });
    take(value);
  }
  bool take(int& value) {
    if (queue.empty()) return false;
    value = queue.front();
    queue.pop_front();
    emptied.notify_one();
    return true;
  }
  std::mutex mutex;
  std::condition_variable filled, emptied;
  std::deque<int> queue;
};

// It is unbounded; producers check its size, as its users do.
struct moodycamel_store {
  static constexpr char const* name = "moodycamel::BlockingConcurrentQueue";
  bool try_push(int value) { return queue.size_approx() < capacity && queue.enqueue(value); }
  bool try_pop(int& value) { return queue.try_dequeue(value); }
  void push(int value) {
    while (!try_push(value)) std::this_thread::yield();
  }
  void pop(int& value) { queue.wait_dequeue(value); }
  moodycamel::BlockingConcurrentQueue<int> queue{capacity};
};

#ifdef MICRO_HAS_BOOST
// It cannot wait: both sides spin.
struct boost_store {
  static constexpr char const* name = "boost::lockfree::queue (spins)";
  bool try_push(int value) { return queue.bounded_push(value); }
  bool try_pop(int& value) { return queue.pop(value); }
  void push(int value) {
    while (!try_push(value)) std::this_thread::yield();
  }
  void pop(int& value) {
    while (!try_pop(value)) std::this_thread::yield();
  }
  boost::lockfree::queue<int> queue{capacity};
};
#endif

#ifdef MICRO_HAS_TBB
struct tbb_store {
  static constexpr char const* name = "tbb::concurrent_bounded_queue";
  tbb_store() { queue.set_capacity(capacity); }
  bool try_push(int value) { return queue.try_push(value); }
  bool try_pop(int& value) { return queue.try_pop(value); }
  void push(int value) { queue.push(value); }
  void pop(int& value) { queue.pop(value); }
  tbb::concurrent_bounded_queue<int> queue;
};
#endif

#ifdef MICRO_HAS_CRATES
// Of crates/lib.rs. Each call crosses a function that cannot be inlined.
extern "C" {
void const* flume_new(std::size_t capacity);
void flume_push(void const* channel, int value);
int flume_pop(void const* channel);
bool flume_try_push(void const* channel, int value);
bool flume_try_pop(void const* channel, int* value);

void const* crossbeam_new(std::size_t capacity);
void crossbeam_push(void const* channel, int value);
int crossbeam_pop(void const* channel);
bool crossbeam_try_push(void const* channel, int value);
bool crossbeam_try_pop(void const* channel, int* value);
}

struct flume_store {
  static constexpr char const* name = "flume (Rust)";
  bool try_push(int value) { return flume_try_push(queue, value); }
  bool try_pop(int& value) { return flume_try_pop(queue, &value); }
  void push(int value) { flume_push(queue, value); }
  void pop(int& value) { value = flume_pop(queue); }
  void const* queue = flume_new(capacity);
};

struct crossbeam_store {
  static constexpr char const* name = "crossbeam (Rust)";
  bool try_push(int value) { return crossbeam_try_push(queue, value); }
  bool try_pop(int& value) { return crossbeam_try_pop(queue, &value); }
  void push(int value) { crossbeam_push(queue, value); }
  void pop(int& value) { value = crossbeam_pop(queue); }
  void const* queue = crossbeam_new(capacity);
};
#endif

}  // namespace micro
