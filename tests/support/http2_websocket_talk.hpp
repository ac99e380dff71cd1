// SPDX-License-Identifier: MIT
//
// For tests of WebSockets over HTTP/2: requests and frames of their client.

#pragma once

#include "http2_upgrade.hpp"
#include "websocket_frames.hpp"

#include <cstdint>
#include <string>

namespace http2_test {

/// Asks for a WebSocket; returns its stream.
inline std::int32_t ask(talk& here, fields const& header = websocket_request) {
  std::int32_t const made = here.peer.raw_request(header, true);
  here.settle();
  return made;
}

inline void send(talk& here, std::int32_t to, std::string const& bytes) {
  here.peer.send_body(to, bytes);
  here.settle();
}

/// The next frame of a stream; opcode -1 if there is none.
inline websocket_test::received next_frame(talk& here, std::int32_t of) {
  here.settle();
  return websocket_test::take_frame(here.peer.at(of).body).value_or(websocket_test::received{});
}

}  // namespace http2_test
