// SPDX-License-Identifier: MIT
//
// Kino::Request: env["kino.request"].

#pragma once

#include "rack/worker_context.hpp"

#include <kino/gvl.hpp>

namespace kino::server {

/// A rack_request is what a handler can ask and say about its request, beyond Rack: how long it has waited, whether its
/// client is still there, and that its response takes longer.
///
/// Each request has one, so it must cost little: it is a Ruby object whose only content is the number of its request. Its
/// methods may be called from any Thread of the worker's Ractor, also after the request has ended; they say so then. Ruby
/// lets no other Ractor have it.
///
/// `wait` blocks with the GVL released, until the request is cancelled (true) or its handler has finished (false).
class rack_request {
public:
  /// On the main Ractor.
  static void define();
  /// The one for the current request of `at`. Raises NoMemoryError.
  [[nodiscard]] static VALUE make(worker_context& at);

private:
  [[nodiscard]] static worker_context* context_of(gvl const& held, VALUE self);
  static VALUE extend_deadline(gvl const& held, VALUE self, VALUE seconds);
  static VALUE cancelled(gvl const& held, VALUE self);
  static VALUE ended(gvl const& held, VALUE self);
  static VALUE queue_time(gvl const& held, VALUE self);
  static VALUE wait(gvl const& held, VALUE self);
};

}  // namespace kino::server
