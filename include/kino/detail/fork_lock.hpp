// SPDX-License-Identifier: MIT
//
// A leaf lock that a forked child finds open, whoever held it in the parent.

#pragma once

#include <kino/detail/atomic.hpp>
#include <kino/detail/fork.hpp>

#include <cstdint>
#include <thread>

KINO_NAMESPACE_BEGIN
namespace detail {

/// A fork_lock is held for a few instructions at a time, and never by a process that is gone.
///
/// Another Ractor's thread may hold a lock at the moment of a fork; in the child that thread does
/// not exist, and a mutex would stay locked, for the collector too. So the word names the process
/// that holds it, and one that was locked before the fork counts as open. What it guards must be
/// usable at every point between two of the holder's instructions.
///
/// It is a Lockable for std::lock_guard. It spins, then yields: it never sleeps.
class fork_lock {
public:
  fork_lock() { count_forks(); }
  fork_lock(fork_lock const&) = delete;
  fork_lock& operator=(fork_lock const&) = delete;

  void lock() noexcept {
    // relaxed: only a child's first thread changes the count, before it can come here.
    std::uint32_t const held = fork_count().load(std::memory_order_relaxed) + 1;
    for (unsigned tries = 0;; ++tries) {
      std::uint32_t seen = word_.load(std::memory_order_relaxed);  // the exchange below decides
      // acquire: pairs with the release in unlock.
      if (seen != held && word_.compare_exchange_weak(seen, held, std::memory_order_acquire,
                                                      std::memory_order_relaxed)) {
        return;
      }
      if (tries >= 64) std::this_thread::yield();
    }
  }
  void unlock() noexcept { word_.store(open, std::memory_order_release); }  // pairs with lock

private:
  static constexpr std::uint32_t open = 0;
  atomic<std::uint32_t> word_{open};
};

}  // namespace detail
KINO_NAMESPACE_END
