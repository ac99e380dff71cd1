// SPDX-License-Identifier: MIT
//
// Where an http1_protocol puts the bodies of requests.

#include "http1/http1_protocol.hpp"

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

namespace kino::server {

namespace {

rejection not_stored(std::system_error const& error) {
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

}  // namespace

rejection http1_protocol::on_body(std::string_view bytes) {
  current_->count_body(bytes.size());
  if (!current_->streamed()) return collect(bytes);
  if (!current_->body().push(bytes)) paused_ = pause::body_full;
  return {};
}

// Gives a request to the handler whose body is still on the way.
void http1_protocol::hand_over() {
  hand_over_due_ = false;
  current_->add_weak();
  body_held_ = true;
  pipeline_.serve(std::move(reply_));
}

// Whether what comes next is the rest of a body of known length that is collected.
bool http1_protocol::reads_into_body() const {
  return current_ && !current_->streamed() && parser_.body_left() != 0;
}

void http1_protocol::received_body(std::size_t length) {
  current_->collected().commit(length);
  current_->count_body(length);
  if (parser_.skip_body(length)) return request_complete();
  await_body(length);
}

// The client is waited for, after so many bytes.
void http1_protocol::await_body(std::size_t progress) {
  receiving_.progress(progress, clock::now());
  set_alarm(receiving_.due());
}

// Where to read the next bytes of the body to; empty if they cannot be kept, which is answered.
std::span<char> http1_protocol::body_room() {
  try {
    std::size_t const most = std::min<std::uint64_t>(parser_.body_left(), tuning::read_size);
    return current_->collected().prepare(most);
  } catch (std::system_error const& error) {
    refuse(not_stored(error));
    return {};
  }
}

rejection http1_protocol::collect(std::string_view bytes) {
  try {
    current_->collected().append(bytes);
    return {};
  } catch (std::system_error const& error) {
    return not_stored(error);
  }
}

}  // namespace kino::server
