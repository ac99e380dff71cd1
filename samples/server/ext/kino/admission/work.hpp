// SPDX-License-Identifier: MIT
//
// What a worker takes from the queue.

#pragma once

#include "http/exchange.hpp"
#include "websocket/websocket_turn.hpp"

namespace kino::server {

/// A work is either a request or the next event of a WebSocket, or nothing.
///
/// The two share the queue and the run permits. They differ in what becomes of them if nobody takes them: a request
/// expires, while a turn waits as long as it must, and its connection with it: it has one, so turns are as few as
/// connections.
struct work {
  exchange::reply reply = {};
  websocket_turn turn = {};
};

}  // namespace kino::server
