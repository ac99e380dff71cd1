// SPDX-License-Identifier: MIT
//
// Where the bodies of requests go while they are received.

#pragma once

#include "base/options.hpp"
#include "http/exchange.hpp"
#include "http/protocol.hpp"
#include "http/rejection.hpp"

#include <string_view>
#include <system_error>

namespace kino::server {

/// Decides where the body of `to` goes, whose head is complete and has a body: through its body_pipe, if it is to be
/// streamed, or else into its body_spool. Returns why the body is not received, if it is too large.
///
/// Threads: the I/O thread.  Throws: std::bad_alloc.
[[nodiscard]] rejection begin_body(exchange& to, protocol_context const& shared);

/// Appends bytes to the body of `to`, which is collected. Returns why they cannot be stored.
///
/// Threads: the I/O thread.  Blocks: as the file system does.  Throws: std::bad_alloc.
[[nodiscard]] rejection collect_body(exchange& to, std::string_view bytes);

/// The rejection for a body that cannot be stored because of `error`.
[[nodiscard]] rejection body_not_stored(std::system_error const& error);

}  // namespace kino::server
