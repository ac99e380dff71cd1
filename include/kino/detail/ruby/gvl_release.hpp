// SPDX-License-Identifier: MIT
//
// Releases the GVL in a destructor that waits for another thread, where no `gvl const&` is available.

#pragma once

#include <kino/detail/ruby/boundary.hpp>
#include <kino/gvl.hpp>

KINO_NAMESPACE_BEGIN
namespace detail {

/// Runs `work(argument)` with the GVL released if the calling thread holds it. Ruby does that only for a thread
/// without pending interrupts, so these run first. What they raise cannot leave a destructor: it leaves the method
/// at its boundary, or `dispatcher::serve` after the handler.
inline void release_gvl_for(void (*work)(void*), void* argument) noexcept {
  if (!holds_gvl()) return work(argument);
  int put_off = 0;
  auto todo = [&]() noexcept { work(argument); };
  while (!try_without_gvl(gvl_of_call::get(), todo, uninterruptible)) {
    int state = 0;
    protect_keeping_error(
        [](VALUE) -> VALUE {
          rb_thread_check_ints();
          return Qnil;
        },
        Qnil, state);
    if (state) put_off = state;
  }
  if (put_off) put_off_error(put_off);
}

}  // namespace detail
KINO_NAMESPACE_END
