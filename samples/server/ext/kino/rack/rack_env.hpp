// SPDX-License-Identifier: MIT
//
// A Rack environment out of a request.

#pragma once

#include "rack/worker_context.hpp"

#include <kino/frozen_strings.hpp>

namespace kino::server {

/// A rack_env makes the environment Hash of a request, in the Ractor that will handle it.
///
/// Keys are frozen Strings, made once, and so are the values of SCRIPT_NAME and rack.url_scheme. Every other
/// String is the request's own and may be changed by the application, as with other servers.
///
/// Threads: built on the main Ractor at load time; `make` in any Ractor.
class rack_env {
public:
  explicit rack_env(gvl const& held);
  rack_env(rack_env const&) = delete;

  /// What every environment has as "rack.errors": a shareable object, kept for ever. Call before there is a server.
  void set_errors(gvl const& held, VALUE stream);

  /// The environment of what `at` has in its hands. Throws ruby_error.
  [[nodiscard]] VALUE make(gvl const& held, worker_context& at);

private:
  class table;
  VALUE filled(gvl const& held, worker_context& at);

  kino::frozen_string_cache keys_;
  kino::frozen_string_cache values_;
  VALUE errors_ = Qnil;
};

}  // namespace kino::server
