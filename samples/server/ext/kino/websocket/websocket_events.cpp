// SPDX-License-Identifier: MIT
//
// The events of a websocket, and their turns.

#include "websocket/websocket.hpp"

#include <utility>

namespace kino::server {

// --- with the lock ------------------------------------------------------------------

bool websocket::has_event() const noexcept {
  return open_due_ || drained_due_ || !unhandled_.empty() || shutdown_due_ || close_due_;
}

void websocket::schedule(deferred& then) noexcept {
  if (over_ || scheduled_) return;
  if (has_event()) {
    scheduled_ = true;
    then.turn = websocket_turn(shared_from_this());
  } else if (ended_) {
    over_ = then.over = true;
  }
}

void websocket::end_events(deferred& then) noexcept {
  if (std::exchange(ended_, true)) return;
  drained_due_ = shutdown_due_ = false;
  then.left = std::exchange(hub_, nullptr);
  close_due_ = wanted_.has(websocket_event::kind::close);
  schedule(then);
}

void websocket::drop_unhandled() noexcept {
  unhandled_.clear();
  unhandled_bytes_ = 0;
}

// --- turns --------------------------------------------------------------------------

websocket_event websocket::take_event() noexcept {
  using kind = websocket_event::kind;
  websocket_event taken;
  locked([&](deferred& then) {
    if (std::exchange(open_due_, false)) {
      taken.what = kind::open;
    } else if (std::exchange(drained_due_, false)) {
      taken.what = kind::drained;
    } else if (!unhandled_.empty()) {
      unhandled_bytes_ -= unhandled_.front().size();
      taken = {kind::message, unhandled_.front().text, std::move(unhandled_.front().data)};
      unhandled_.pop_front();
    } else if (std::exchange(shutdown_due_, false)) {
      taken.what = kind::shutdown;
      shutting_down_ = true;
    } else if (std::exchange(close_due_, false)) {
      taken.what = kind::close;
    }
    if (paused_ && unhandled_bytes_ < settings_.most_unhandled / 2) {
      paused_ = false;
      ask(read_on, then);
    }
  });
  return taken;
}

void websocket::finish_turn() noexcept {
  locked([&](deferred& then) {
    scheduled_ = false;
    if (std::exchange(shutting_down_, false) && stage_ <= stage::open) begin_close(close_code::going_away, stage::closing, then);
    schedule(then);
  });
}

void websocket::abandon_turn() noexcept {
  locked([&](deferred& then) {
    scheduled_ = shutting_down_ = false;
    if (stage_ <= stage::open) {
      drop_unhandled();
      begin_close(close_code::internal_error, stage::closing, then);
    }
    schedule(then);
  });
}

void websocket::discard_turns() noexcept {
  locked([&](deferred& then) {
    then.over = !std::exchange(over_, true);
    drop_unhandled();
    if (stage_ <= stage::open) begin_close(close_code::internal_error, stage::closing, then);
  });
}

}  // namespace kino::server
