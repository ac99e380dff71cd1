// SPDX-License-Identifier: MIT
//
// rack_env: creates the Rack environment of a request.

#pragma once

#include "rack/worker_context.hpp"

#include <kino/frozen_strings.hpp>

namespace kino::server {

/// What the application may make of a connection, for "rack.upgrade?".
struct upgrade_offers {
  bool websockets = false;
  bool event_streams = false;
};

/// A rack_env creates the environment Hash of a request, in the Ractor that will handle it.
///
/// A field is there under its CGI key, with all its values joined. HTTP_HOST is the host that the request is for, also if
/// the target names it. Keys are frozen Strings, created once, and so are the values of SCRIPT_NAME, rack.url_scheme,
/// HTTPS and SSL_CLIENT_VERIFY. "rack.after_reply" is the Array of "rack.response_finished". All other Strings are new for each request, and the application may change them, as with
/// other servers.
///
/// Threads: constructed on the main Ractor at load time; `make` in any Ractor.
class rack_env {
public:
  explicit rack_env(gvl const& held);
  rack_env(rack_env const&) = delete;

  /// Sets "rack.errors" of every environment: a shareable object, kept forever. Call before a server exists.
  void set_errors(gvl const& held, VALUE stream);

  /// Likewise "rack.hijack", for requests over HTTP/1: what takes the connection over.
  void set_hijack(gvl const& held, VALUE callable);

  /// Likewise "rack.early_hints", for requests over HTTP/2, and over HTTP/1.1 if the worker_context says so.
  void set_early_hints(gvl const& held, VALUE callable);

  /// Creates the environment of the current request of `at`. It says so if the request asks for what is offered. Throws
  /// ruby_error.
  [[nodiscard]] VALUE make(gvl const& held, worker_context& at, upgrade_offers offered);

private:
  class table;
  VALUE filled(gvl const& held, worker_context& at, upgrade_offers offered);
  VALUE key_of(gvl const& held, worker_context& at, field_section const& fields, field_section::field const& one);
  void add_certificate(table& entries, client_certificate const& certificate);

  kino::frozen_string_cache keys_;
  kino::frozen_string_cache values_;
  VALUE errors_ = Qnil;
  VALUE hijack_ = Qnil;
  VALUE early_hints_ = Qnil;
};

}  // namespace kino::server
