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

}  // namespace detail
KINO_NAMESPACE_END
