// SPDX-License-Identifier: MIT
//
// Where a request of HTTP/1 ends, and whether another one may follow.

#pragma once

#include "http/rejection.hpp"
#include "http/request.hpp"

namespace kino::server {

/// Sets `keep_alive` and `unknown_length` of a request of HTTP/1 by its Connection and Transfer-Encoding.
///
/// Rejects every request whose end another implementation could find elsewhere (RFC 9112, 6.3) with 400, and codings other
/// than chunked with 501. Call it after `request::finish`.
[[nodiscard]] rejection determine_framing(request& of);

}  // namespace kino::server
