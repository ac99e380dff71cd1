// SPDX-License-Identifier: MIT
//
// Where a connection puts the bodies of its requests.

#include "net/connection.hpp"
#include "net/http_server.hpp"
#include "net/io_thread.hpp"

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

rejection connection::on_body(std::string_view bytes) {
  count_body(bytes.size());
  if (!current_->streamed()) return collect(bytes);
  if (!current_->body().push(bytes)) paused_ = pause::body_full;
  return {};
}

// For the observer. relaxed: only this thread writes it.
void connection::count_body(std::size_t length) {
  std::atomic<std::uint64_t>& received = current_->received_;
  received.store(received.load(std::memory_order_relaxed) + length, std::memory_order_relaxed);
}

// Gives a request to the handler whose body is still on the way.
void connection::hand_over() {
  hand_over_due_ = false;
  current_->add_weak();
  body_held_ = true;
  pipeline_.serve(std::move(reply_));
}

// Whether what comes next is the rest of a body of known length that is collected.
bool connection::reads_into_body() const {
  return current_ && !current_->streamed() && !lingering_ && parser_.body_left() != 0;
}

void connection::received_body(std::size_t length) {
  current_->collected().commit(length);
  count_body(length);
  if (parser_.skip_body(length)) return request_complete();
  await_body(length);
}

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
