// SPDX-License-Identifier: MIT
//
// name_this_thread: what `ps -T` and `top -H` call a thread.

#pragma once

#ifdef __linux__
#include <sys/prctl.h>
#include <unistd.h>
#endif

namespace kino::server {

/// Gives the calling thread a name; the system keeps the first 15 bytes. A thread starts with the name of its creator. Does
/// nothing in the main thread, whose name is the process's, and on systems other than Linux.
inline void name_this_thread([[maybe_unused]] char const* name) noexcept {
#ifdef __linux__
  if (::gettid() != ::getpid()) ::prctl(PR_SET_NAME, name);
#endif
}

}  // namespace kino::server
