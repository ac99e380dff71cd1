// SPDX-License-Identifier: MIT
//
// The check that a native wait does not begin with the GVL held, for headers without Ruby.

#pragma once

#include <kino/detail/config.hpp>

#include <atomic>

KINO_NAMESPACE_BEGIN
namespace detail {

// Returns whether the calling thread holds the GVL. KINO_EXTENSION installs it; null in programs
// without Ruby. There is one per extension, like everything in this namespace. A std::atomic, not
// detail::atomic: it is set once, before any thread exists that could wait.
inline std::atomic<bool (*)() noexcept> gvl_probe{nullptr};

// Whether Ruby's VM is gone: nothing may be asked of it then, and nothing needs its lock. Destructors of static
// objects run after that.
inline std::atomic<bool> ruby_has_ended{false};

// Whether Ruby's exit handlers are running. Detached native threads may then still use objects whose destructors
// run; this is not reported as a broken rule.
inline std::atomic<bool> process_ends{false};

/// Called at the start of every wait that takes no gvl. A thread that waits with the GVL held
/// prevents the thread it waits for from running, and no interrupt can end that wait.
inline void check_may_block() noexcept {
#ifndef KINO_NO_ASSERT
  // relaxed: a function's address; nothing else is published with it.
  auto const holds_gvl = gvl_probe.load(std::memory_order_relaxed);
  KINO_ASSERT(!holds_gvl || !holds_gvl(),
              "a thread that holds the GVL must not block natively: call the function of "
              "kino/wait.hpp or kino/dispatcher.hpp that takes `held`, or a try_ function");
#endif
}

// Runs `work(argument)` with the GVL released, if the calling thread holds it; installed by KINO_EXTENSION,
// null in programs without Ruby, like gvl_probe.
inline std::atomic<void (*)(void (*work)(void*), void* argument) noexcept> gvl_releaser{nullptr};

/// Calls `work`, which waits for another thread, where no `gvl const&` is at hand: in a destructor. No interrupt
/// ends it.
template <class Work>
void wait_outside_gvl(Work work) noexcept {
  // relaxed: as in check_may_block.
  auto const release = gvl_releaser.load(std::memory_order_relaxed);
  if (!release) return work();
  release([](void* argument) { (*static_cast<Work*>(argument))(); }, &work);
}

// Whether the calling thread is in the free function of a native object, called by Ruby's collector.
inline thread_local bool in_free_function = false;

}  // namespace detail
KINO_NAMESPACE_END
