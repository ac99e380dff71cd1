// SPDX-License-Identifier: MIT
//
// The one-shot state machine of responder: decides which thread ends a request, and when its
// memory is free.

#pragma once

#include <kino/detail/atomic.hpp>
#include <kino/outcome.hpp>

#include <cstdint>

KINO_NAMESPACE_BEGIN

namespace detail {

/// A claim lets exactly one of many threads end a request, and counts the references to it.
///
/// One word holds two counts. Strong references (responders) keep the request open, and all of
/// them together hold one weak reference. Weak references keep only the memory. Dropping the last
/// strong reference ends the request as abandoned; dropping the last weak one releases the memory.
class claim {
public:
  claim() = default;
  claim(claim const&) = delete;
  claim& operator=(claim const&) = delete;
  virtual ~claim() = default;

  /// Starts the request with one strong reference.
  void open() noexcept {
    KINO_ASSERT(counts_.load(std::memory_order_relaxed) == 0,
                "a place serves one request at a time: wait for `released`, then call `rearm`");
    // relaxed: no other thread knows this object yet; passing it on publishes it.
    counts_.store(one_strong + one_weak, std::memory_order_relaxed);
  }

  /// Makes a released place ready for `open`.
  void rearm() noexcept {
    // relaxed: no reference is left; the last drop acquired all others.
    state_.store(unclaimed, std::memory_order_relaxed);
  }

  /// Claims the right to end the request; true for one caller only.
  bool try_claim(ending how) noexcept {
    std::uint8_t expected = unclaimed;
    // acq_rel: the release half pairs with the acquire in `ended`; the acquire half orders the
    // delivery after the effects of earlier requests in this object.
    return state_.compare_exchange_strong(expected, static_cast<std::uint8_t>(how),
                                          std::memory_order_acq_rel,
                                          std::memory_order_acquire);
  }

  bool end(ending how) noexcept {
    if (!try_claim(how)) return false;
    conclude(how);
    return true;
  }

  bool ended() const noexcept {
    return state_.load(std::memory_order_acquire) != unclaimed;  // pairs with try_claim
  }

  // relaxed increments: the caller already holds a reference, so the count cannot reach zero, and
  // incrementing publishes nothing.
  void add_strong() noexcept { counts_.fetch_add(one_strong, std::memory_order_relaxed); }
  void add_weak() noexcept { counts_.fetch_add(one_weak, std::memory_order_relaxed); }

  void drop_strong() noexcept {
    // acq_rel: every drop releases its holder's effects, and the last one acquires all of them.
    std::uint64_t const before = counts_.fetch_sub(one_strong, std::memory_order_acq_rel);
    if (before / one_strong == 1) {
      end(ending::abandoned);
      drop_weak();
    }
  }
  void drop_weak() noexcept {
    // acq_rel: as in drop_strong.
    if (counts_.fetch_sub(one_weak, std::memory_order_acq_rel) == one_weak) released();
  }

protected:
  /// Ends the request without an answer; called once, by the thread that won the claim.
  virtual void conclude(ending how) noexcept = 0;
  /// Called when no reference is left: destroy the object, or rearm it for another request.
  virtual void released() noexcept = 0;

private:
  static constexpr std::uint8_t unclaimed = 0xff;
  static constexpr std::uint64_t one_weak = 1;
  static constexpr std::uint64_t one_strong = std::uint64_t{1} << 32;

  atomic<std::uint64_t> counts_{0};
  atomic<std::uint8_t> state_{unclaimed};
};

}  // namespace detail
KINO_NAMESPACE_END
