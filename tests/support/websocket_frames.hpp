// SPDX-License-Identifier: MIT
//
// Frames of a WebSocket as a client sends and reads them, written from RFC 6455 without the server's code.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace websocket_test {

inline constexpr int continuation = 0, text = 1, binary = 2, closing = 8, ping = 9, pong = 10;

/// How a frame differs from one that is whole and valid.
struct form {
  bool last = true;
  bool masked = true;
  unsigned reserved = 0;                          ///< The three reserved bits.
  std::optional<std::uint64_t> length = {};       ///< Another length than that of the payload.
  int width = -1;                                 ///< Bytes of the extended length: 0, 2 or 8; -1: the fewest.
  std::array<unsigned char, 4> mask{0x12, 0x80, 0xff, 0x07};
};

inline std::string frame(int opcode, std::string_view payload = {}, form how = {}) {
  std::uint64_t const length = how.length.value_or(payload.size());
  int const width = how.width >= 0 ? how.width : length < 126 ? 0 : length < 65536 ? 2 : 8;
  std::string made(1, static_cast<char>((how.last ? 0x80U : 0U) | how.reserved << 4U | static_cast<unsigned>(opcode)));
  made += static_cast<char>((how.masked ? 0x80U : 0U) | static_cast<unsigned>(width == 0 ? length : width == 2 ? 126 : 127));
  for (int i = width; i != 0; --i) made += static_cast<char>(length >> (8 * (i - 1)));
  if (!how.masked) return made.append(payload);
  for (unsigned char const byte : how.mask) made += static_cast<char>(byte);
  for (std::size_t i = 0; i != payload.size(); ++i) made += static_cast<char>(payload[i] ^ static_cast<char>(how.mask[i % 4]));
  return made;
}

inline std::string close_frame(unsigned status, std::string_view reason = {}) {
  std::string payload{static_cast<char>(status >> 8), static_cast<char>(status)};
  return frame(closing, payload.append(reason));
}

/// A frame from the server.
struct received {
  int opcode = -1;
  std::string payload = {};
  bool compressed = false;
  /// Of a close frame; 1005: none.
  [[nodiscard]] unsigned status() const {
    if (payload.size() < 2) return 1005;
    return static_cast<unsigned char>(payload[0]) << 8U | static_cast<unsigned char>(payload[1]);
  }
};

/// Takes the first whole frame out of `bytes`. Empty if there is none; opcode -2 if it is not a valid frame of a server.
/// `compression`: messages may be compressed.
inline std::optional<received> take_frame(std::string& bytes, bool compression = false) {
  if (bytes.size() < 2) return {};
  auto const at = [&](std::size_t i) { return static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[i])); };
  std::size_t head = 2;
  std::uint64_t length = at(1) & 0x7f;
  std::size_t const width = length == 126 ? 2 : length == 127 ? 8 : 0;
  if (bytes.size() < head + width) return {};
  if (width != 0) length = 0;
  for (std::size_t i = 0; i != width; ++i) length = length << 8 | at(head++);
  bool const compressed = (at(0) & 0x40) != 0;
  bool const may = compression && (at(0) & 0xf) < closing;
  if ((at(0) & 0xb0) != 0x80 || (compressed && !may) || (at(1) & 0x80) != 0) return received{-2, bytes};
  if (bytes.size() - head < length) return {};
  received made{static_cast<int>(at(0) & 0xf), bytes.substr(head, length), compressed};
  bytes.erase(0, head + length);
  return made;
}

}  // namespace websocket_test
