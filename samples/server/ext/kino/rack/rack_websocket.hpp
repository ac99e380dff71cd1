// SPDX-License-Identifier: MIT
//
// The client of a WebSocket or an event stream, as Ruby sees it, and what is sent to many of them.

#pragma once

#include "websocket/websocket.hpp"

#include <kino/extension.hpp>

#include <cstddef>
#include <memory>
#include <utility>

namespace kino::server {

/// A rack_websocket is a Kino::Native::Client: the client of a connection, to write to. It is a Kino::Native::WebSocket or a
/// Kino::Native::EventStream. It may outlive the connection; then it is closed.
///
/// Each event has its own; those of one connection are equal. All are shareable and may be used in any Ractor.
class rack_websocket {
public:
  static constexpr char const* ruby_name = "Kino::Native::Client";
  static constexpr bool ruby_shareable = true;

  explicit rack_websocket(std::shared_ptr<websocket> of) : of_(std::move(of)) {}

  static void define(gvl const& held, VALUE native);

  /// A new one.
  [[nodiscard]] static VALUE make(gvl const& held, std::shared_ptr<websocket> const& of);
  /// The client behind a Ruby object. Raises TypeError.
  [[nodiscard]] static std::shared_ptr<websocket> const& client_of(gvl const& held, VALUE client);

private:
  static VALUE write(gvl const& held, VALUE self, VALUE data);
  static VALUE write_event(gvl const& held, VALUE self, VALUE data, VALUE type, VALUE id, VALUE retry_ms);
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

/// Sends `data` to all subscribers of `channel`, without the GVL if that takes long. Returns how many took it. In UTF-8 or
/// US-ASCII, and valid, it is text. `outwards`: it goes to the outbox, too.
[[nodiscard]] std::size_t publish(gvl const& held, VALUE channel, VALUE data, bool outwards);

/// Waits for the next message in the outbox: [channel, data], or nil once that is closed.
[[nodiscard]] VALUE take_outgoing(gvl const& held);

}  // namespace kino::server
