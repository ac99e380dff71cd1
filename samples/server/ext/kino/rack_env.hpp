// SPDX-License-Identifier: MIT
//
// A Rack environment out of a request.

#pragma once

#include "seat.hpp"

#include <kino/frozen_strings.hpp>

namespace kino::server {

/// A rack_env makes the environment Hash of a request, in the Ractor that will handle it.
///
/// Keys are frozen Strings made once; so are values that come again and again, like host names
/// and user agents. What a client could use to fill the cache with rubbish, or what is a
/// secret, is made anew: paths, queries, cookies, everything unknown.
///
/// Threads: built on the main Ractor at load time; `make` in any Ractor.
class rack_env {
public:
  explicit rack_env(gvl const& held);
  rack_env(rack_env const&) = delete;

  /// The environment of what `at` has in its hands. Throws ruby_error.
  [[nodiscard]] VALUE make(gvl const& held, seat& at);

private:
  class table;

  kino::frozen_string_cache frequent_;  // keys whose values repeat
  kino::frozen_string_cache keys_;      // all other keys
  kino::frozen_string_cache values_;
};

}  // namespace kino::server
