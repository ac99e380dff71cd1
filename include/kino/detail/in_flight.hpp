// SPDX-License-Identifier: MIT
//
// The requests that one worker has taken and not finished, which another thread can end.

#pragma once

#include <kino/detail/atomic.hpp>
#include <kino/responder.hpp>

#include <array>
#include <cstddef>
#include <utility>

KINO_NAMESPACE_BEGIN
namespace detail {

/// An in_flight keeps weak responders of up to `limit` requests of one worker.
///
/// Threads: `add` and `clear`: the worker; `take`: any, concurrently.
class in_flight {
public:
  static constexpr std::size_t limit = 16;

  /// Adds one request; there must be room.
  void add(weak_responder request) noexcept {
    KINO_ASSERT(count_ < limit, "a worker may take at most batch_limit requests at a time");
    // release: pairs with the acquire of the exchange that empties the place.
    places_[count_++].store(request.release(), std::memory_order_release);
  }

  /// Drops all requests; returns how many the worker had added.
  std::size_t clear() noexcept {
    for (std::size_t i = 0; i < count_; ++i) static_cast<void>(empty(places_[i]));
    return std::exchange(count_, 0);
  }

  /// Transfers all requests to the caller; the worker still counts them.
  std::array<weak_responder, limit> take() noexcept {
    std::array<weak_responder, limit> taken;
    for (std::size_t i = 0; i < limit; ++i) taken[i] = empty(places_[i]);
    return taken;
  }

private:
  // acquire: pairs with the release in `add`. The exchange empties a place only once.
  static weak_responder empty(atomic<claim*>& place) noexcept {
    return weak_responder::adopt(place.exchange(nullptr, std::memory_order_acquire));
  }

  std::array<atomic<claim*>, limit> places_{};
  std::size_t count_ = 0;  // the worker's own
};

}  // namespace detail
KINO_NAMESPACE_END
