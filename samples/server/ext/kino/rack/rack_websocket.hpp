// SPDX-License-Identifier: MIT
//
// WebSockets as Ruby sees them: the client, its handler, and its events.

#pragma once

#include "rack/worker_context.hpp"
#include "websocket/websocket.hpp"

#include <kino/extension.hpp>
#include <kino/shareable.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace kino::server {

/// A rack_websocket is a Kino::Native::WebSocket: the client of a connection, to write to. It may outlive the connection;
/// then it is closed.
///
/// Each event has its own; those of one connection are equal. All are shareable and may be used in any Ractor.
class rack_websocket {
public:
  static constexpr char const* ruby_name = "Kino::Native::WebSocket";
  static constexpr bool ruby_shareable = true;

  explicit rack_websocket(std::shared_ptr<websocket> of) : of_(std::move(of)) {}

  static void define(gvl const& held, VALUE native);

  /// The client behind a Ruby object. Raises TypeError.
  [[nodiscard]] static std::shared_ptr<websocket> const& client_of(gvl const& held, VALUE client);

private:
  static VALUE write(gvl const& held, VALUE self, VALUE data);
  static VALUE close(gvl const& held, VALUE self);
  static VALUE fail(gvl const& held, VALUE self);
  static VALUE open(gvl const& held, VALUE self);
  static VALUE pending(gvl const& held, VALUE self);
  static VALUE timeout(gvl const& held, VALUE self);
  static VALUE set_timeout(gvl const& held, VALUE self, VALUE seconds);
  static VALUE packed_env(gvl const& held, VALUE self);
  static VALUE subscribe(gvl const& held, VALUE self, VALUE channel, VALUE pattern);
  static VALUE unsubscribe(gvl const& held, VALUE self, VALUE channel, VALUE pattern);
  static VALUE equal(gvl const& held, VALUE self, VALUE other);
  static VALUE hash(gvl const& held, VALUE self);

  std::shared_ptr<websocket> of_;
};

/// What a handler is given of a connection, and by what it is known.
struct websocket_application {
  VALUE handler;                     ///< Kept if it is shareable ...
  std::optional<std::uint64_t> key;  ///< ... or else known by this number, under which Ruby keeps it.
  VALUE packed_env;                  ///< A String.
};

/// Answers the request of `at` so that its connection becomes a WebSocket, with these headers in the response. Returns 0,
/// or the status of the response that the client must get instead.
///
/// Raises ArgumentError or TypeError if HTTP does not allow the response; the request then stays unanswered.
[[nodiscard]] int upgrade_to_websocket(gvl const& held, worker_context& at, VALUE headers, websocket_application const& application,
                                       websocket::settings const& settings, websocket_scheduler& turns);

/// Takes the event of the turn of `at`: [kind, client, handler, data, key], or nil if there is none any more.
[[nodiscard]] VALUE take_websocket_event(gvl const& held, worker_context& at);

/// Sends `data` to all who have subscribed to `channel`, without the GVL if they are many. Returns how many took it. In UTF-8
/// or US-ASCII, and valid, it is text.
[[nodiscard]] std::size_t publish(gvl const& held, VALUE channel, VALUE data);

/// Returns an Array of the keys of handlers whose connections have ended.
[[nodiscard]] VALUE take_forgotten_handlers(gvl const& held);

}  // namespace kino::server
