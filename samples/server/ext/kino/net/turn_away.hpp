// SPDX-License-Identifier: MIT
//
// turn_away: refuses a client with a response, before its connection becomes one of the server's.

#pragma once

#include "base/transport.hpp"
#include "http/request_handler.hpp"

namespace kino::server {

/// Tells a client that has just connected, without TLS, why it is not served: a response with `status`, as far as the
/// system takes it at once. The caller closes `client` then.
///
/// Threads: any.  Blocks: never.  Errors: without memory, the client is told nothing.
void turn_away(transport& client, request_handler& handler, int status) noexcept;

}  // namespace kino::server
