// SPDX-License-Identifier: MIT
//
// cancellation: tells a handler that its response can no longer reach the client.

#pragma once

#include <kino/condition.hpp>

#include <atomic>
#include <cstdint>

namespace kino::server {

/// A cancellation is the state of a request's handling, for threads that work for the handler: it is pending, cancelled, or
/// finished. It changes once, so a thread that waits for the change learns of exactly one of the two.
///
/// Threads: any; `reset` while no other thread can reach it.
/// Blocks:  never; `cancel` and `finish` hold a leaf lock while they wake threads that wait.
class cancellation {
public:
  /// The client has gone, or has got another response. Returns whether this call changed the state.
  bool cancel() noexcept { return leave(state::cancelled); }
  /// The handler has finished with the request. Likewise.
  bool finish() noexcept { return leave(state::finished); }

  [[nodiscard]] bool cancelled() const noexcept { return state_.load() == state::cancelled; }
  /// Whether it has been cancelled, or the handler has finished.
  [[nodiscard]] bool settled() const noexcept { return state_.load() != state::pending; }

  /// Is notified when it is settled. To be called before each wait with `settled` as the predicate.
  [[nodiscard]] kino::condition& changes() noexcept {
    // seq_cst, as are the loads and stores of the state: either `leave` sees the flag, or the predicate sees the state.
    watched_.store(true);
    return changed_;
  }

  /// Prepares for another request.
  void reset() noexcept {
    state_.store(state::pending, std::memory_order_relaxed);   // published with the request, ...
    watched_.store(false, std::memory_order_relaxed);          // ... both
  }

private:
  enum class state : std::uint8_t { pending, cancelled, finished };

  bool leave(state to) noexcept {
    state expected = state::pending;
    if (!state_.compare_exchange_strong(expected, to)) return false;
    if (watched_.load()) changed_.notify_all();
    return true;
  }

  std::atomic<state> state_{state::pending};
  std::atomic<bool> watched_{false};  // a thread waits, or has waited
  kino::condition changed_;
};

}  // namespace kino::server
