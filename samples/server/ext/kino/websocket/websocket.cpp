// SPDX-License-Identifier: MIT

#include "websocket/websocket.hpp"

#include "http/rejection.hpp"
#include "http/response.hpp"
#include "websocket/channel_hub.hpp"
#include "websocket/compression.hpp"
#include "websocket/event_stream_protocol.hpp"
#include "websocket/websocket_protocol.hpp"

#include <array>
#include <new>
#include <utility>

namespace kino::server {

std::unique_ptr<protocol> websocket::begin(protocol_context const& shared, protocol::host& connection, transport& to) {
  if (speaks() == dialect::events) return std::make_unique<event_stream_protocol>(shared_from_this(), shared, connection, to);
  return std::make_unique<websocket_protocol>(shared_from_this(), shared, connection, to);
}

void websocket::run(deferred& then) noexcept {
  if (then.wake) {
    if (then.lost) log_rejection(then.wake->peer(), {0, then.lost});
    then.wake->wake();
    then.wake->drop();
  }
  if (then.left) then.left->forget(*this);
  if (then.turn) turns_.schedule(std::move(then.turn));
  if (then.over) turns_.over();
}

// --- the application ----------------------------------------------------------------

bool websocket::write(opcode kind, std::string_view data) noexcept {
  if (compresses(speaks()) && data.size() >= least_compressed) {
    try {
      return write(encode_message(kind, data, speaks()));
    } catch (std::bad_alloc const&) {  // Then it is not compressed.
    }
  }
  frame_head const head(kind, data.size());
  std::array<iovec, 2> const pieces{piece(head.bytes()), piece(data)};
  bool accepted = false;
  locked([&](deferred& then) { accepted = put({pieces.data(), data.empty() ? 1U : 2U}, nullptr, true, then); });
  return accepted;
}

bool websocket::takes_long_to_write(std::size_t size) const { return compresses(speaks()) && size >= long_to_compress; }

bool websocket::write(shared_frame const& message) noexcept {
  iovec const all = piece(*message);
  bool accepted = false;
  locked([&](deferred& then) { accepted = put({&all, 1}, &message, true, then); });
  return accepted;
}

void websocket::close(std::uint16_t status) noexcept {
  locked([&](deferred& then) {
    if (stage_ > stage::open) return;
    drop_unhandled();
    begin_close(status, stage::closing, then);
  });
}

bool websocket::open() const noexcept {
  std::lock_guard guard(mutex_);
  return stage_ <= stage::open;
}

std::size_t websocket::kept() const noexcept {
  std::lock_guard guard(mutex_);
  return kept_.messages();
}

clock::duration websocket::ping_interval() const noexcept {
  std::lock_guard guard(mutex_);
  return ping_interval_;
}

void websocket::set_ping_interval(clock::duration interval) noexcept {
  locked([&](deferred& then) {
    ping_interval_ = interval;
    ask(look_at_time, then);
  });
}

bool websocket::join(channel_hub& hub) noexcept {
  std::lock_guard guard(mutex_);
  if (!ended_) hub_ = &hub;
  return !ended_;
}

// --- output, with the lock ----------------------------------------------------------

void websocket::ask(unsigned what, deferred& then) noexcept {
  // `attend` clears all operations, so only the first one needs to wake the I/O thread.
  if (pending_ == nothing && host_ && !then.wake) {
    host_->hold();
    then.wake = host_;
  }
  pending_ |= what;
}

// The I/O thread waits until more can be written.
void websocket::stall(io_result written, deferred& then) noexcept {
  stalled_ = true;
  ask(written.what == io_result::state::wants_readable ? wait_readable : wait_writable, then);
}

void websocket::lose(deferred& then, char const* why) noexcept {
  if (std::exchange(lost_, true)) return;
  stage_ = stage::ending;
  kept_.clear();
  if (why) report(why, then);
  ask(hang_up, then);
}

// Why the connection ends, for the log.
void websocket::report(char const* why, deferred& then) noexcept {
  if (!host_) return;
  if (!then.wake) host_->hold();
  then.wake = host_;
  then.lost = why;
}

bool websocket::put(std::span<iovec const> pieces, shared_frame const* whole, bool message, deferred& then) noexcept {
  if (stage_ > stage::open) return false;
  std::size_t const length = length_of(pieces);
  if (!kept_.empty() && kept_.memory() + kept_.cost(length, whole) > settings_.most_kept) {
    lose(then, speaks() == dialect::events ? "the client of an event stream does not read what is written to it"
                                           : "the client of a WebSocket does not read what is written to it");
    return false;
  }
  std::size_t done = 0;
  if (transport_ && kept_.empty() && !stalled_) {
    io_result const written = transport_->write_some(pieces);
    if (written.failed()) {
      lose(then);
      return false;
    }
    done = written.bytes;
    if (done == length) return true;
    if (!written.done()) stall(written, then);
  }
  try {
    kept_.add(pieces, length, whole, message);
  } catch (std::bad_alloc const&) {
    lose(then, "there is no memory for what a WebSocket's client has not read");
    return false;
  }
  kept_.consume(done);
  was_slow_ |= message;
  pump(then);
  return true;
}

void websocket::begin_close(std::uint16_t status, stage next, deferred& then) noexcept {
  bool const events = speaks() == dialect::events;
  if (events) next = stage::ending;
  try {
    if (!std::exchange(close_sent_, true) && !events) {
      shared_frame const last = encode_close(status);
      iovec const all = piece(*last);
      kept_.add({&all, 1}, last->size(), &last, false);
    }
  } catch (std::bad_alloc const&) {
    return lose(then, "there is no memory to close a WebSocket in order");
  }
  stage_ = next;
  // The client's close frame is to be read, however many messages wait.
  if (std::exchange(paused_, false)) ask(read_on, then);
  ask(look_at_time, then);
  pump(then);
}

// Sends what is kept.
void websocket::pump(deferred& then) noexcept {
  if (!transport_ || lost_ || shut_down_) return;
  while (!kept_.empty() && !stalled_) {
    std::array<iovec, 16> pieces;
    io_result const written = transport_->write_some({pieces.data(), kept_.first(pieces)});
    if (written.failed()) return lose(then);
    kept_sent_ += written.bytes;
    kept_.consume(written.bytes);
    if (!written.done()) stall(written, then);
  }
  if (!kept_.empty()) return;
  if (std::exchange(was_slow_, false) && stage_ == stage::open) {
    drained_due_ = wanted_.has(websocket_event::kind::drained);
    schedule(then);
  }
  if (stage_ != stage::ending) return;
  shut_down_ = true;
  transport_->shutdown_write();
  ask(linger, then);
  end_events(then);
}

}  // namespace kino::server
