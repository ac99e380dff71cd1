// SPDX-License-Identifier: MIT
//
// How an http2_protocol writes to its transport.

#include "http2/http2_protocol.hpp"

#include <utility>

namespace kino::server {

// There is more for a stream whose data the session has asked for in vain.
void http2_protocol::resume(http2_state& of) {
  if (std::exchange(of.waits_for_data, false)) session_.resume(of.stream);
}

// Sends what there is, until the transport takes no more. If that fails, the bytes that are there may end within a frame:
// what followed them would be taken for its rest.
void http2_protocol::pump() {
  try {
    send_all();
  } catch (...) {
    closing_ = true;
    ask(hang_up);
    throw;
  }
  if (!watched_ && waits_for_client()) {
    watched_ = true;
    sending_.start(clock::now());
    delivered_ = sent_;
    ask(watch);
  }
  finish_if_done();
}

void http2_protocol::send_all() {
  gathered_ = 0;
  // What is left of the last attempt goes first. If this one is in vain, too, nothing has moved, and no stream seems to make progress.
  for (bool left = !frames_.empty(); !stalled_ && !closing_; left = false) {
    while (!left && frames_.size() < tuning::frames_size) {
      std::string_view const next = session_.next_output();
      if (next.empty()) break;
      frames_.append(next);
    }
    if (frames_.empty()) break;
    iovec const all = piece(frames_.view());
    io_result const sent = transport_.write_some({&all, 1});
    if (sent.failed()) {
      closing_ = true;
      ask(hang_up);
      return;
    }
    sent_ += sent.bytes;
    frames_.consume(sent.bytes);
    if (frames_.empty()) frames_.clear(tuning::kept_capacity);
    else {
      stalled_ = true;
      ask(sent.what == io_result::state::wants_readable ? wait_readable : wait_writable);
    }
  }
}

// Ends the connection once nothing is left to do: the client then closes its side.
void http2_protocol::finish_if_done() {
  if (closing_ || !frames_.empty()) return;
  bool const ended = !session_.wants_input() && !session_.has_output();
  if (!ended && !(ending_ && !streams_ && !session_.has_output())) return;
  closing_ = true;
  transport_.shutdown_write();
  detach_all();
  ask(linger);
}

}  // namespace kino::server
