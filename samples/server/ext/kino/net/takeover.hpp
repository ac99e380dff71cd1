// SPDX-License-Identifier: MIT
//
// Takes the connection of a request out of the server, for its application.

#pragma once

#include "http/exchange.hpp"

namespace kino::server {

/// Returns the descriptor of a stream socket on which the application and the client of `request` speak directly. The caller
/// owns it; it is closed by exec. The request has no other response.
///
/// It is the connection's own socket if that has no TLS, nothing has been read behind the request, and nothing waits to be
/// sent; the server then forgets the connection. Otherwise, it is one end of a pair of sockets: see socket_relay.
///
/// Threads: any.  Blocks: never.
/// Throws:  std::invalid_argument, if the request's connection cannot be taken over (see takeover_obstacle);
///          std::system_error, if there is no descriptor left, or with EPIPE if the request has ended; std::bad_alloc. Unless it
///          has ended, it can then still have a response.
[[nodiscard]] int take_over_connection(exchange::reply const& request);

}  // namespace kino::server
