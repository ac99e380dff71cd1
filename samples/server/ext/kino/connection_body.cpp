// SPDX-License-Identifier: MIT
//
// How a connection collects the bodies of its requests.

#include "connection.hpp"
#include "front_end.hpp"
#include "io_thread.hpp"

#include <cerrno>
#include <system_error>

namespace kino::server {

namespace {

rejection not_stored(std::system_error const& error) {
  switch (error.code().value()) {
    case EMFILE:
    case ENFILE:
      return {503, "there is no file descriptor left for a request's body: raise the limit of open "
                   "files or lower max_connections"};
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return {507, "there is no space left for a request's body: make some where TMPDIR points to, "
                   "or lower max_body_size"};
    default:
      return {507, "a request's body cannot be stored: check the directory that TMPDIR names"};
  }
}

}  // namespace

// The client is waited for, after so many bytes.
void connection::await_body(std::size_t progress) {
  receiving_.progress(progress, clock::now());
  set_alarm(receiving_.due());
}

// Where to read the next bytes of the body to; empty if they cannot be kept, which is answered.
std::span<char> connection::body_room() {
  try {
    std::size_t const most = std::min<std::uint64_t>(parser_.body_left(), tuning::read_size);
    return current_->collected().prepare(most);
  } catch (std::system_error const& error) {
    refuse(not_stored(error));
    return {};
  }
}

rejection connection::collect(std::string_view bytes) {
  try {
    current_->collected().append(bytes);
    return {};
  } catch (std::system_error const& error) {
    return not_stored(error);
  }
}

}  // namespace kino::server
