// SPDX-License-Identifier: MIT

#include "websocket/event_stream_protocol.hpp"

#include "http/response.hpp"
#include "websocket/event_stream.hpp"

#include <utility>

namespace kino::server {

void event_stream_protocol::take(std::string_view bytes) {
  ignored_ += bytes.size();
  if (ignored_ <= most_ignored) return;
  reading_ = false;
  of_->locked([this](websocket::deferred& then) { of_->lose(then, "the client of an event stream sends more than its request"); });
}

clock::time_point event_stream_protocol::check_client(clock::time_point now, websocket::deferred& then) {
  websocket& to = *of_;
  clock::time_point const next = heard_at_ + to.ping_interval_;
  if (now < next) return next;
  heard_at_ = now;
  if (to.kept_.empty()) {
    waiting_since_.reset();
    iovec const all = piece(event_stream_comment);
    static_cast<void>(to.put({&all, 1}, nullptr, false, then));
  } else if (std::exchange(waiting_since_, to.kept_sent_) == to.kept_sent_) {
    to.lose(then, "the client of an event stream does not read what is written to it");
  }
  return now + to.ping_interval_;
}

}  // namespace kino::server
