// SPDX-License-Identifier: MIT

#include "http2/http2_protocol.hpp"

#include <algorithm>
#include <exception>
#include <utility>

namespace kino::server {

http2_protocol::http2_protocol(protocol_context const& shared, protocol::host& connection, transport& to)
    : shared_(shared),
      limits_(shared.limit),
      host_(connection),
      transport_(to),
      overflow_{shared.exchanges.spool(), limits_.max_response_temp_file},
      alarm_(shared.deadlines, connection, [this](clock::time_point now) { check_timeouts(now); }),
      session_(*this, {limits_.max_concurrent_streams, static_cast<std::uint32_t>(limits_.max_header_size),
                       tuning::stream_window, tuning::connection_window, limits_.http2_websockets}),
      sending_(limits_.min_response_rate, limits_.rate_grace, limits_.body_timeout),
      idle_since_(clock::now()) {}

std::unique_ptr<protocol> http2_protocol::make(protocol_context const& shared, protocol::host& connection, transport& to) {
  return std::make_unique<http2_protocol>(shared, connection, to);
}

// Requests whose stream has ended since are not handed over. Those of the others belong to this thread from now on:
// another one may end their streams as soon as the lock is given back.
void http2_protocol::claim_ready(deferred& then) noexcept {
  for (exchange** place = &then.ready; *place;) {
    exchange& one = **place;
    http2_state& state = http2_state::of(one);
    if (state.attached) {
      state.handed_over = true;
      one.add_weak();
      place = &state.next_ready;
    } else {
      *place = std::exchange(state.next_ready, nullptr);
    }
  }
}

void http2_protocol::run(deferred& then) noexcept {
  while (exchange* const one = then.ready) {
    http2_state& state = http2_state::of(*one);
    then.ready = std::exchange(state.next_ready, nullptr);
    if (state.refused) {
      answer_refused(*one);
    } else {
      shared_.handler.handle(std::move(state.reply));
    }
    one->drop_weak();
  }
  while (exchange* const one = then.roomy) {
    then.roomy = std::exchange(http2_state::of(*one).next_roomy, nullptr);
    one->departures().notify();
    one->drop_weak();
  }
  if (then.wake) host_.wake();
  if (then.flush_later) host_.flush_later();
  // Last: these references may be what keeps the connection, and this object, alive.
  while (exchange* const one = then.done) {
    http2_state& state = http2_state::of(*one);
    then.done = std::exchange(state.next_done, nullptr);
    one->departures().notify();  // Nothing more is sent; a notification too many does no harm.
    if (!state.handed_over) state.reply = {};
    if (!state.reported) one->report(state.ended ? exchange_end::complete : exchange_end::disconnected);
    one->drop_weak();
  }
}

// --- the connection -----------------------------------------------------------------

void http2_protocol::start(std::string_view received) {
  alarm_.set(clock::now() + std::min(limits_.header_timeout, limits_.keep_alive_timeout));
  take(received);
}

// With the lock. They are served without another wake-up.
http2_tunnel* http2_protocol::take_due_tunnels() noexcept {
  pending_ &= ~static_cast<unsigned>(tunnels);
  if (pending_ == nothing) then_->wake = false;
  return std::exchange(due_tunnels_, nullptr);
}

void http2_protocol::serve(http2_tunnel* first) noexcept {
  while (first) {
    // It may be due again, in another list, as soon as it is served.
    http2_tunnel* const one = std::exchange(first, first->next_due_);
    one->serve();
    one->drop();
  }
}

void http2_protocol::take(std::string_view bytes) {
  http2_tunnel* due = nullptr;
  locked([&] {
    if (closing_) return;
    if (char const* const wrong = session_.receive(bytes)) {
      log_rejection(peer(), {0, wrong});
      closing_ = true;
      return ask(hang_up);
    }
    if (in_header()) alarm_.set(http2_state::of(*streams_).begun_at + limits_.header_timeout);
    pump();
    due = take_due_tunnels();
  });
  serve(due);
}

bool http2_protocol::received(std::span<char> space, std::size_t length) {
  take({space.data(), length});
  return length == space.size();
}

void http2_protocol::drain() {
  locked([&] {
    if (std::exchange(announced_, true) || closing_) return;
    announced_at_ = clock::now();
    for (exchange* one = streams_; one; one = http2_state::of(*one).next) {
      if (http2_tunnel* const tunnel = http2_state::of(*one).tunnel) tunnel->note(http2_tunnel::drain);
    }
    session_.announce_end();
    pump();
  });
  alarm_.set(announced_at_ + tuning::drain_grace);
}

void http2_protocol::on_pong() {
  if (announced_ && !refusing_) end_requests();
}

void http2_protocol::end_requests() {
  ending_ = refusing_ = true;
  session_.end_requests();
}

void http2_protocol::on_goaway() { ending_ = true; }

void http2_protocol::on_nuisance(nuisance what, std::size_t bytes) {
  if (budget_.spend(what, bytes, coarse_now())) return;
  end_for(http2_error::enhance_your_calm,
          "the client of an HTTP/2 connection causes too much work: resets, or frames that are no part of a request");
}

void http2_protocol::on_stray_header() {
  end_for(http2_error::stream_closed, "the client of an HTTP/2 connection sends a header on a stream that it has ended, or passed over");
}

void http2_protocol::end_for(std::uint32_t error, char const* why) {
  if (std::exchange(terminated_, true)) return;
  log_rejection(peer(), {0, why});
  ending_ = true;
  session_.terminate(error);
  if (!stalled_) return;
  closing_ = true;  // It does not read what it would be told.
  ask(hang_up);
}

void http2_protocol::close() noexcept {
  reading_ = false;
  alarm_.stop();
  http2_tunnel* due = nullptr;
  locked([&] {
    if (!std::exchange(open_, false)) return;
    bool const incomplete = streams_ != nullptr;
    closing_ = true;
    transport_.close(incomplete ? transport::ending::reset : transport::ending::orderly);
    detach_all();
    due = take_due_tunnels();
  });
  serve(due);
}

// --- what other threads ask for -----------------------------------------------------

void http2_protocol::ask(unsigned what) {
  // `attend` clears all operations, so only the first one needs to wake the I/O thread.
  then_->wake |= pending_ == nothing;
  pending_ |= what;
}

void http2_protocol::attend() {
  unsigned pending = nothing;
  http2_tunnel* due = nullptr;
  locked([&] {
    pending = std::exchange(pending_, nothing);
    if (pending & wait_readable) {
      // We may have read what the transport needs since it said so. Now nothing is read in between.
      stalled_ = false;
      pump();
      pending = (pending & ~wait_readable) | std::exchange(pending_, nothing);
    }
    due = take_due_tunnels();
  });
  serve(due);
  if (pending & hang_up) return host_.close();
  if (pending & linger) {
    reading_ = false;
    alarm_.stop();
    return host_.linger();
  }
  if (pending & watch) alarm_.set(clock::now() + std::min<clock::duration>(limits_.rate_grace, tuning::linger));
  if (pending & (wait_writable | wait_readable)) {
    host_.await_output(pending & wait_writable ? io_result::state::wants_writable : io_result::state::wants_readable);
  }
}

// For the I/O thread.
template <class Work>
void http2_protocol::locked_or_fail(Work work) noexcept {
  try {
    locked(work);
  } catch (std::exception const& failed) {
    host_.fail(failed);
  }
}

void http2_protocol::output_ready() noexcept {
  locked_or_fail([this] {
    stalled_ = false;
    pump();
  });
}

// For the deadlines of tunnels. What fails is the connection, and not the tunnel that asks.
void http2_protocol::catch_up() noexcept {
  try {
    host_.catch_up();
  } catch (std::exception const& failed) {
    host_.fail(failed);
  }
  // Those that got room without a read.
  http2_tunnel* due = nullptr;
  locked([&] { due = take_due_tunnels(); });
  serve(due);
}

void http2_protocol::flush_late() noexcept {
  locked_or_fail([this] {
    flush_due_ = false;
    pump();
  });
}

}  // namespace kino::server
