// SPDX-License-Identifier: MIT
//
// gvl_waits: measures how long Ruby threads wait for the GVL.

#pragma once

#include <kino/gvl.hpp>
#include <kino/stats.hpp>

namespace kino::server {

/// A wait lasts from when a Ruby thread could go on, because its system call has ended or another thread has woken it, until it
/// has the GVL of its Ractor. A thread that is preempted waits as well. Ruby reports both ends where it has thread events (3.2).
///
/// Waits are those of all Ruby threads of the process, not only of a server's workers. Measuring costs two readings of the clock
/// for each: 0.1 to 0.2 µs of the 6 µs that Ruby needs to pass the GVL on (Ruby 4.0).
///
/// Threads: any.
/// Blocks:  never.
namespace gvl_waits {

/// Begins to measure; for the rest of the process. Without thread events, it does nothing.
void enable(gvl const& held);
/// Adds what has been measured so far; returns false if nothing is measured.
[[nodiscard]] bool add_to(kino::latency_histogram& sums) noexcept;

}  // namespace gvl_waits
}  // namespace kino::server
