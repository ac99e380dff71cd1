// SPDX-License-Identifier: MIT
//
// Kino::Native::Input: rack.input.

#pragma once

#include "base/byte_buffer.hpp"
#include "rack/worker_context.hpp"

#include <kino/extension.hpp>

namespace kino::server {

/// A rack_input reads the body of one request: forward only, as it arrives.
///
/// It is valid while its worker handles the request; afterwards, reading raises IOError. If a body
/// does not arrive completely, because the client disconnected or violated a rule, reading raises
/// Kino::BodyError, an IOError that is not the application's fault. Its `status` is the status for
/// the client. Reading blocks while the client is slow, with the GVL released, and can be
/// interrupted.
///
/// `trailers` is a frozen Hash of the trailers, with names in lower case, once the body has been read to its end; before
/// that it is empty.
class rack_input {
public:
  static constexpr char const* ruby_name = "Kino::Native::Input";

  explicit rack_input(worker_context& at) : tie_(at.input, at) {}

  /// Defines this class, the next one and BodyError. On the main Ractor.
  static void define(gvl const& held, VALUE native);
  /// An Input for the request of `at`.
  [[nodiscard]] static VALUE make(gvl const& held, worker_context& at);

  /// Reads the body of what `at` has in hand as `IO#read` would: at most `length` bytes, or all
  /// for nil, into `buffer` unless it is nil.
  static VALUE read(gvl const& held, worker_context& at, byte_buffer& ahead, VALUE length, VALUE buffer);
  /// Likewise as `IO#readpartial` would: waits for the first byte only, and raises EOFError at the end.
  static VALUE read_partial(gvl const& held, worker_context& at, byte_buffer& ahead, VALUE length, VALUE buffer);

private:
  static VALUE read_method(gvl const& held, VALUE self, kino::arguments all);
  static VALUE gets_method(gvl const& held, VALUE self, kino::arguments all);
  static VALUE each_method(gvl const& held, VALUE self);
  static VALUE close_method(gvl const& held, VALUE self);
  static VALUE trailers_method(gvl const& held, VALUE self);

  attachment tie_;
  byte_buffer ahead_;  // read from the body, behind the last line
};

/// An empty_rack_input is the rack.input of requests without a body: one object for all Ractors.
///
/// It is a separate type because shareability is a property of the type in Ruby, and a rack_input
/// must not be shareable: another Ractor would read it without synchronisation.
class empty_rack_input {
public:
  static constexpr char const* ruby_name = "Kino::Native::EmptyInput";
  static constexpr bool ruby_shareable = true;  // it has no state

  static void define(gvl const& held, VALUE native);
  [[nodiscard]] static VALUE shared();

private:
  static VALUE read_method(gvl const& held, VALUE self, kino::arguments all);
  static VALUE gets_method(gvl const& held, VALUE self, kino::arguments all);
  static VALUE each_method(gvl const& held, VALUE self);
  static VALUE close_method(gvl const& held, VALUE self);
  static VALUE trailers_method(gvl const& held, VALUE self);
};

}  // namespace kino::server
