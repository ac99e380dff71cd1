// SPDX-License-Identifier: MIT
//
// The time limits of an http2_protocol.

#include "http2/http2_protocol.hpp"

#include <algorithm>
#include <utility>

namespace kino::server {

void http2_protocol::check_timeouts(clock::time_point now) {
  host_.catch_up();
  if (alarm_.stopped()) return;
  clock::time_point next = clock::time_point::max();
  bool lost = false;
  locked([&] {
    if (closing_) return;
    if (announced_ && !ending_) {
      if (now >= announced_at_ + tuning::drain_grace) end_requests();
      else next = announced_at_ + tuning::drain_grace;
    }
    if (!streams_ && !ending_ && now >= idle_since_ + limits_.keep_alive_timeout) end_requests();
    if (in_header() && now >= http2_state::of(*streams_).begun_at + limits_.header_timeout) {
      log_rejection(peer(), {0, "the header of a request did not arrive within header_timeout"});
      lost = true;  // The client can begin nothing else before it is complete.
      return;
    }
    next = std::min(next, check_streams(now));
    next = std::min(next, check_client(now, lost));
    // Once it is ending, only the client is waited for.
    if (!streams_ && !ending_) next = std::min(next, idle_since_ + limits_.keep_alive_timeout);
    pump();
  });
  if (lost) return host_.close();
  if (next == clock::time_point::max()) next = now + limits_.keep_alive_timeout;
  // Not at once: what a limit has led to may itself wait for the client.
  alarm_.set(std::max<clock::time_point>(next, now + std::chrono::milliseconds(100)));
}

// Ends the streams whose client has not sent its request, or read its response, in time. Returns the next limit.
clock::time_point http2_protocol::check_streams(clock::time_point now) {
  clock::time_point next = clock::time_point::max();
  for (exchange* one = streams_; one != nullptr;) {
    exchange& each = *std::exchange(one, http2_state::of(*one).next);
    http2_state& state = http2_state::of(each);
    switch (state.stage) {
      case http2_state::stage::head:
        next = std::min(next, state.begun_at + limits_.header_timeout);
        break;
      case http2_state::stage::body: {
        // Once the response has begun, the two talk: a message may be short, and its time uncertain.
        clock::time_point const due = state.begun ? state.receiving->pause_due() : state.receiving->due();
        if (now >= due) {
          refuse(each, {408, state.receiving->stopped(now) ? "the body made no progress for longer than body_timeout"
                                                           : "the body arrives more slowly than min_body_rate"});
        } else {
          next = std::min(next, due);
        }
        break;
      }
      case http2_state::stage::unwanted:
        if (now < state.unwanted_since + tuning::linger) {
          next = std::min(next, state.unwanted_since + tuning::linger);
        } else if (!stalled_) {
          session_.reset(state.stream, http2_error::none);
        }
        continue;
      case http2_state::stage::paused:
      case http2_state::stage::tunnel:
      case http2_state::stage::complete: break;
    }
    // The end of a response waits for the client's window, too, when its body has gone.
    bool const waits = !state.out.empty() || (state.last && !state.ended);
    if (!waits || stalled_ || (state.tunnel && !state.last)) continue;
    // What was written last may be newer than what was sent last.
    clock::time_point since = std::max(state.progress, state.waits_since);
    // A stream that waits for the window of the connection has its turn behind others.
    if (!session_.window_closed(state.stream)) since = std::max(since, progress_);
    if (now < since + limits_.body_timeout) {
      next = std::min(next, since + limits_.body_timeout);
      continue;
    }
    log_rejection(peer(), {0, "the client does not read its response"});
    session_.reset(state.stream, http2_error::cancel);
  }
  return next;
}

// The connection as a whole: whether the client reads what is sent at all.
clock::time_point http2_protocol::check_client(clock::time_point now, bool& lost) {
  if (!waits_for_client()) {
    watched_ = false;
    return clock::time_point::max();
  }
  std::uint64_t const delivered = sent_ - std::min(sent_, stalled_ ? transport_.unacknowledged() : 0);
  if (delivered > delivered_) sending_.progress(delivered - delivered_, now);
  delivered_ = std::max(delivered_, delivered);
  if (now < sending_.due()) return sending_.due();
  log_rejection(peer(), {0, sending_.stopped(now) ? "the client does not read its responses"
                                                  : "the client reads its responses more slowly than min_response_rate"});
  lost = true;
  return clock::time_point::max();
}

}  // namespace kino::server
