// SPDX-License-Identifier: MIT
//
// rack_trailers: the trailers of a request as a Hash.

#pragma once

#include "http/field_section.hpp"

#include <kino/gvl.hpp>

namespace kino::server {

/// rack_trailers makes frozen Hashes of frozen Strings: names in lower case, and all values of a name joined.
///
/// Threads: `define` on the main Ractor at load time, the rest in any Ractor.
class rack_trailers {
public:
  static void define(gvl const& held);
  /// The Hash of a request without trailers: one for all Ractors.
  [[nodiscard]] static VALUE none();
  /// A new Hash, unless there are none. Throws ruby_error.
  [[nodiscard]] static VALUE make(gvl const& held, field_section const& trailers);
};

}  // namespace kino::server
