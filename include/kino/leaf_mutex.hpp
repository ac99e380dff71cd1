// SPDX-License-Identifier: MIT
//
// leaf_mutex: a mutex for threads with and without the GVL, unlocked in a forked child.

#pragma once

#include <kino/detail/atomic.hpp>
#include <kino/fork_mark.hpp>

#include <cstdint>
#include <mutex>
#include <thread>

KINO_NAMESPACE_BEGIN

/// A leaf_mutex protects critical sections of a few instructions and is unlocked in a forked child.
///
/// A thread of another Ractor may hold a mutex at the moment of a fork. That thread does not exist
/// in the child, so a std::mutex would stay locked there, also for the collector. A leaf_mutex
/// records the process that holds it; one that was locked before the fork counts as unlocked. The
/// guarded state must therefore be usable after every instruction of the holder; otherwise check
/// a fork_mark.
///
/// While you hold one, never call Ruby, allocate a Ruby object, wait, or take another lock. Ruby's
/// collector stops every thread at a safepoint, and a thread that waits for your lock never reaches
/// one. It is a Lockable, for std::lock_guard and std::unique_lock.
///
/// Threads: any, with or without the GVL. A mark function of the collector may lock it.
/// Blocks:  spins, then yields, until the holder unlocks. It never sleeps and is not recursive.
/// Throws:  std::system_error from the constructor (no memory for a fork handler).
/// Fork:    unlocked in the child.
///
/// Example:
///
///     kino::leaf_mutex mutex;
///     long total = 0;
///     {
///       std::lock_guard guard(mutex);
///       total += 42;
///     }
///     assert(mutex.try_lock());
///     mutex.unlock();
///
class leaf_mutex {
public:
  leaf_mutex() { detail::count_forks(); }
  leaf_mutex(leaf_mutex const&) = delete;
  leaf_mutex& operator=(leaf_mutex const&) = delete;

  /// Waits until it is unlocked, and locks it.
  void lock() noexcept {
    for (unsigned tries = 0; !try_lock(); ++tries) {
      if (tries >= 64) std::this_thread::yield();
    }
  }
  /// Locks it if it is unlocked; returns whether it did.
  [[nodiscard]] bool try_lock() noexcept {
    // relaxed: only a child's first thread changes the count, before it can get here.
    std::uint32_t const held =
        detail::fork_count().load(std::memory_order_relaxed) + 1;
    std::uint32_t seen = word_.load(std::memory_order_relaxed);  // the exchange below decides
    // acquire: pairs with the release in unlock.
    return seen != held && word_.compare_exchange_strong(seen, held, std::memory_order_acquire,
                                                         std::memory_order_relaxed);
  }
  /// Unlocks it. Only the thread that locked it may call this.
  void unlock() noexcept { word_.store(open, std::memory_order_release); }  // pairs with try_lock

private:
  static constexpr std::uint32_t open = 0;
  detail::atomic<std::uint32_t> word_{open};
};

KINO_NAMESPACE_END
