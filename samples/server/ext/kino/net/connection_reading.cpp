// SPDX-License-Identifier: MIT
//
// How a connection waits for its transport, reads from it and cuts what it has read into requests.

#include "net/connection.hpp"
#include "net/io_thread.hpp"

#include <utility>

namespace kino::server {

bool connection::wants_bytes() const {
  return paused_ == pause::none || (lingering_ && paused_ != pause::peer_ended);
}

void connection::wait_readable() {
  if (reading_ || !open_) return;
  bool const for_input = wants_bytes() && !input_waits_for_writable_;
  if (!for_input && output_waits_ != io_result::state::wants_readable) return;
  reading_ = true;
  events_->wait(readiness::event::readable, reference(*this));
}

void connection::wait_writable() {
  if (writing_ || !open_) return;
  writing_ = true;
  events_->wait(readiness::event::writable, reference(*this));
}

void connection::ready(readiness::event what) noexcept {
  bool const readable = what == readiness::event::readable;
  (readable ? reading_ : writing_) = false;
  if (!readable) output_ready(io_result::state::wants_writable);
  if (!readable && !std::exchange(input_waits_for_writable_, false)) return;
  guarded([&] {
    if (wants_bytes()) read();
    if (readable) output_ready(io_result::state::wants_readable);
    wait_readable();
  });
}

// The response_pipeline can write no more until the client has read; its time begins.
void connection::await_output(io_result::state what) {
  output_waits_ = what;
  delivered_ = pipeline_.now().delivered;
  sending_.start(clock::now());
  set_alarm(sending_.due());
  what == io_result::state::wants_readable ? wait_readable() : wait_writable();
}

void connection::output_ready(io_result::state what) noexcept {
  if (output_waits_ != what) return;
  output_waits_ = io_result::state::done;
  pipeline_.writable();
}

void connection::read() {
  for (int reads = 1;; ++reads) {
    bool const into_body = reads_into_body();
    std::span<char> buffer = home_.read_buffer();
    if (into_body) {
      buffer = body_room();
      if (buffer.empty()) return;  // The request was refused.
    } else if (!current_) {
      buffer = buffer.first(tuning::head_read_size);
    }
    io_result const got = transport_->read_some(buffer);
    switch (got.what) {
      case io_result::state::done: break;
      case io_result::state::end: return read_ended();
      case io_result::state::failed: return close();
      case io_result::state::wants_readable: return;
      case io_result::state::wants_writable: input_waits_for_writable_ = true; return wait_writable();
    }
    if (into_body) {
      received_body(got.bytes);
    } else {
      unparsed_.append(parse({buffer.data(), got.bytes}));
    }
    // The rest of a body is probably there. Anything else that is left is announced again.
    if (got.bytes != buffer.size() || !reads_into_body() || reads == tuning::body_reads) return;
  }
}

void connection::read_ended() {
  paused_ = pause::peer_ended;
  if (lingering_) return close();
  pipeline_.peer_ended();
  last_request_ = true;
  if (current_) {  // A request that was not complete never will be.
    exchange& cut_off = *std::exchange(current_, nullptr);
    if (std::exchange(body_held_, false)) {
      reply_ = pipeline_.recall(cut_off);
      cut_off.body().fail(client_left);
      cut_off.drop_weak();
    }
    if (!parser_.in_head()) reply_.answer({.end = true});  // In its turn, it ends the connection.
    reply_ = {};
  }
  // Requests before it are still answered: the client may have ended its own side only.
  pipeline_.close_after_last();
}

// Returns what is behind a full line, to be parsed when reading is resumed.
std::string_view connection::parse(std::string_view bytes) {
  while (!bytes.empty() && !lingering_ && !last_request_ && open_) {
    if (!current_ && !begin_request()) return bytes;
    bool const had_started = parser_.started();
    bool const had_head = !parser_.in_head();
    auto const result = parser_.parse(bytes);
    bytes.remove_prefix(result.consumed);
    switch (result.what) {
      case http_parser::state::complete: request_complete(); break;
      case http_parser::state::rejected: refuse(parser_.why()); return {};
      case http_parser::state::incomplete:
        if (parser_.in_head()) {
          if (!had_started) receiving_since_ = clock::now();
          set_alarm(receiving_since_ + limits_.header_timeout);
        } else {
          if (!had_head) receiving_.start(clock::now());
          if (hand_over_due_) hand_over();
          await_body(had_head ? result.consumed : 0);
        }
        break;
    }
  }
  return {};
}

}  // namespace kino::server
