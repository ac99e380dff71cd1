// SPDX-License-Identifier: MIT
//
// What a server does for WebSockets and event streams.

#include "app/server.hpp"

#include <utility>

namespace kino::server {

VALUE server::take_event(gvl const& held, worker_context& at, websocket_turn&& turn) {
  at.turn = std::move(turn);
  VALUE const event = take_websocket_event(held, at);
  if (NIL_P(event)) {
    at.turn.finish();
  } else {
    websocket_events_.add();
  }
  return event;
}

int server::upgrade(gvl const& held, std::size_t slot, VALUE headers, websocket_application const& application) {
  return upgrade_to_websocket(held, busy_context_at(slot), headers, application, websocket_settings_, *this);
}

void server::stream_events(gvl const& held, std::size_t slot, VALUE headers, websocket_application const& application) {
  begin_event_stream(held, busy_context_at(slot), headers, application, websocket_settings_, *this);
}

}  // namespace kino::server
