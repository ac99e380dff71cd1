// SPDX-License-Identifier: MIT
//
// Loads kino_tls, and owns what its functions make.

#pragma once

#include "tls/tls_engine.hpp"
#include "tls/tls_settings.hpp"

#include <memory>
#include <string>
#include <vector>

namespace kino::server {

/// A tls_library is the table of functions of kino_tls, loaded once for the process and never unloaded.
///
/// Threads: any.
/// Blocks:  `load`, for the file system.
class tls_library {
public:
  /// Loads the file at `path`; if empty, the one beside the program or extension that contains this function. Later
  /// calls return the same library, whatever their path. Throws std::runtime_error with a sentence for users.
  static tls::functions const& load(std::string const& path = {});
  /// The library, which must have been loaded.
  [[nodiscard]] static tls::functions const& get() noexcept;
};

namespace tls {

struct deleter {
  void operator()(ticket_keys* keys) const noexcept { tls_library::get().free_ticket_keys(keys); }
  void operator()(context* of) const noexcept { tls_library::get().free_context(of); }
  void operator()(session* of) const noexcept { tls_library::get().free_session(of); }
};

using ticket_keys_ptr = std::unique_ptr<ticket_keys, deleter>;
using context_ptr = std::unique_ptr<context, deleter>;
using session_ptr = std::unique_ptr<session, deleter>;

}  // namespace tls

/// Makes a context; `protocols` are the names for ALPN. Throws std::invalid_argument with a sentence about the
/// certificate or key that cannot be used.
[[nodiscard]] tls::context_ptr make_tls_context(tls_settings const& from, tls::ticket_keys& keys,
                                                std::vector<std::string> const& protocols);

}  // namespace kino::server
