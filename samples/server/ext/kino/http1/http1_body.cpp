// SPDX-License-Identifier: MIT
//
// Where an http1_protocol puts the bodies of requests.

#include "http1/http1_protocol.hpp"

#include "http/request_body.hpp"

#include <algorithm>
#include <system_error>
#include <utility>

namespace kino::server {

rejection http1_protocol::on_body(std::string_view bytes) {
  current_->count_body(bytes.size());
  if (!current_->streamed()) return collect_body(*current_, bytes);
  if (!current_->body().push(bytes)) paused_ = pause::body_full;
  return {};
}

// Gives a request to the handler whose body is still on the way.
void http1_protocol::hand_over() {
  hand_over_due_ = false;
  current_->add_weak();
  body_held_ = true;
  http1_state::of(*current_).followed = true;
  pipeline_.serve(std::move(reply_));
}

// Whether what comes next is the rest of a body of known length that is collected.
bool http1_protocol::reads_into_body() const {
  return current_ && !current_->streamed() && parser_.body_left() != 0;
}

void http1_protocol::received_body(std::size_t length) {
  current_->collected().commit(length);
  current_->count_body(length);
  if (parser_.skip_body(length)) return request_complete(false);
  await_body(length);
}

// The client is waited for, after so many bytes.
void http1_protocol::await_body(std::size_t progress) {
  receiving_.progress(progress, clock::now());
  alarm_.set(receiving_.due());
}

// Where to read the next bytes of the body to; empty if they cannot be kept, which is answered.
std::span<char> http1_protocol::body_room() {
  try {
    std::size_t const most = std::min<std::uint64_t>(parser_.body_left(), tuning::read_size);
    return current_->collected().prepare(most);
  } catch (std::system_error const& error) {
    refuse(body_not_stored(error));
    return {};
  }
}

}  // namespace kino::server
