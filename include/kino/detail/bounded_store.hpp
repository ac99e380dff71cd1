// SPDX-License-Identifier: MIT
//
// The bounded store of channel and dispatcher: exact counts, closing, no waiting.

#pragma once

#include <kino/detail/atomic.hpp>
#include <kino/detail/concurrent_queue.hpp>

#include <cstddef>
#include <cstdint>
#include <new>
#include <stdexcept>
#include <thread>
#include <utility>

KINO_NAMESPACE_BEGIN
namespace detail {

enum class [[nodiscard]] store_push { pushed, full, closed };
enum class [[nodiscard]] store_pop { popped, empty, finished };

/// Returns `capacity` if it is valid for a store; throws std::invalid_argument otherwise.
inline std::size_t checked_capacity(std::size_t capacity) {
  if (capacity == 0 || capacity > 0x7fffffff) {
    throw std::invalid_argument("kino: a capacity must be between 1 and 2147483647");
  }
  return capacity;
}

/// A bounded_store holds at most `capacity` values for many producers and many consumers.
///
/// moodycamel's queue stores the values; it is unbounded and has no exact size. One word beside it
/// does: it holds a closed bit, the number of places reserved by producers, and the number of
/// values ready for consumers. A producer reserves, enqueues, then increments ready. A consumer
/// decrements both counts and only then dequeues, so every such consumer finds a value. Because
/// all three are in one word, "closed" and "drained" are exact, too.
///
/// Every change of the word is seq_cst: each is one half of the handshake with
/// detail/wake_throttle.hpp (publish work, then look for sleepers; announce sleep, then look for
/// work).
template <class T, class Queue = concurrent_queue<T>>
class bounded_store {
public:
  explicit bounded_store(std::size_t capacity) : capacity_(checked_capacity(capacity)) {}

  /// Moves from `value` only if it is pushed. Throws std::bad_alloc, with `value` untouched.
  store_push try_push(T&& value) {
    std::uint64_t seen = word_.load(std::memory_order_seq_cst);
    do {
      if (seen & closed_bit) return store_push::closed;
      if (reserved(seen) >= capacity_) return store_push::full;
    } while (!word_.compare_exchange_weak(seen, seen + one_reserved,
                                          std::memory_order_seq_cst));
    bool stored = false;
    try {
      stored = queue_.enqueue(std::move(value));
    } catch (...) {
      word_.fetch_sub(one_reserved, std::memory_order_seq_cst);
      throw;
    }
    if (!stored) {
      word_.fetch_sub(one_reserved, std::memory_order_seq_cst);
      throw std::bad_alloc();
    }
    word_.fetch_add(one_ready, std::memory_order_seq_cst);
    return store_push::pushed;
  }

  store_pop try_pop(T& out) {
    std::uint64_t seen = word_.load(std::memory_order_seq_cst);
    do {
      if (ready(seen) == 0) return finished(seen) ? store_pop::finished : store_pop::empty;
    } while (!word_.compare_exchange_weak(seen, seen - one_reserved - one_ready,
                                          std::memory_order_seq_cst));
    dequeue(out);
    return store_pop::popped;
  }

  /// Pops up to `most` values into the output iterator `out`; returns how many.
  template <class Output>
  std::size_t try_pop_bulk(Output out, std::size_t most) {
    std::uint64_t seen = word_.load(std::memory_order_seq_cst);
    std::uint64_t taken = 0;
    do {
      taken = ready(seen) < most ? ready(seen) : most;
      if (taken == 0) return 0;
    } while (!word_.compare_exchange_weak(seen, seen - taken * (one_reserved + one_ready),
                                          std::memory_order_seq_cst));
    for (std::uint64_t i = 0; i < taken; ++i, ++out) dequeue(*out);
    return taken;
  }

  /// Refuses further pushes. Returns whether this call closed it.
  bool close() { return !(word_.fetch_or(closed_bit, std::memory_order_seq_cst) & closed_bit); }

  bool closed() const { return word_.load(std::memory_order_seq_cst) & closed_bit; }
  bool finished() const { return finished(word_.load(std::memory_order_seq_cst)); }
  bool has_ready() const { return ready(word_.load(std::memory_order_seq_cst)) != 0; }
  bool has_room() const {
    return reserved(word_.load(std::memory_order_seq_cst)) < capacity_;
  }
  std::size_t size() const { return ready(word_.load(std::memory_order_seq_cst)); }
  std::size_t capacity() const { return capacity_; }

private:
  static constexpr std::uint64_t one_ready = 1;
  static constexpr std::uint64_t one_reserved = std::uint64_t{1} << 32;
  static constexpr std::uint64_t closed_bit = std::uint64_t{1} << 63;

  static constexpr std::uint64_t ready(std::uint64_t word) { return word & 0xffffffff; }
  static constexpr std::uint64_t reserved(std::uint64_t word) {
    return (word & ~closed_bit) >> 32;
  }
  static constexpr bool finished(std::uint64_t word) { return word == closed_bit; }

  // There is a value for us, but the queue may not find it while another consumer is in the middle
  // of its own dequeue. That ends in a few instructions, or when that thread is scheduled again.
  void dequeue(T& out) {
    for (unsigned tries = 0; !queue_.try_dequeue(out); ++tries) {
      if (tries >= 64) std::this_thread::yield();
    }
  }

  Queue queue_;
  std::size_t const capacity_;
  alignas(cache_line) atomic<std::uint64_t> word_{0};
};

}  // namespace detail
KINO_NAMESPACE_END
