// SPDX-License-Identifier: MIT
//
// The events of a websocket, and their turns.

#include "websocket/websocket.hpp"

#include "base/utf8.hpp"
#include "websocket/compression.hpp"

#include <new>
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

char const* websocket::describe(std::uint16_t violation) {
  switch (violation) {
    case close_code::message_too_big: return "a WebSocket message is longer than max_websocket_message_size";
    case close_code::invalid_data: return "a text message of a WebSocket is not UTF-8";
    default: return "the client of a WebSocket has sent an invalid frame";
  }
}

// The client has sent what breaks a rule, and gets no further message handled.
void websocket::refuse(std::uint16_t violation, char const* why) noexcept {
  locked([&](deferred& then) {
    drop_unhandled();
    if (stage_ > stage::closing) return;
    report(why, then);
    begin_close(violation, stage::ending, then);
  });
}

websocket_event websocket::take_event() noexcept {
  for (;;) {
    taken_event taken = take_next();
    if (!taken.compressed) return std::move(taken.event);
    try {
      std::string data;
      std::uint16_t const refused = decompress_message(taken.event.data, settings_.max_message_size, data);
      if (refused == close_code::invalid_data) {
        refuse(refused, "a message of a WebSocket cannot be decompressed");
      } else if (refused != 0) {
        refuse(refused, describe(refused));
      } else if (taken.event.text && !is_utf8(data)) {
        refuse(close_code::invalid_data, describe(close_code::invalid_data));
      } else {
        taken.event.data = std::move(data);
        return std::move(taken.event);
      }
    } catch (std::bad_alloc const&) {
      refuse(close_code::internal_error, "there is no memory to decompress a message of a WebSocket");
    }
  }
}

std::size_t websocket::next_compressed() const noexcept {
  std::lock_guard guard(mutex_);
  return unhandled_.empty() || !unhandled_.front().compressed ? 0 : unhandled_.front().data.size();
}

websocket::taken_event websocket::take_next() noexcept {
  using kind = websocket_event::kind;
  taken_event next;
  websocket_event& taken = next.event;
  locked([&](deferred& then) {
    if (std::exchange(open_due_, false)) {
      taken.what = kind::open;
    } else if (std::exchange(drained_due_, false)) {
      taken.what = kind::drained;
    } else if (!unhandled_.empty()) {
      unhandled_bytes_ -= unhandled_.front().size();
      next.compressed = unhandled_.front().compressed;
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
  return next;
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
