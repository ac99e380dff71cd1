// SPDX-License-Identifier: MIT

#include "net/turn_away.hpp"

#include "base/byte_buffer.hpp"
#include "http/response.hpp"
#include "http1/response_encoder.hpp"

#include <new>

namespace kino::server {

void turn_away(transport& client, request_handler& handler, int status) noexcept try {
  byte_buffer bytes;
  response_encoder::encode_brief(bytes, brief_response(status));
  iovec one = piece(bytes.view());
  handler.refused(status);  // before the client can know of it
  static_cast<void>(client.write_some({&one, 1}));
  // Closing while bytes of the client are unread would reset the connection, and it would lose the response.
  client.shutdown_write();
  char unread[4096];
  static_cast<void>(client.read_some(unread));
} catch (std::bad_alloc const&) {  // Then it is closed without a word.
}

}  // namespace kino::server
