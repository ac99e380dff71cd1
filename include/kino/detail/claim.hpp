// SPDX-License-Identifier: MIT
//
// The one-shot state machine under responder: who ends a request, and when its place is free.

#pragma once

#include <kino/detail/atomic.hpp>
#include <kino/outcome.hpp>

#include <cstdint>

KINO_NAMESPACE_BEGIN

namespace detail {

/// A claim lets exactly one of many threads end a request, and counts who still refers to it.
///
/// Two counts in one word: strong references (responders) keep the request open, and all of
/// them together hold one weak reference; weak references keep only the memory. Dropping the
/// last strong one ends the request as abandoned; dropping the last weak one releases it.
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
    // relaxed: nobody else knows the place yet; whoever hands it on publishes it.
    counts_.store(one_strong + one_weak, std::memory_order_relaxed);
  }

  /// Makes a released place ready for `open`.
  void rearm() noexcept {
    // relaxed: only the last referrer is left; its drop below acquired everybody else's.
    state_.store(unclaimed, std::memory_order_relaxed);
  }

  /// Claims the right to end the request; true for one caller only.
  bool try_claim(ending how) noexcept {
    std::uint8_t expected = unclaimed;
    // acq_rel: the release half pairs with the acquire in `ended`; the acquire half orders the
    // delivery after what earlier holders of this place did.
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

  // relaxed increments: the caller holds a reference already, so the count cannot reach zero
  // meanwhile, and nothing is published by counting up.
  void add_strong() noexcept { counts_.fetch_add(one_strong, std::memory_order_relaxed); }
  void add_weak() noexcept { counts_.fetch_add(one_weak, std::memory_order_relaxed); }

  void drop_strong() noexcept {
    // acq_rel: every drop releases what its holder did and the last one acquires it all.
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
  /// Ends the request without an answer; called once, by the winner of the claim.
  virtual void conclude(ending how) noexcept = 0;
  /// Nobody refers to the place any more: destroy it, or rearm it for another request.
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
