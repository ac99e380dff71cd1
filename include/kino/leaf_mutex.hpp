// SPDX-License-Identifier: MIT
//
// leaf_mutex: a mutex that threads with and without the GVL, and a forked child, can lock.

#pragma once

#include <kino/detail/atomic.hpp>
#include <kino/fork_mark.hpp>

#include <cstdint>
#include <mutex>
#include <thread>

KINO_NAMESPACE_BEGIN

/// A leaf_mutex is held for a few instructions at a time, and never by a process that is gone.
///
/// Another Ractor's thread may hold a mutex at the moment of a fork; in the child that thread does
/// not exist, and a std::mutex would stay locked, for the collector too. A leaf_mutex names the
/// process that holds it, and one that was locked before the fork counts as open. So what it guards
/// must be usable at every point between two of the holder's instructions; or check a fork_mark.
///
/// While you hold one, never call Ruby, never allocate a Ruby object, never wait, and take no
/// other lock: Ruby's collector stops every thread at a safepoint, and a thread that waits for
/// yours never gets there. It is a Lockable, for std::lock_guard and std::unique_lock.
///
/// Threads: any, with or without the GVL. A mark function of the collector may lock it.
/// Blocks:  spins, then yields, until the holder is done. It never sleeps and is not recursive.
/// Throws:  std::system_error, from the constructor (no memory for a fork handler).
/// Fork:    open in the child.
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

  /// Waits until it is open, and locks it.
  void lock() noexcept {
    for (unsigned tries = 0; !try_lock(); ++tries) {
      if (tries >= 64) std::this_thread::yield();
    }
  }
  /// Locks it if it is open; returns whether it did.
  [[nodiscard]] bool try_lock() noexcept {
    // relaxed: only a child's first thread changes the count, before it can come here.
    std::uint32_t const held =
        detail::fork_count().load(std::memory_order_relaxed) + 1;
    std::uint32_t seen = word_.load(std::memory_order_relaxed);  // the exchange below decides
    // acquire: pairs with the release in unlock.
    return seen != held && word_.compare_exchange_strong(seen, held, std::memory_order_acquire,
                                                         std::memory_order_relaxed);
  }
  /// Opens it; by the thread that locked it.
  void unlock() noexcept { word_.store(open, std::memory_order_release); }  // pairs with try_lock

private:
  static constexpr std::uint32_t open = 0;
  detail::atomic<std::uint32_t> word_{open};
};

KINO_NAMESPACE_END
