// SPDX-License-Identifier: MIT

#include "websocket/push_protocol.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace kino::server {

push_protocol::push_protocol(std::shared_ptr<websocket> of, protocol_context const& shared, protocol::host& connection, transport& to)
    : of_(std::move(of)),
      host_(connection),
      heard_at_(clock::now()),
      alarm_(shared.deadlines, connection, [this](clock::time_point now) { check_time(now); }) {
  std::lock_guard guard(of_->mutex_);
  of_->host_ = &connection;
  of_->transport_ = &to;
}

void push_protocol::start(std::string_view received) {
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

bool push_protocol::received(std::span<char> space, std::size_t length) {
  take({space.data(), length});
  return length == space.size();
}

void push_protocol::drain() {
  of_->locked([this](websocket::deferred& then) {
    websocket& to = *of_;
    if (to.stage_ > websocket::stage::open) return;
    if (!to.wanted_.has(websocket_event::kind::shutdown)) return to.begin_close(close_code::going_away, websocket::stage::closing, then);
    to.shutdown_due_ = true;
    to.schedule(then);
  });
}

void push_protocol::close() noexcept {
  reading_ = false;
  alarm_.stop();
  of_->locked([this](websocket::deferred& then) {
    websocket& to = *of_;
    if (!to.transport_) return;
    to.transport_->close(to.shut_down_ ? transport::ending::orderly : transport::ending::reset);
    to.transport_ = nullptr;
    to.host_ = nullptr;
    to.stage_ = websocket::stage::closed;
    to.kept_.clear();
    to.end_events(then);
  });
}

void push_protocol::attend() {
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
  if (pending & websocket::look_at_time) alarm_.set(clock::now());
  if (pending & (websocket::wait_writable | websocket::wait_readable)) {
    host_.await_output(pending & websocket::wait_writable ? io_result::state::wants_writable : io_result::state::wants_readable);
  }
  if ((pending & websocket::read_on) && expects_input()) {
    reading_ = true;
    host_.read_on();
  }
}

void push_protocol::output_ready() noexcept {
  of_->locked([this](websocket::deferred& then) {
    of_->stalled_ = false;
    of_->pump(then);
  });
}

void push_protocol::check_time(clock::time_point now) {
  host_.catch_up();
  if (alarm_.stopped()) return;
  clock::time_point next{};
  of_->locked([&](websocket::deferred& then) {
    websocket& to = *of_;
    if (to.stage_ == websocket::stage::closed || to.shut_down_) return;
    if (to.stage_ == websocket::stage::open) {
      next = check_client(now, then);
      return;
    }
    if (closing_since_ == clock::time_point{}) closing_since_ = now;
    next = closing_since_ + to.settings_.close_grace;
    if (now >= next) to.lose(then);
  });
  if (next != clock::time_point{}) alarm_.set(std::max<clock::time_point>(next, now + std::chrono::milliseconds(10)));
}

}  // namespace kino::server
