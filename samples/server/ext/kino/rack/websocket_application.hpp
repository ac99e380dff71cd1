// SPDX-License-Identifier: MIT
//
// What the application has given for a WebSocket or an event stream: how one begins, and its events.

#pragma once

#include "rack/worker_context.hpp"
#include "websocket/websocket.hpp"

#include <kino/gvl.hpp>

#include <cstdint>
#include <optional>
#include <string>

namespace kino::server {

/// What a handler is given of a connection, and by what it is known.
struct websocket_application {
  VALUE handler;                     ///< Kept if it is shareable ...
  std::optional<std::uint64_t> key;  ///< ... or else known by this number, under which Ruby keeps it.
  VALUE packed_env;                  ///< A String.
};

/// On the main Ractor, once, before anything else here is called.
void define_websocket_application(gvl const& held);

/// Answers the request of `at` so that its connection becomes a WebSocket, with these headers in the response, which have no
/// length and no coding of the body. With HTTP/2, it is the request's stream that becomes one. Returns 0,
/// or the status of the response that the client must get instead.
///
/// Raises ArgumentError or TypeError if HTTP does not allow the response; the request then stays unanswered.
[[nodiscard]] int upgrade_to_websocket(gvl const& held, worker_context& at, VALUE headers, websocket_application const& application,
                                       websocket::settings const& settings, websocket_scheduler& turns);

/// Answers it with status 200 and an event stream. `headers` has no length and no coding of the body. Raises as above.
void begin_event_stream(gvl const& held, worker_context& at, VALUE headers, websocket_application const& application,
                        websocket::settings const& settings, websocket_scheduler& turns);

/// Takes the event of the turn of `at`: [kind, client, handler, data, key], or nil if there is none any more.
[[nodiscard]] VALUE take_websocket_event(gvl const& held, worker_context& at);

/// Returns an Array of the keys of handlers whose connections have ended.
[[nodiscard]] VALUE take_forgotten_handlers(gvl const& held);

/// The environment of the request that began the connection, as it was packed.
[[nodiscard]] std::string const& packed_env_of(websocket const& one);

}  // namespace kino::server
