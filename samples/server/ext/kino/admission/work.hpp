// SPDX-License-Identifier: MIT
//
// What a worker takes from the queue.

#pragma once

#include "http/exchange.hpp"
#include "websocket/websocket_turn.hpp"

namespace kino::server {

/// A work is either a request or the next event of a WebSocket, or nothing.
///
/// The two share the queue and the run permits. A request that no worker takes in time expires. A turn never expires: it
/// waits for a worker for as long as necessary, and its connection waits with it. A connection has at most one turn.
struct work {
  exchange::reply reply = {};
  websocket_turn turn = {};
};

}  // namespace kino::server
