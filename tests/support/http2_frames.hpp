// SPDX-License-Identifier: MIT
//
// Frames of HTTP/2 as bytes, for clients that no library would let a test write.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace http2_test {

inline constexpr std::string_view preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

enum frame_type : std::uint8_t {
  data = 0,
  headers = 1,
  priority = 2,
  rst_stream = 3,
  settings = 4,
  ping = 6,
  goaway = 7,
  window_update = 8,
  continuation = 9,
};
inline constexpr std::uint8_t ack = 1;
inline constexpr std::uint8_t end_stream = 1;
inline constexpr std::uint8_t end_headers = 4;

/// A number of four bytes.
inline std::string number(std::uint32_t value) {
  std::string made;
  for (int shift : {24, 16, 8, 0}) made += static_cast<char>(value >> shift);
  return made;
}
inline std::string frame(frame_type type, std::uint8_t flags, std::uint32_t stream, std::string_view payload = {}) {
  std::string made = number(static_cast<std::uint32_t>(payload.size())).substr(1);
  made += static_cast<char>(type);
  made += static_cast<char>(flags);
  return made.append(number(stream)).append(payload);
}

/// The header of GET / of a.example: from the static table, except for the authority.
inline std::string const get_header = std::string("\x82\x86\x84\x41\x09") + "a.example";

inline std::string get_request(std::uint32_t stream, std::uint8_t flags = end_stream | end_headers) {
  return frame(headers, flags, stream, get_header);
}

/// A frame that has been received.
struct received_frame {
  std::uint8_t type;
  std::uint8_t flags;
  std::uint32_t stream;
  std::string payload;

  /// The number at this place of the payload.
  [[nodiscard]] std::uint32_t number_at(std::size_t place) const {
    std::uint32_t value = 0;
    for (char const each : payload.substr(place, 4)) value = value << 8 | static_cast<std::uint8_t>(each);
    return value;
  }
};

/// Takes the first frame from the beginning of `bytes`; none if it is not complete.
inline std::optional<received_frame> take_frame(std::string& bytes) {
  auto const byte = [&](std::size_t at) { return static_cast<std::uint8_t>(bytes[at]); };
  if (bytes.size() < 9) return std::nullopt;
  std::size_t const length = std::size_t{byte(0)} << 16 | std::size_t{byte(1)} << 8 | byte(2);
  if (bytes.size() < 9 + length) return std::nullopt;
  received_frame made{byte(3), byte(4), 0, bytes.substr(5, 4) + bytes.substr(9, length)};
  made.stream = made.number_at(0);
  made.payload.erase(0, 4);
  bytes.erase(0, 9 + length);
  return made;
}

}  // namespace http2_test
