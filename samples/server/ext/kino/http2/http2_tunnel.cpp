// SPDX-License-Identifier: MIT

#include "http2/http2_tunnel.hpp"

#include "http/rejection.hpp"
#include "http2/http2_protocol.hpp"

#include <algorithm>
#include <exception>
#include <stdexcept>
#include <utility>

namespace kino::server {

http2_tunnel::http2_tunnel(http2_protocol& on, exchange& carries, std::shared_ptr<upgrade> next)
    : of_(on), stream_(&carries), next_(std::move(next)) {
  of_.host_.hold();
}

http2_tunnel::~http2_tunnel() = default;

// relaxed: the thread that adds one holds a reference already.
void http2_tunnel::hold() noexcept { count_.fetch_add(1, std::memory_order_relaxed); }

void http2_tunnel::drop() noexcept {
  // acq_rel: what other threads have done with it happens before its end.
  if (count_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  protocol::host& connection = of_.host_;
  delete this;
  connection.drop();
}

endpoint const& http2_tunnel::peer() const { return of_.host_.peer(); }
endpoint const& http2_tunnel::local() const { return of_.host_.local(); }

// --- with the lock ------------------------------------------------------------------

void http2_tunnel::note(unsigned what) noexcept {
  if (over_) return;
  if (due_ == 0) {
    hold();
    next_due_ = std::exchange(of_.due_tunnels_, this);
  }
  due_ |= what;
  of_.ask(http2_protocol::tunnels);
}

void http2_tunnel::received(std::string_view bytes) {
  input_.append(bytes);
  note(input);
}

void http2_tunnel::sent() noexcept {
  if (std::exchange(awaits_room_, false)) note(room);
}

// Its protocol looks after the client no longer: the limits of the connection hold for what the client has not read.
void http2_tunnel::unwatched() noexcept { of_.open_tunnels_ -= std::exchange(watched_, false); }

// The stream's reference has to be dropped afterwards; it is not the last one.
void http2_tunnel::ended() noexcept {
  unwatched();
  stream_ = nullptr;
  note(end);
}

// --- the I/O thread -----------------------------------------------------------------

// Does what is due.
void http2_tunnel::serve() noexcept {
  unsigned due = 0;
  byte_buffer bytes;
  of_.locked([&] {
    due = std::exchange(due_, 0U);
    bytes.swap(input_);
    over_ |= (due & end) != 0;
  });
  if (due & end) {
    close();
    next_.reset();
    return;
  }
  try {
    if (due & begin) start();
    if (!bytes.empty() && !closed_) hand_over(bytes);
    if ((due & input_end) && !closed_) speaks_->input_ended();
    if ((due & room) && !closed_) speaks_->output_ready();
    if ((due & attention) && !closed_) speaks_->attend();
    if ((due & late_flush) && !closed_) speaks_->flush_late();
    if ((due & drain) && !closed_) speaks_->drain();
  } catch (std::exception const& failed) {
    fail(failed);
  }
}

void http2_tunnel::start() {
  std::shared_ptr<upgrade> const next = std::move(next_);
  speaks_ = next->begin(of_.shared_, *this, *this);
  speaks_->start({});
}

void http2_tunnel::hand_over(byte_buffer& bytes) {
  std::size_t const length = bytes.size();
  static_cast<void>(speaks_->received({bytes.data(), length}, length));
  unconsumed_ += length;
  if (!closed_ && speaks_->wants_input()) read_on();
}

void http2_tunnel::read_on() { consume(std::exchange(unconsumed_, 0)); }

void http2_tunnel::catch_up() { of_.catch_up(); }

void http2_tunnel::consume(std::size_t length) {
  of_.locked([&] {
    if (!stream_ || length == 0) return;
    of_.session_.consume(http2_state::of(*stream_).stream, length);
    of_.pump();
  });
}

void http2_tunnel::await_output(io_result::state) {
  of_.locked([&] {
    if (!stream_) return;
    awaits_room_ = true;
    // It may have gone since the write.
    if (http2_state::of(*stream_).out.empty()) sent();
  });
}

// The stream ends when the client has read its body, or after tuning::linger.
void http2_tunnel::linger() {}

void http2_tunnel::become(std::unique_ptr<protocol>, std::string_view) {
  throw std::logic_error("kino: a stream of HTTP/2 carries one protocol");
}

std::unique_ptr<readiness> http2_tunnel::watch(int) {
  throw std::logic_error("kino: a stream of HTTP/2 watches no other descriptor");
}

void http2_tunnel::close() noexcept {
  if (std::exchange(closed_, true)) return;
  if (speaks_) speaks_->close();
  else close(transport::ending::reset);
}

void http2_tunnel::fail(std::exception const& why) noexcept {
  log_rejection(peer(), {0, why.what()});
  close();
}

// --- any thread ---------------------------------------------------------------------

void http2_tunnel::tell(unsigned what) noexcept {
  of_.locked([&] { note(what); });
}

io_result http2_tunnel::read_some(std::span<char>) noexcept { return {io_result::state::wants_readable}; }

io_result http2_tunnel::write_some(std::span<iovec const> pieces) noexcept {
  io_result result{io_result::state::failed};
  try {
    of_.locked([&] {
      if (!stream_ || of_.closing_) return;
      http2_state& state = http2_state::of(*stream_);
      if (state.last) return;
      if (!state.out.empty()) {
        result = {io_result::state::wants_writable};
        return;
      }
      std::size_t taken = 0;
      for (iovec const& one : pieces) {
        std::size_t const length = std::min<std::size_t>(one.iov_len, tuning::stream_window - taken);
        state.out.keep({static_cast<char const*>(one.iov_base), length}, of_.overflow_);
        taken += length;
      }
      state.waits_since = coarse_now();
      of_.resume(state);
      of_.pump();
      result = {io_result::state::done, taken};
    });
  } catch (std::exception const&) {  // The body would lack these bytes.
    result = {io_result::state::failed};
  }
  return result;
}

void http2_tunnel::shutdown_write() noexcept {
  try {
    of_.locked([&] {
      if (!stream_ || of_.closing_) return;
      http2_state& state = http2_state::of(*stream_);
      if (std::exchange(state.last, true)) return;
      unwatched();
      state.waits_since = coarse_now();
      of_.resume(state);
      of_.pump();
      of_.ask(http2_protocol::watch);
    });
  } catch (std::exception const&) {
    close(transport::ending::reset);
  }
}

void http2_tunnel::close(transport::ending how) noexcept {
  if (how == transport::ending::orderly) return;  // It has been shut down.
  try {
    of_.locked([&] {
      if (stream_ && !of_.closing_) of_.reset(*stream_, http2_error::cancel);
    });
  } catch (std::exception const&) {
    of_.locked([&] { of_.ask(http2_protocol::hang_up); });
  }
}

}  // namespace kino::server
