// SPDX-License-Identifier: MIT
//
// The opening handshake of a WebSocket (RFC 6455, 4.2).

#pragma once

#include "http/request.hpp"

#include <array>
#include <string_view>

namespace kino::server {

/// Whether the client asks for a WebSocket: GET, HTTP/1.1, and an upgrade to "websocket"; or, with HTTP/2, by an extended
/// CONNECT (RFC 8441). The handshake may still be invalid.
[[nodiscard]] bool asks_websocket(request const& asked);

/// The status of the response to an invalid handshake: 426 for another version than 13, 400 without a valid key, which
/// HTTP/2 does not need; 0 if it is valid.
[[nodiscard]] int handshake_problem(request const& asked);

/// The value of Sec-WebSocket-Accept.
using accept_key = std::array<char, 28>;
/// The answer to the key of a valid handshake.
[[nodiscard]] accept_key accept_key_for(request const& asked);
/// The answer to this key.
[[nodiscard]] accept_key accept_key_for(std::string_view key);

}  // namespace kino::server
