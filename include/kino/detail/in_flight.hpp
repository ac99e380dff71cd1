// SPDX-License-Identifier: MIT
//
// What one worker has taken and not finished, so that somebody else can end it.

#pragma once

#include <kino/detail/atomic.hpp>
#include <kino/responder.hpp>

#include <array>
#include <cstddef>
#include <utility>

KINO_NAMESPACE_BEGIN
namespace detail {

/// An in_flight keeps weak responders of up to `limit` requests for one worker.
///
/// Threads: `add` and `clear` by the worker, `take` by anyone at the same time.
class in_flight {
public:
  static constexpr std::size_t limit = 16;

  /// Adds one request; there is room.
  void add(weak_responder request) noexcept {
    KINO_ASSERT(count_ < limit, "a worker may take at most batch_limit requests at a time");
    // release: pairs with the acquire of the exchange that empties the place.
    places_[count_++].store(request.release(), std::memory_order_release);
  }

  /// Forgets all of them; returns how many the worker had added.
  std::size_t clear() noexcept {
    for (std::size_t i = 0; i < count_; ++i) static_cast<void>(empty(places_[i]));
    return std::exchange(count_, 0);
  }

  /// Hands all of them to the caller; the worker still counts them.
  std::array<weak_responder, limit> take() noexcept {
    std::array<weak_responder, limit> taken;
    for (std::size_t i = 0; i < limit; ++i) taken[i] = empty(places_[i]);
    return taken;
  }

private:
  // acquire: pairs with the release in `add`. An exchange, so that a place is emptied once.
  static weak_responder empty(atomic<claim*>& place) noexcept {
    return weak_responder::adopt(place.exchange(nullptr, std::memory_order_acquire));
  }

  std::array<atomic<claim*>, limit> places_{};
  std::size_t count_ = 0;  // the worker's own
};

}  // namespace detail
KINO_NAMESPACE_END
