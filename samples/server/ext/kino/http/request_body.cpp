// SPDX-License-Identifier: MIT

#include "http/request_body.hpp"

#include <cerrno>

namespace kino::server {

rejection begin_body(exchange& to, protocol_context const& shared) {
  request const& head = to.head();
  if (head.content_length.value_or(0) > shared.limit.max_body_size) {
    return {413, "Content-Length is larger than max_body_size", shared.limit.max_body_size, *head.content_length};
  }
  // The client sends bytes of another protocol behind it, if it gets one.
  if (!head.asks_upgrade && shared.streamed.match(head)) {
    to.stream_body();
    return {};
  }
  body_spool& body = to.collected();
  body.begin(shared.exchanges.spool(), shared.limit.body_buffer);
  if (head.content_length.value_or(0) > tuning::kept_capacity) {
    shared.exchanges.lend_memory(body);
    static_cast<void>(body.prepare(*head.content_length));
  }
  return {};
}

rejection collect_body(exchange& to, std::string_view bytes) {
  try {
    to.collected().append(bytes);
    return {};
  } catch (std::system_error const& error) {
    return body_not_stored(error);
  }
}

rejection body_not_stored(std::system_error const& error) {
  switch (error.code().value()) {
    case EMFILE:
    case ENFILE:
      return {503, "no file descriptor is left for a request body: raise the limit of open files "
                   "or lower max_connections"};
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return {507, "no space is left for a request body: free some in the directory that TMPDIR "
                   "names, or lower max_body_size"};
    default:
      return {507, "a request body cannot be stored: check the directory that TMPDIR names"};
  }
}

}  // namespace kino::server
