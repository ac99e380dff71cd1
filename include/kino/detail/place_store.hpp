// SPDX-License-Identifier: MIT
//
// The storage of registry and shareable_set: places with fixed addresses, found by index without a lock.

#pragma once

#include <kino/detail/atomic.hpp>
#include <kino/leaf_mutex.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <stdexcept>

KINO_NAMESPACE_BEGIN
namespace detail {

/// A place_store allocates and recycles places, in segments that double in size, with a free list.
///
/// A Place has the members `std::uint32_t index` and `Place* next_free`, which the store uses.
///
/// Threads: any. It must not be in use when it is destroyed.
/// Blocks:  `take` and `give_back` hold a leaf mutex for a few instructions; `at` and `for_each` never.
/// Throws:  `take`: std::bad_alloc, and std::length_error beyond 16,777,216 places.
/// Fork:    a child may use an inherited store. A place that another thread was taking or returning at
///          the moment of the fork may remain unused there.
template <class Place>
class place_store {
public:
  static constexpr unsigned index_bits = 24;

  place_store() = default;
  place_store(place_store const&) = delete;
  place_store& operator=(place_store const&) = delete;
  ~place_store() {
    // relaxed: the last user has synchronised with all others.
    for (auto& segment : segments_) delete[] segment.load(std::memory_order_relaxed);
  }

  /// Returns a free place.
  Place& take() {
    // Segments are allocated outside the mutex, and freed if another thread was faster.
    std::unique_ptr<Place[]> fresh;
    unsigned segment_of_fresh = 0;
    for (;;) {
      unsigned segment = 0;
      {
        std::lock_guard guard(mutex_);
        // relaxed, like all loads here: all writes are under the mutex.
        if (Place* const free = free_.load(std::memory_order_relaxed)) {
          free_.store(free->next_free, std::memory_order_relaxed);
          return *free;
        }
        segment = segment_of(used_);
        if (segment < segments) {
          Place* places = segments_[segment].load(std::memory_order_relaxed);
          if (!places && segment == segment_of_fresh && fresh) {
            places = fresh.release();
            // release: pairs with the acquire in `at` and for_each.
            segments_[segment].store(places, std::memory_order_release);
          }
          if (places) return places[used_++ - segment_start(segment)];
        }
      }
      if (segment == segments) throw std::length_error("kino: no more than 16,777,216 objects can be registered or kept at once");
      fresh = make(segment);
      segment_of_fresh = segment;
    }
  }

  /// Returns a place to the store.
  void give_back(Place& unused) noexcept {
    std::lock_guard guard(mutex_);
    unused.next_free = free_.load(std::memory_order_relaxed);
    // release: at the moment of a fork, every place in the list must have its link.
    free_.store(&unused, std::memory_order_release);
  }

  /// The place with `index`; null if it was never created. `index` has at most `index_bits` bits.
  [[nodiscard]] Place* at(std::size_t index) const noexcept {
    unsigned const segment = segment_of(index);
    // acquire: pairs with the release in `take`.
    Place* const places = segments_[segment].load(std::memory_order_acquire);
    return places ? &places[index - segment_start(segment)] : nullptr;
  }

  /// Calls `visit(place)` for all places, used or free.
  template <class Visit>
  void for_each(Visit visit) {
    for (unsigned segment = 0; segment < segments; ++segment) {
      Place* const places = segments_[segment].load(std::memory_order_acquire);  // as in `at`
      if (!places) return;  // Segments are created in order.
      for (std::size_t i = 0; i < segment_size(segment); ++i) visit(places[i]);
    }
  }

private:
  static constexpr std::size_t first_segment = 64;
  static constexpr unsigned segments = index_bits - 5;  // 64 + 64 + 128 + ... = 2^24

  static unsigned segment_of(std::size_t index) noexcept {
    return static_cast<unsigned>(std::bit_width(index / first_segment));
  }
  static std::size_t segment_start(unsigned segment) noexcept {
    return segment == 0 ? 0 : first_segment << (segment - 1);
  }
  static std::size_t segment_size(unsigned segment) noexcept {
    return segment == 0 ? first_segment : first_segment << (segment - 1);
  }
  static std::unique_ptr<Place[]> make(unsigned segment) {
    auto places = std::make_unique<Place[]>(segment_size(segment));
    for (std::size_t i = 0; i < segment_size(segment); ++i) {
      places[i].index = static_cast<std::uint32_t>(segment_start(segment) + i);
    }
    return places;
  }

  atomic<Place*> segments_[segments] = {};
  leaf_mutex mutex_;  // guards the members below and the growth of segments_
  atomic<Place*> free_{nullptr};
  std::size_t used_ = 0;
};

}  // namespace detail
KINO_NAMESPACE_END
