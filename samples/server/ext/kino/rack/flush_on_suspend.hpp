// SPDX-License-Identifier: MIT
//
// flush_on_suspend: sends the coalesced chunks of a thread before it waits.

#pragma once

#include "http/exchange.hpp"

namespace kino::server {

/// A suspension is the release of the GVL by a Ruby thread that waits or is preempted by another.
/// Ruby reports it where it has thread events (3.2); elsewhere, chunks wait for the
/// response_pipeline's timer.
///
/// Threads: Ruby's; each call concerns the calling thread.
namespace flush_on_suspend {

/// Installs the event hook for all threads. It is cheap for threads that have written nothing.
void enable();
/// Whether suspensions are seen.
[[nodiscard]] bool enabled() noexcept;
/// Records that the calling thread has written to `to`, and that chunks may be held back. Sends what it has written to
/// another connection before.
void note(exchange& to) noexcept;
/// Records that no chunks are held back.
void forget() noexcept;

}  // namespace flush_on_suspend
}  // namespace kino::server
