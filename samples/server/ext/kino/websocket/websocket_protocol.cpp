// SPDX-License-Identifier: MIT

#include "websocket/websocket_protocol.hpp"

#include "http/rejection.hpp"
#include "http/response.hpp"

#include <algorithm>
#include <chrono>
#include <exception>
#include <new>
#include <utility>

namespace kino::server {

namespace {

char const* reason(std::uint16_t violation) {
  switch (violation) {
    case close_code::message_too_big: return "a WebSocket message is longer than max_websocket_message_size";
    case close_code::invalid_text: return "a text message of a WebSocket is not UTF-8";
    default: return "the client of a WebSocket has sent an invalid frame";
  }
}

}  // namespace

websocket_protocol::websocket_protocol(std::shared_ptr<websocket> of, protocol_context const& shared, protocol::host& connection,
                                       transport& to)
    : of_(std::move(of)),
      host_(connection),
      alarm_(shared.deadlines, connection, [this](clock::time_point now) { check_time(now); }),
      reader_(*this, of_->settings_.max_message_size),
      heard_at_(clock::now()) {
  std::lock_guard guard(of_->mutex_);
  of_->host_ = &connection;
  of_->transport_ = &to;
}

void websocket_protocol::start(std::string_view received) {
  of_->turns_.begun();
  of_->locked([this](websocket::deferred& then) {
    if (of_->stage_ == websocket::stage::upgrading) of_->stage_ = websocket::stage::open;
    of_->open_due_ = of_->wanted_.has(websocket_event::kind::open);
    of_->schedule(then);
    of_->pump(then);
    // Operations may be pending from before the connection began. They could not wake the I/O thread.
    of_->ask(std::exchange(of_->pending_, websocket::nothing) | websocket::look_at_time, then);
  });
  take(received);
}

// --- input --------------------------------------------------------------------------

bool websocket_protocol::received(std::span<char> space, std::size_t length) {
  take({space.data(), length});
  return length == space.size();
}

void websocket_protocol::on_message(bool text, std::string_view data) {
  found_.push_back({text, std::string(data)});
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
    reading_ = !of_->paused_ && !close_received_ && !violation_;
  });
  if (failed) std::rethrow_exception(failed);
  if (violation_) log_rejection(host_.peer(), {0, reason(*violation_)});
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

// --- the connection -----------------------------------------------------------------

void websocket_protocol::drain() {
  of_->locked([this](websocket::deferred& then) {
    websocket& to = *of_;
    if (to.stage_ > websocket::stage::open) return;
    if (!to.wanted_.has(websocket_event::kind::shutdown)) return to.begin_close(close_code::going_away, websocket::stage::closing, then);
    to.shutdown_due_ = true;
    to.schedule(then);
  });
}

void websocket_protocol::close() noexcept {
  reading_ = false;
  alarm_.stop();
  of_->locked([this](websocket::deferred& then) {
    websocket& to = *of_;
    if (!to.transport_) return;
    to.transport_->close(to.shut_down_ ? transport::ending::orderly : transport::ending::reset);
    to.transport_ = nullptr;
    to.host_ = nullptr;
    to.stage_ = websocket::stage::closed;
    to.drop_kept();
    to.end_events(then);
  });
}

void websocket_protocol::attend() {
  unsigned pending = websocket::nothing;
  of_->locked([&](websocket::deferred& then) {
    pending = std::exchange(of_->pending_, websocket::nothing);
    if ((pending & websocket::wait_readable) == 0) return;
    // We may have read what the transport needs since it said so. Now nothing is read in between.
    of_->stalled_ = false;
    of_->pump(then);
    pending = (pending & ~websocket::wait_readable) | std::exchange(of_->pending_, websocket::nothing);
  });
  if (pending & websocket::hang_up) return host_.close();
  if (pending & websocket::linger) {
    reading_ = false;
    alarm_.stop();
    return host_.linger();
  }
  if (pending & websocket::look_at_time) check_time(clock::now());
  if (pending & (websocket::wait_writable | websocket::wait_readable)) {
    host_.await_output(pending & websocket::wait_writable ? io_result::state::wants_writable : io_result::state::wants_readable);
  }
  if ((pending & websocket::read_on) && !close_received_ && !violation_) {
    reading_ = true;
    host_.read_on();
  }
}

void websocket_protocol::output_ready() noexcept {
  of_->locked([this](websocket::deferred& then) {
    of_->stalled_ = false;
    of_->pump(then);
  });
}

void websocket_protocol::check_time(clock::time_point now) {
  clock::time_point next{};
  of_->locked([&](websocket::deferred& then) {
    websocket& to = *of_;
    if (to.stage_ == websocket::stage::closed) return;
    if (to.stage_ > websocket::stage::open) {
      if (closing_since_ == clock::time_point{}) closing_since_ = now;
      next = closing_since_ + to.settings_.close_grace;
      if (now >= next) to.lose(then);
      return;
    }
    next = heard_at_ + to.ping_interval_;
    if (now < next) return;
    if (std::exchange(pinged_, true)) return to.lose(then, "the client of a WebSocket does not answer a ping");
    heard_at_ = now;
    next = now + to.ping_interval_;
    frame_head const ping(opcode::ping, 0);
    iovec const all = piece(ping.bytes());
    static_cast<void>(to.put({&all, 1}, nullptr, false, then));
  });
  if (next != clock::time_point{}) alarm_.set(std::max<clock::time_point>(next, now + std::chrono::milliseconds(10)));
}

}  // namespace kino::server
