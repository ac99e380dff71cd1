// SPDX-License-Identifier: MIT
//
// Frames of a WebSocket, as a server sends them (RFC 6455, 5.2).

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace kino::server {

/// The kinds of frames that a server sends.
enum class opcode : std::uint8_t { text = 1, binary = 2, close = 8, ping = 9, pong = 10 };

/// Status codes of a close frame (RFC 6455, 7.4.1).
namespace close_code {
inline constexpr std::uint16_t normal = 1000;
inline constexpr std::uint16_t going_away = 1001;        ///< The server is being stopped.
inline constexpr std::uint16_t protocol_error = 1002;
inline constexpr std::uint16_t none = 1005;              ///< The client gave none; never sent.
inline constexpr std::uint16_t invalid_data = 1007;      ///< Text that is not UTF-8, or what cannot be decompressed.
inline constexpr std::uint16_t message_too_big = 1009;
inline constexpr std::uint16_t internal_error = 1011;    ///< The handler has raised an exception.
}  // namespace close_code

/// A frame_head is what precedes the payload of a frame: a whole message, not masked, perhaps compressed.
class frame_head {
public:
  frame_head(opcode kind, std::uint64_t payload, bool compressed = false);
  [[nodiscard]] std::string_view bytes() const { return {bytes_.data(), length_}; }

private:
  std::array<char, 10> bytes_{};
  std::size_t length_ = 2;
};

/// The forms in which a client gets messages.
enum class dialect : std::uint8_t {
  frames,           ///< Those of a WebSocket.
  deflated,         ///< Likewise, which may be compressed: permessage-deflate.
  deflated_narrow,  ///< Likewise, for a client with a small window: of 512 bytes.
  events,           ///< Those of an event stream, which carries text only.
};
inline constexpr std::size_t dialects = 4;
/// Whether messages in a dialect may be compressed.
[[nodiscard]] constexpr bool compresses(dialect one) { return one == dialect::deflated || one == dialect::deflated_narrow; }

/// A frame or an event, encoded once; any number of connections may send it at the same time.
using shared_frame = std::shared_ptr<std::string const>;

/// Encodes a frame, whose payload may have been compressed. Throws std::bad_alloc.
[[nodiscard]] shared_frame encode_frame(opcode kind, std::string_view payload, bool compressed = false);
/// Encodes a close frame; `none`: without a status. Throws std::bad_alloc.
[[nodiscard]] shared_frame encode_close(std::uint16_t status);

}  // namespace kino::server
