// SPDX-License-Identifier: MIT
//
// The extension: what `require "kino_native"` defines.

#include "app/native.hpp"
#include "base/log.hpp"
#include "rack/rack_input.hpp"
#include "rack/rack_request.hpp"
#include "rack/rack_response.hpp"
#include "rack/rack_stream.hpp"
#include "rack/rack_websocket.hpp"
#include "rack/websocket_application.hpp"

#include <kino/convert.hpp>
#include <kino/extension.hpp>

#include <algorithm>
#include <stdexcept>

namespace kino::server::native {

namespace {
servers* all_servers = nullptr;
rack_env* all_environments = nullptr;
}  // namespace

servers& running() { return *all_servers; }
rack_env& environments() { return *all_environments; }

std::uint64_t id_of(gvl const& held, VALUE id) { return kino::from_ruby<std::uint64_t>(held, id); }

servers::pin server_of(gvl const& held, VALUE id) {
  servers::pin found = running().find(id_of(held, id));
  if (!found) throw std::invalid_argument("kino: no such server, or it has been stopped");
  return found;
}

std::size_t slot_of(gvl const& held, VALUE slot) {
  return kino::from_ruby<std::size_t>(held, slot);
}

std::optional<double> seconds_of(gvl const& held, VALUE value) {
  if (NIL_P(value)) return std::nullopt;
  double seconds = 0;
  kino::protect(held, [&] { seconds = NUM2DBL(value); });
  if (!(seconds >= 0)) throw std::invalid_argument("kino: a timeout must not be negative");
  return std::min(seconds, 1e9);
}

VALUE symbol(char const* name) { return ID2SYM(rb_intern(name)); }

}  // namespace kino::server::native

KINO_EXTENSION(kino_native) {
  using namespace kino::server;

  VALUE const module = rb_define_module_under(rb_define_module("Kino"), "Native");
  static_cast<void>(log());
  native::all_servers = new native::servers;
  native::all_environments = new rack_env(held);
  rack_input::define(held, module);
  rack_request::define();
  rack_stream::define(held, module);
  define_rack_response();
  rack_websocket::define(held, module);
  define_websocket_application(held);
  native::define_lifecycle(module);
  native::define_workers(module);
  native::define_supervision(module);
  native::define_control(module);
  native::define_log(module);
  native::define_machine(module);
  native::define_websockets(module);
}
