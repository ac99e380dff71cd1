// SPDX-License-Identifier: MIT
//
// How an http2_protocol sends responses.

#include "http2/http2_protocol.hpp"

#include "http2/field_block.hpp"

#include <algorithm>
#include <utility>

namespace kino::server {

delivery http2_protocol::send(exchange& from, response_part const& part) noexcept {
  return transmit(from, part, http2_state::of(from).refused ? exchange_end::refused : exchange_end::complete);
}

delivery http2_protocol::transmit(exchange& from, response_part const& part, exchange_end how) noexcept {
  delivery result = delivery::gone;
  bool tunnel = false;
  try {
    // A success would say that there is a WebSocket now.
    if (part.head && !part.upgrade && from.head().extended_connect && part.head->status() < 300) {
      brief_response const none(501);
      return transmit(from, none.whole(), how);
    }
    locked([&] {
      http2_state& state = http2_state::of(from);
      if (!state.attached || closing_ || state.last || state.tunnel) return;
      if (!part.head && !state.begun) return reset(from, http2_error::internal);  // No response is made.
      if (part.upgrade && part.head && part.end && !part.head->upgrades()) {
        begin_tunnel(from, part);
        tunnel = true;
        result = delivery::taken;
        return;
      }
      if (part.upgrade || (part.head && part.head->upgrades())) {  // See upgrade_obstacle.
        from.note(0, 0, exchange_end::cut);
        return reset(from, http2_error::internal);
      }
      std::size_t const length = length_of(part.data);
      if (part.head) begin_response(from, part);
      bool const bodiless = state.length.bodiless();
      if (!bodiless && !state.length.take(length, part.end)) {
        pump();  // What has been written belongs to the client all the same.
        from.note(0, 0, exchange_end::cut);
        return reset(from, http2_error::internal);
      }
      from.note(part.head ? part.head->status() : 0, bodiless ? 0 : length, how);
      if (!bodiless && length != 0 && !keep(state, part.data)) {
        result = delivery::taken;  // The stream has ended meanwhile.
        return;
      }
      if (part.end) {
        state.last = true;
        --unanswered_;
        if (state.out.empty()) state.waits_since = coarse_now();
        if (part.trailers) {
          part.trailers->fields().each([&](auto name, auto value) { state.trailers.append(name, value); });
        }
      }
      resume(state);
      // A response that is complete goes out with the next one, if one is to come.
      bool const gathers = part.gather && (!part.end || unanswered_ != 0) && (gathered_ += length) < tuning::gather_size;
      if (!gathers) {
        pump();
        // The end may wait for the client's window, without a byte of the body.
        if (!stalled_ && state.attached && state.last && !state.ended && state.out.empty()) ask(watch);
      } else if (!stalled_ && !std::exchange(flush_due_, true)) {
        then_->flush_later = true;
      }
      if (!state.attached || !state.out.above_high_watermark()) result = gathers ? delivery::gathered : delivery::taken;
      else result = delivery::above_high_watermark;
    });
    if (tunnel) from.report(exchange_end::complete);
    return result;
  } catch (std::exception const&) {  // The response would lack these bytes.
    cut(from);
    return delivery::gone;
  }
}

// What the client takes at once goes to neither memory nor file, and what it does not take goes to the file, also if it is the last
// part: a connection may have many responses that wait. Returns false if the stream has ended.
bool http2_protocol::keep(http2_state& state, std::span<iovec const> data) {
  if (state.out.empty()) state.waits_since = coarse_now();
  for (iovec const& one : data) {
    std::string_view rest(static_cast<char const*>(one.iov_base), one.iov_len);
    while (!rest.empty()) {
      if (state.out.appended() >= tuning::write_buffer) {
        resume(state);
        pump();
        if (!state.attached || closing_) return false;
      }
      std::string_view const some = rest.substr(0, tuning::write_buffer);
      state.out.keep(some, overflow_);
      count_unsent(state);
      rest.remove_prefix(some.size());
    }
  }
  return true;
}

void http2_protocol::begin_response(exchange& from, response_part const& part) {
  http2_state& state = http2_state::of(from);
  state.length.begin(from.head(), part, part.end);
  field_block const block(*part.head, state.length.stated());
  bool const has_trailers = part.trailers && !part.trailers->fields().empty();
  bool const body = !part.end || has_trailers || (!state.length.bodiless() && length_of(part.data) != 0);
  session_.respond(from, state.stream, block.fields(), body);
  state.begun = true;
}

// The stream carries what the upgrade makes, from now on.
void http2_protocol::begin_tunnel(exchange& from, response_part const& part) {
  http2_state& state = http2_state::of(from);
  auto* const made = new http2_tunnel(*this, from, *part.upgrade);
  state.tunnel = made;  // counted
  ++open_tunnels_;
  --unanswered_;
  state.length.begin(from.head(), part, false);
  field_block const block(*part.head, state.length.stated());
  session_.respond(from, state.stream, block.fields(), true);
  state.begun = true;
  from.note(part.head->status(), 0, exchange_end::complete);
  state.reported = true;  // once the lock is given back
  made->input_.swap(state.early);
  made->note(http2_tunnel::begin | (announced_ ? http2_tunnel::drain : 0U) |
             (state.client_ended && from.head().extended_connect ? http2_tunnel::input_end : 0U));
  pump();
}

delivery http2_protocol::interim(exchange& from, response_head const& what) noexcept {
  delivery result = delivery::gone;
  try {
    locked([&] {
      http2_state const& state = http2_state::of(from);
      if (!state.attached || closing_ || state.begun) return;
      field_block const block(what);
      session_.interim(state.stream, block.fields());
      pump();
      result = delivery::taken;
    });
  } catch (std::exception const&) {
    cut(from);
  }
  return result;
}

void http2_protocol::unanswered(exchange& from, kino::ending how) noexcept {
  int const status = shared_.handler.status_for(how, from);
  // The worker that lost may still describe its own response in the exchange.
  try {
    brief_response const brief(status);
    transmit(from, brief.whole(), how == kino::ending::expired ? exchange_end::expired : exchange_end::abandoned);
  } catch (std::bad_alloc const&) {
    cut(from);
  }
}

void http2_protocol::flush(exchange&) noexcept {
  try {
    locked([&] { pump(); });
  } catch (std::exception const&) {  // The I/O thread meets it again.
  }
}

bool http2_protocol::await_room(exchange& from) {
  std::lock_guard guard(mutex_);
  http2_state& state = http2_state::of(from);
  state.writer_waits = state.attached && !closing_ && state.out.above_high_watermark();
  return state.writer_waits;
}

void http2_protocol::cut(exchange& from) {
  try {
    locked([&] {
      if (!http2_state::of(from).attached || http2_state::of(from).last) return;
      from.note(0, 0, exchange_end::cut);
      reset(from, http2_error::internal);
    });
  } catch (std::exception const&) {
    locked([&] { ask(hang_up); });
  }
}

bool http2_protocol::client_gone(exchange const& from) {
  return http2_state::of(from).gone.load(std::memory_order_relaxed);  // see its declaration
}

// The session says that the stream has ended, at once or when the frame is on its way.
void http2_protocol::reset(exchange& from, std::uint32_t error) {
  http2_state const& state = http2_state::of(from);
  if (state.tunnel) state.tunnel->unwatched();
  session_.reset(state.stream, error);
  pump();
}

// --- what the session asks for -------------------------------------------------------

http2_session::body_step http2_protocol::next_data(exchange& of, std::size_t room) {
  http2_state& state = http2_state::of(of);
  if (state.out.empty() && !state.last) {
    state.waits_for_data = true;
    return {};
  }
  std::size_t const length = std::min(room, state.out.empty() ? 0 : state.out.first().size());
  bool const last = state.last && length == state.out.size();
  if (!last) return {length};
  bool const trailers = !state.trailers.empty();
  if (trailers) {
    field_block const block(state.trailers);
    session_.trailers(state.stream, block.fields());
  }
  return {length, true, trailers};
}

void http2_protocol::write_data(exchange& of, std::string_view frame_head, std::size_t length) {
  http2_state& state = http2_state::of(of);
  frames_.append(frame_head);
  if (length != 0) {
    frames_.append(state.out.first().substr(0, length));
    state.out.consume(length);
    budget_.earn(length);
    count_unsent(state);
    if (state.out.empty()) budget_.exchanged();
    if (state.out.empty() && state.tunnel) state.tunnel->sent();
  }
  state.progress = progress_ = coarse_now();
  if (state.writer_waits && state.out.make_room(overflow_)) {
    state.writer_waits = false;
    of.add_weak();
    state.next_roomy = std::exchange(then_->roomy, &of);
  }
}

// What the client still sends of its request is dropped. Resetting the stream at once would be right, too (RFC 9113,
// 8.1), but some clients take that for an error and lose the response.
void http2_protocol::on_response_end(exchange& to) {
  http2_state& state = http2_state::of(to);
  state.ended = true;
  budget_.answered();
  if (state.client_ended) return;
  if (to.streamed() && state.stage != http2_state::stage::complete) to.body().fail({400, "the response is complete", 0, 0});
  state.stage = http2_state::stage::unwanted;
  state.unwanted_since = coarse_now();
  state.unconsumed += state.early.size();
  state.early.clear(0);
  if (state.unconsumed != 0) session_.consume(state.stream, std::exchange(state.unconsumed, 0));
  ask(watch);
}

// After every change of `out`, and the end of the stream.
void http2_protocol::count_unsent(http2_state& of) noexcept {
  bool const waits = of.attached && !of.out.empty() && !of.tunnel;  // a tunnel has limits of its own
  unsent_streams_ += waits;
  unsent_streams_ -= std::exchange(of.unsent, waits);
}

}  // namespace kino::server
