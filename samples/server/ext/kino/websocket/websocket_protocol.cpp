// SPDX-License-Identifier: MIT

#include "websocket/websocket_protocol.hpp"

#include "http/rejection.hpp"
#include "http/response.hpp"

#include <exception>
#include <new>
#include <utility>

namespace kino::server {

websocket_protocol::websocket_protocol(std::shared_ptr<websocket> of, protocol_context const& shared, protocol::host& connection,
                                       transport& to)
    : push_protocol(std::move(of), shared, connection, to), reader_(*this, of_->settings_.max_message_size, compresses(of_->speaks())) {}

void websocket_protocol::on_message(websocket_message const& one) {
  found_.push_back({one.text, one.compressed, std::string(one.data)});
}

void websocket_protocol::on_ping(std::string_view data) {
  pongs_.append(frame_head(opcode::pong, data.size()).bytes()).append(data);
}

void websocket_protocol::take(std::string_view bytes) {
  if (bytes.empty()) return;
  heard_at_ = coarse_now();
  pinged_ = false;
  reader_.receive(bytes);
  std::exception_ptr failed;
  of_->locked([&](websocket::deferred& then) {
    try {
      deliver(then);
    } catch (std::bad_alloc const&) {
      failed = std::current_exception();
    }
    reading_ = !of_->paused_ && expects_input();
  });
  if (failed) std::rethrow_exception(failed);
  if (violation_) log_rejection(host_.peer(), {0, websocket::describe(*violation_)});
}

// Hands over what was found, with the lock.
void websocket_protocol::deliver(websocket::deferred& then) {
  websocket& to = *of_;
  if (to.stage_ > websocket::stage::closing) return;
  // What comes after the application has closed is not for it.
  bool const wanted = to.stage_ == websocket::stage::open && to.wanted_.has(websocket_event::kind::message);
  if (wanted) {
    for (message const& one : found_) to.unhandled_bytes_ += one.size();
    to.unhandled_.splice(to.unhandled_.end(), found_);
  }
  found_.clear();
  to.paused_ |= to.unhandled_bytes_ >= to.settings_.most_unhandled;
  to.schedule(then);
  if (!pongs_.empty() && to.stage_ == websocket::stage::open) {
    auto const pongs = std::make_shared<std::string const>(std::exchange(pongs_, {}));
    iovec const all = piece(*pongs);
    if (!to.put({&all, 1}, &pongs, false, then)) return;
  }
  if (close_received_ || violation_) {
    to.begin_close(violation_ ? *violation_ : *close_received_, websocket::stage::ending, then);
  }
}

clock::time_point websocket_protocol::check_client(clock::time_point now, websocket::deferred& then) {
  websocket& to = *of_;
  clock::time_point const next = heard_at_ + to.ping_interval_;
  if (now < next) return next;
  if (pinged_) {
    to.lose(then, "the client of a WebSocket does not answer a ping");
    return next;
  }
  // While reading has stopped, its answer would not be seen.
  pinged_ = !to.paused_;
  heard_at_ = now;
  frame_head const ping(opcode::ping, 0);
  iovec const all = piece(ping.bytes());
  static_cast<void>(to.put({&all, 1}, nullptr, false, then));
  return now + to.ping_interval_;
}

}  // namespace kino::server
