// SPDX-License-Identifier: MIT
//
// What a thread has written and not sent goes out before it waits.

#pragma once

#include "http/exchange.hpp"

namespace kino::server {

/// A suspension is a Ruby thread's giving up its GVL: because it waits for something, or because
/// it is another thread's turn. Ruby says so where it has thread events (3.2); elsewhere what
/// has gathered waits for the response_pipeline's clock.
///
/// Threads: Ruby's; each speaks of itself.
namespace flush_on_suspend {

/// Has Ruby call us, from now on and for all threads. Cheap for those that have written nothing.
void hear();
/// The calling thread has written an answer of `to`, and parts of it may have gathered.
void note(exchange& to) noexcept;
/// Nothing has gathered any more.
void forget() noexcept;

}  // namespace flush_on_suspend
}  // namespace kino::server
