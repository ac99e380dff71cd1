// SPDX-License-Identifier: MIT
//
// Whether and how the server speaks HTTP/2.

#pragma once

#include "http/protocol.hpp"
#ifdef KINO_NGHTTP2
#include "http2/http2_protocol.hpp"
#endif

namespace kino::server {

/// The protocol::maker of HTTP/2; empty if the server was built without nghttp2.
[[nodiscard]] inline protocol::maker http2_maker() {
#ifdef KINO_NGHTTP2
  return &http2_protocol::make;
#else
  return nullptr;
#endif
}

}  // namespace kino::server
