// SPDX-License-Identifier: MIT
//
// Compressed messages of WebSockets: permessage-deflate (RFC 7692), with zlib.

#pragma once

#include "http/request.hpp"
#include "websocket/frame.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace kino::server {

/// Whether the server was built with zlib. Without it, no offer is accepted, and no message compressed.
[[nodiscard]] bool has_compression() noexcept;

/// What the client and the server have agreed on. Neither side uses the context of earlier messages: an idle connection
/// then needs no window, and a message to many clients is compressed once for all of them.
struct compression_terms {
  dialect speaks;
  std::string_view field;  ///< The value of the response's Sec-WebSocket-Extensions. Static.
};

/// Accepts the first offer of the client that the server can meet; none: there is no such offer, and messages are not
/// compressed.
///
/// An offer whose parameters are unknown, repeated or invalid is passed over, and so is one that limits the server to the
/// smallest window (server_max_window_bits=8), with which zlib does not compress. What cannot be parsed ends the list.
[[nodiscard]] std::optional<compression_terms> accept_compression(request const& asked);
/// Likewise, of the value of one field.
[[nodiscard]] std::optional<compression_terms> accept_compression(std::string_view offers) noexcept;

/// Messages below this size are not compressed: they fit into one packet, and it would cost more than it saves.
inline constexpr std::size_t least_compressed = 1024;
/// From these sizes on, compressing a message, and decompressing one of that size, take longer than giving the GVL up.
inline constexpr std::size_t long_to_compress = 8 * 1024;
inline constexpr std::size_t long_to_decompress = 1024;

/// Encodes a message in a dialect of frames, compressed if the dialect has that and the result is smaller.
///
/// Compressing 1 MiB takes in the order of 20 ms. Each thread that does it keeps a compressor (256 KiB) until it ends.
/// Threads: any. Throws std::bad_alloc.
[[nodiscard]] shared_frame encode_message(opcode kind, std::string_view data, dialect to);

/// Decompresses a message from a client. Returns 0, or the close_code with which the client must be refused: of more than
/// `longest` bytes, no more than that is made.
///
/// Each thread that does it keeps a decompressor (40 KiB) until it ends.
/// Threads: any. Throws std::bad_alloc.
[[nodiscard]] std::uint16_t decompress_message(std::string_view compressed, std::size_t longest, std::string& into);

/// The size that a compressed message of `longest` bytes may have: what cannot be compressed grows.
[[nodiscard]] constexpr std::size_t most_compressed(std::size_t longest) { return longest + longest / 8 + 64; }

}  // namespace kino::server
