// SPDX-License-Identifier: MIT
//
// How an http2_protocol makes requests of streams.

#include "http2/http2_protocol.hpp"

#include "http/request_body.hpp"
#include "http/request_target.hpp"

#include <utility>

namespace kino::server {

namespace {

constexpr rejection client_left{400, "the client reset the stream before the end of the body", 0, 0};

http2_state::span span_of(request const& head, std::size_t length) { return {head.text().size() - length, length}; }
std::string_view text_of(request const& head, http2_state::span part) { return head.text().substr(part.start, part.length); }

}  // namespace

exchange* http2_protocol::begin_request(std::int32_t stream) {
  if (closing_ || refusing_) return nullptr;
  // acquire: pairs with the release in http2_state::clear.
  if (stream_count_ + reset_in_handler_.load(std::memory_order_acquire) >= limits_.max_concurrent_streams) {
    on_nuisance(nuisance::refused_stream, 0);
    return nullptr;
  }
  exchange& fresh = shared_.exchanges.acquire(*this);
  host_.hold();
  exchange::reply reply(fresh);
  http2_state& state = fresh.begin_state<http2_state>();
  state.reply = std::move(reply);
  state.stream = stream;
  state.begun_at = clock::now();
  state.receiving.emplace(limits_.min_body_rate, limits_.rate_grace, limits_.body_timeout);
  state.body_bytes = 0;
  fresh.head().clear();
  fresh.head().version = http_version::http_2;
  fresh.head().accepts_trailers = true;
  attach(fresh);
  return &fresh;
}

void http2_protocol::attach(exchange& fresh) {
  http2_state& state = http2_state::of(fresh);
  fresh.add_weak();
  state.attached = true;
  state.previous = nullptr;
  state.next = std::exchange(streams_, &fresh);
  if (state.next) http2_state::of(*state.next).previous = &fresh;
  ++stream_count_;
  ++unanswered_;
}

// --- the header ---------------------------------------------------------------------

void http2_protocol::on_field(exchange& to, std::string_view name, std::string_view value) {
  http2_state& state = http2_state::of(to);
  if (state.problem || state.stage == http2_state::stage::complete) return;
  // As RFC 9113, 6.5.2, has it: each field counts for 32 bytes more.
  state.field_bytes += name.size() + value.size() + 32;
  if (state.field_bytes > limits_.max_header_size) {
    state.problem = {431, "the header is larger than max_header_size", limits_.max_header_size, state.field_bytes};
    return;
  }
  if (name.starts_with(':')) return on_pseudo_field(to, name, value);
  if (++state.field_count > limits_.max_header_fields) {
    state.problem = {431, "there are more fields than max_header_fields", limits_.max_header_fields, state.field_count};
    return;
  }
  (state.stage == http2_state::stage::head ? to.head().fields() : to.head().trailers()).add(name, value);
}

// They come before all other fields, so their values are the text that is appended before the fields.
void http2_protocol::on_pseudo_field(exchange& to, std::string_view name, std::string_view value) {
  http2_state& state = http2_state::of(to);
  http2_state::span* const part = name == ":method"      ? &state.pseudo.method
                                  : name == ":path"      ? &state.pseudo.target
                                  : name == ":authority" ? &state.pseudo.authority
                                  : name == ":protocol"  ? &state.pseudo.protocol
                                                         : nullptr;
  if (!part) return;
  // HTTP/1 asks for a WebSocket by a GET, and so does this for those that look at the request.
  if (part == &state.pseudo.method && value == "CONNECT") {
    state.pseudo.connect = true;
    if (limits_.http2_websockets) value = "GET";
  }
  to.head().append_text(value);
  *part = span_of(to.head(), value.size());
}

rejection http2_protocol::finish_head(exchange& to, bool end) {
  http2_state& state = http2_state::of(to);
  request& head = to.head();
  if (state.problem) return state.problem;
  std::string_view const method = text_of(head, state.pseudo.method);
  head.set_method(method);
  if (state.pseudo.connect) {
    head.extended_connect = limits_.http2_websockets && text_of(head, state.pseudo.protocol) == "websocket";
    if (!head.extended_connect) return {501, "CONNECT is not supported"};
    if (end) return {400, "the client asks for a WebSocket and has ended its stream"};
  }
  if (state.pseudo.authority.length != 0) {
    std::string_view const text = text_of(head, state.pseudo.authority);
    auto const parsed = authority::parse(text);
    if (!parsed) return {400, ":authority is not a name or address with an optional port"};
    head.set_host(text, *parsed);
  }
  request_target target;
  if (auto bad = request_target::parse(method, text_of(head, state.pseudo.target), target)) return bad;
  head.set_target(target);
  if (auto bad = head.finish()) return bad;
  to.find_origin();
  if (head.extended_connect) {
    head.content_length.reset();
    return {};
  }
  head.unknown_length = !end && !head.content_length;
  if (!head.has_body()) return {};
  if (auto too_large = begin_body(to, shared_)) return too_large;
  if (!to.streamed()) session_.widen(state.stream, tuning::collecting_window);
  return {};
}

void http2_protocol::on_header_end(exchange& to, bool end) {
  http2_state& state = http2_state::of(to);
  rejection const bad = finish_head(to, end);
  state.stage = http2_state::stage::body;
  state.field_bytes = state.field_count = 0;
  state.client_ended = end;
  if (bad) return refuse(to, bad);
  if (end) return;
  if (to.head().extended_connect) {
    state.stage = http2_state::stage::tunnel;
    return hand_over(to);
  }
  state.receiving->start(clock::now());
  alarm_.set(state.receiving->due());
  if (to.head().expects_continue) {
    http2_session::field const all[] = {{":status", "100"}};
    session_.interim(state.stream, all);
  }
  if (to.streamed()) hand_over(to);
}

// The session resets the stream; the client may take its time to read that.
void http2_protocol::on_malformed(exchange& of) {
  http2_state& state = http2_state::of(of);
  bool const body_open = state.stage == http2_state::stage::body || state.stage == http2_state::stage::paused;
  if (body_open && of.streamed()) of.body().fail({400, "the trailers of the request are malformed", 0, 0});
  state.stage = http2_state::stage::complete;
}

// --- the body -----------------------------------------------------------------------

void http2_protocol::on_body(exchange& to, std::string_view bytes) {
  http2_state& state = http2_state::of(to);
  if (state.stage == http2_state::stage::complete) return session_.consume(state.stream, bytes.size());
  if (state.stage == http2_state::stage::tunnel) return state.tunnel ? state.tunnel->received(bytes) : state.early.append(bytes);
  state.body_bytes += bytes.size();
  to.count_body(bytes.size());
  bool const too_large = state.body_bytes > limits_.max_body_size;
  if (state.stage == http2_state::stage::unwanted) {
    if (too_large && !state.refused) return session_.reset(state.stream, http2_error::none);
    return session_.consume(state.stream, bytes.size());
  }
  if (too_large) {
    session_.consume(state.stream, bytes.size());
    return refuse(to, {413, "the body is larger than max_body_size", limits_.max_body_size, state.body_bytes});
  }
  state.receiving->progress(bytes.size(), clock::now());
  if (to.streamed()) {
    // Its reader opens the window again, once half of the pipe is free.
    state.unconsumed += bytes.size();
    if (!to.body().push(bytes)) {
      state.stage = http2_state::stage::paused;
      return;
    }
    session_.consume(state.stream, std::exchange(state.unconsumed, 0));
  } else {
    if (auto bad = collect_body(to, bytes)) return refuse(to, bad);
    session_.consume(state.stream, bytes.size());
  }
}

void http2_protocol::resume_reading(exchange& to) {
  try {
    locked([&] {
      http2_state& state = http2_state::of(to);
      if (!state.attached || state.stage != http2_state::stage::paused) return;
      state.stage = http2_state::stage::body;
      state.receiving->start(clock::now());
      session_.consume(state.stream, std::exchange(state.unconsumed, 0));
      ask(watch);
      pump();
    });
  } catch (std::bad_alloc const&) {
    cut(to);
  }
}

void http2_protocol::on_request_end(exchange& to) {
  http2_state& state = http2_state::of(to);
  state.client_ended = true;
  if (state.stage == http2_state::stage::tunnel) {
    if (state.tunnel) state.tunnel->note(http2_tunnel::input_end);
    return;
  }
  if (state.stage == http2_state::stage::complete || state.stage == http2_state::stage::unwanted) return;
  rejection const bad = state.problem ? state.problem : to.head().finish_trailers();
  if (bad) return refuse(to, bad);
  state.stage = http2_state::stage::complete;
  if (to.streamed()) return to.body().finish();
  hand_over(to);
}

void http2_protocol::hand_over(exchange& complete) {
  if (std::exchange(http2_state::of(complete).ready, true)) return;
  complete.ready();
  exchange* const before = std::exchange(then_->last_ready, &complete);
  (before ? http2_state::of(*before).next_ready : then_->ready) = &complete;
}

// --- refusals -----------------------------------------------------------------------

// No more of the request is wanted. A handler that has it already hears of it when it reads the body.
void http2_protocol::refuse(exchange& which, rejection const& why) {
  http2_state& state = http2_state::of(which);
  log_rejection(peer(), why);
  state.stage = http2_state::stage::complete;
  if (which.streamed()) which.body().fail(why);
  if (state.handed_over) return;
  state.refused = true;
  state.problem = why;
  hand_over(which);
}

void http2_protocol::answer_refused(exchange& which) noexcept {
  http2_state& state = http2_state::of(which);
  exchange::reply const reply = std::move(state.reply);
  try {
    brief_response const brief(state.problem.status);
    shared_.handler.refused(state.problem.status);  // before the client can know of it
    reply.answer(brief.whole());
  } catch (std::bad_alloc const&) {
    cut(which);
  }
}

// --- the end of a stream ------------------------------------------------------------

// A response that is complete is no work in vain: the client only has no more to send of its request. Nor is one that has become
// a tunnel: to reset its stream is how the client of an event stream leaves.
void http2_protocol::on_reset(exchange& of) {
  http2_state const& state = http2_state::of(of);
  if (!state.ended && !state.tunnel) on_nuisance(nuisance::reset, 0);
}

void http2_protocol::on_stream_end(exchange& of, std::uint32_t) {
  http2_state& state = http2_state::of(of);
  if (!state.attached) return;
  detach(of, state.ended);
}

void http2_protocol::detach(exchange& gone, bool complete) {
  http2_state& state = http2_state::of(gone);
  (state.previous ? http2_state::of(*state.previous).next : streams_) = state.next;
  if (state.next) http2_state::of(*state.next).previous = state.previous;
  state.previous = state.next = nullptr;
  state.attached = state.writer_waits = false;
  --stream_count_;
  if (state.tunnel) {
    state.tunnel->ended();
    std::exchange(state.tunnel, nullptr)->drop();
  } else if (!state.last) {
    --unanswered_;
  }
  count_unsent(state);
  idle_since_ = clock::now();
  state.next_done = std::exchange(then_->done, &gone);
  if (complete) return;
  state.gone.store(true, std::memory_order_relaxed);  // see its declaration
  bool const body_open = state.stage == http2_state::stage::body || state.stage == http2_state::stage::paused;
  if (body_open && gone.streamed()) gone.body().fail(client_left);
  state.stage = http2_state::stage::complete;
  if (state.handed_over) {
    // relaxed: it only counts; the release in http2_state::clear is what is waited for.
    reset_in_handler_.fetch_add(1, std::memory_order_relaxed);
    state.counted_in = &reset_in_handler_;
  }
}

void http2_protocol::detach_all() {
  while (streams_) detach(*streams_, http2_state::of(*streams_).ended);
}

}  // namespace kino::server
