// SPDX-License-Identifier: MIT
//
// What workers call for WebSockets and event streams.

#include "app/native.hpp"
#include "rack/rack_websocket.hpp"
#include "rack/websocket_application.hpp"
#include "websocket/outbox.hpp"

#include <kino/convert.hpp>
#include <kino/extension.hpp>

#include <stdexcept>

namespace kino::server::native {

namespace {

// Makes a WebSocket of the connection of the slot's request. Returns true, or the status of the response that the client must
// get instead.
VALUE upgrade(gvl const& held, VALUE, kino::arguments all) {
  if (all.size() != 6) throw std::invalid_argument("kino: upgrade takes id, slot, headers, handler, key or nil, packed env");
  servers::pin const from = server_of(held, all[0]);
  std::optional<std::uint64_t> const key = kino::from_ruby<std::optional<std::uint64_t>>(held, all[4]);
  int const problem = from->upgrade(held, slot_of(held, all[1]), all[2], {all[3], key, all[5]});
  return problem == 0 ? Qtrue : kino::to_ruby(held, problem);
}

// Likewise an event stream. Returns nil.
VALUE stream_events(gvl const& held, VALUE, kino::arguments all) {
  if (all.size() != 6) throw std::invalid_argument("kino: stream_events takes id, slot, headers, handler, key or nil, packed env");
  servers::pin const from = server_of(held, all[0]);
  from->stream_events(held, slot_of(held, all[1]), all[2], {all[3], kino::from_ruby<std::optional<std::uint64_t>>(held, all[4]), all[5]});
  return Qnil;
}

VALUE forgotten_handlers(gvl const& held, VALUE) { return take_forgotten_handlers(held); }

VALUE publish_to_all(gvl const& held, VALUE, VALUE channel, VALUE data) {
  return kino::to_ruby(held, publish(held, channel, data, true));
}

// Of what another process has published.
VALUE deliver_message(gvl const& held, VALUE, VALUE channel, VALUE data) {
  return kino::to_ruby(held, publish(held, channel, data, false));
}

VALUE open_outbox(gvl const&, VALUE) {
  static_cast<void>(outbox::of_process().open());
  return Qnil;
}

VALUE close_outbox(gvl const&, VALUE) {
  outbox::of_process().close();
  return Qnil;
}

VALUE next_outgoing(gvl const& held, VALUE) { return take_outgoing(held); }

VALUE outbox_dropped(gvl const& held, VALUE) { return kino::to_ruby(held, outbox::of_process().dropped()); }

}  // namespace

void define_websockets(VALUE native) {
  kino::define_function<upgrade>(native, "upgrade");
  kino::define_function<stream_events>(native, "stream_events");
  kino::define_function<publish_to_all>(native, "publish_message");
  kino::define_function<deliver_message>(native, "deliver_message");
  kino::define_function<open_outbox>(native, "open_outbox");
  kino::define_function<close_outbox>(native, "close_outbox");
  kino::define_function<next_outgoing>(native, "next_outgoing");
  kino::define_function<outbox_dropped>(native, "outbox_dropped");
  kino::define_function<forgotten_handlers>(native, "forgotten_handlers");
}

}  // namespace kino::server::native
