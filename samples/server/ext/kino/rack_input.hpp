// SPDX-License-Identifier: MIT
//
// Kino::Native::Input: rack.input.

#pragma once

#include "byte_buffer.hpp"
#include "seat.hpp"

#include <kino/extension.hpp>

namespace kino::server {

/// A rack_input reads the body of one request: forward only, as it arrives.
///
/// It is valid while its worker handles the request; afterwards reading raises IOError. A body
/// that does not come to its end, because the client left or broke a rule, raises
/// Kino::BodyError, an IOError that is not the application's fault.
/// Reading blocks while the client is slow, with the GVL released, and can be interrupted.
class rack_input {
public:
  static constexpr char const* ruby_name = "Kino::Native::Input";
  static constexpr bool ruby_shareable = true;  // the one without a request; it has no state

  rack_input() = default;
  explicit rack_input(seat& at) : tie_(std::in_place, at.input, at) {}

  /// Defines the class under `native`. On the main Ractor.
  static void define(gvl const& held, VALUE native);
  /// An Input for the request of `at`.
  [[nodiscard]] static VALUE make(gvl const& held, seat& at);
  /// The Input of all requests that have no body; shareable.
  [[nodiscard]] static VALUE nothing();

  /// Reads the body of what `at` has in hand as `IO#read` would: at most `length` bytes, or all
  /// for nil, into `buffer` unless it is nil.
  static VALUE read(gvl const& held, seat& at, byte_buffer& ahead, VALUE length, VALUE buffer);

private:
  static VALUE read_method(gvl const& held, VALUE self, kino::arguments all);
  static VALUE gets_method(gvl const& held, VALUE self, kino::arguments all);
  static VALUE each_method(gvl const& held, VALUE self);
  static VALUE close_method(gvl const& held, VALUE self);

  std::optional<attachment> tie_;  // none: a request without a body
  byte_buffer ahead_;              // read from the pipe, behind the last line
};

}  // namespace kino::server
