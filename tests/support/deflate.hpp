// SPDX-License-Identifier: MIT
//
// Compressed messages as a client of a WebSocket makes and reads them, written from RFC 7692 without the server's code.

#pragma once

#include <zlib.h>

#include <cstddef>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>

namespace websocket_test {

namespace detail {

// Runs `step` until it has taken all of `input`, and returns what it has made.
template <class Step>
std::string through(z_stream& stream, std::string_view input, Step step) {
  std::string made;
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(input.data()));
  stream.avail_in = static_cast<uInt>(input.size());
  do {
    char space[64];  // so that a distance beyond the window is noticed
    stream.next_out = reinterpret_cast<Bytef*>(space);
    stream.avail_out = sizeof space;
    int const result = step(&stream);
    if (result != Z_OK && result != Z_BUF_ERROR && result != Z_STREAM_END) throw std::runtime_error("no compressed data");
    made.append(space, sizeof space - stream.avail_out);
  } while (stream.avail_in != 0 || stream.avail_out == 0);
  return made;
}

}  // namespace detail

/// The payload of a compressed message.
inline std::string deflated(std::string_view message, int level = 6) {
  z_stream stream{};
  if (deflateInit2(&stream, level, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK) throw std::bad_alloc();
  std::string made = detail::through(stream, message, [](z_stream* at) { return deflate(at, Z_SYNC_FLUSH); });
  deflateEnd(&stream);
  made.resize(made.size() - 4);
  return made;
}

/// The message of such a payload, for a client whose window has so many bits.
inline std::string inflated(std::string_view payload, int window_bits = 15) {
  z_stream stream{};
  if (inflateInit2(&stream, -window_bits) != Z_OK) throw std::bad_alloc();
  std::string const whole = std::string(payload).append("\0\0\xff\xff", 4);
  std::string made = detail::through(stream, whole, [](z_stream* at) { return inflate(at, Z_NO_FLUSH); });
  inflateEnd(&stream);
  return made;
}

}  // namespace websocket_test
