// SPDX-License-Identifier: MIT
//
// An upgrade: what a connection carries after a response, instead of HTTP/1.

#pragma once

#include "http/protocol.hpp"

#include <memory>
#include <string_view>

namespace kino::server {

class exchange;

/// An upgrade makes the protocol that a connection speaks after the response to one request (RFC 9110, 7.8).
///
/// The handler answers with one part that is the whole response:
///
///     response_head& head = exchange::of(reply).response();
///     head.start_upgrade("websocket");           // status 101 and the field "upgrade"; other fields may follow
///     std::shared_ptr<upgrade> next = ...;
///     reply.answer({.head = &head, .end = true, .upgrade = &next});
///
/// Bytes in the part's `data` follow the head: they are the first of the new protocol. A part without a head takes the
/// connection over: nothing is sent, and the new protocol sends the response itself, if there is one. A head with a usual
/// status, which has a body of unknown length, also takes it over: the new protocol sends the body, which ends with the
/// connection. Before, the handler asks `upgrade_obstacle` or `takeover_obstacle`; a response that has an obstacle ends the
/// connection.
///
/// With HTTP/2, only a head with a usual status may upgrade. The connection of the new protocol is then the request's stream, and
/// its transport the body of the response.
///
/// Without an `upgrade`, a response with such a head may also go on in parts: they are sent as they are, and what the client
/// sends arrives in exchange::body, which the first part opens. The exchange and its worker then last as long as the
/// connection. When the server is being stopped, or the client ends its direction, the body ends. When the response has
/// ended, the client's direction may go on until it ends, too, or for keep_alive_timeout at most.
///
/// The response is sent in its turn. Once the transport has taken all of it, and of the responses before it, the I/O thread
/// calls `begin` and then `start` of what it returns, with the bytes that the client has sent behind the request: see
/// protocol::host::become. They were not parsed: reading stops behind a request that asks for an upgrade until it has its
/// response, and goes on with the next request if that does not upgrade. Behind any other request, a takeover loses what
/// was parsed.
///
/// The body of a request that asks for an upgrade is always collected before the handler gets the request, and limited
/// like any other.
///
/// What the next protocol has to know:
///
///     exchange     It is reported when the response has been sent, as `complete`, with its status, or 101 if it had none.
///                  Then nothing of it is needed any more: its worker is free, and the new protocol is not tied to it.
///     deadlines    None is set. All limits of HTTP/1 have ended; the new protocol has its own, with what is in
///                  protocol_context::deadlines.
///     stopping     It counts as `live` until it calls host::linger or host::close. `drain` asks it to end soon; if the
///                  server is already draining, it is called right after `start`. `close` may follow at any time.
///     connections  It counts for max_connections until it is closed.
///     calls        `attend` and `flush_late` may be called without reason: what was asked for by HTTP/1 reaches it.
///
/// If the connection ends before, or `begin` throws, the upgrade is destroyed without a protocol.
///
/// Threads: made by any, `begin` by the I/O thread, once; destroyed by any, without a lock.
/// Blocks:  it must not, and it must not call Ruby.
class upgrade {
public:
  virtual ~upgrade() = default;
  /// Makes the protocol of the connection. Errors: std::exception; the connection is then closed.
  [[nodiscard]] virtual std::unique_ptr<protocol> begin(protocol_context const& shared, protocol::host& connection,
                                                        transport& to) = 0;
};

/// Why the response to `asked` cannot upgrade its connection, as the end of a sentence for the handler: "the request
/// ...". Null: it can. Upgrades are for HTTP/1.1 requests that ask for one, and not for HEAD.
[[nodiscard]] char const* upgrade_obstacle(exchange const& asked);
/// Likewise, why the connection cannot be taken over: any HTTP/1 request will do whose body is complete.
[[nodiscard]] char const* takeover_obstacle(exchange const& asked);
/// Likewise, why another protocol cannot send the body of the response, with a usual status: as above, but with HTTP/2, too, where it
/// has the stream.
[[nodiscard]] char const* body_upgrade_obstacle(exchange const& asked);

}  // namespace kino::server
